"""
A folder of pages, as applications have them for plain HTTP.
"""

from __future__ import annotations

from typing import Any

from twisted.web.pages import notFound
from twisted.web.resource import IResource
from twisted.web.server import Request
from twisted.web.static import File

__all__ = ["Folder"]


class Folder(File):
    """
    A folder's files, at their names. What isn't a file in it, or the index of a folder,
    isn't there.

    It is what becomes of an application's C{pages} where that is a path. An application
    that answers to more makes one itself, and adds to it with C{putChild}.

    @ivar maxBodySize: bytes that the bodies of requests below it may have, if it is the
        application's C{pages}; 1 MiB where it isn't set.
    """

    maxBodySize: int

    def getChild(self, path: bytes, request: Request) -> IResource:
        try:
            path.decode("utf-8")
        except UnicodeDecodeError:
            return notFound()  # Twisted would log a traceback
        if b"\0" in path:
            return notFound()  # no file system has it, and some raise
        child: IResource = super().getChild(path, request)  # type: ignore[no-untyped-call]
        return child

    def directoryListing(self) -> IResource:
        return notFound()

    def render_GET(self, request: Request) -> Any:
        # Ask again each time, at the price of a 304: after an update of the server,
        # no page runs with a script from before.
        request.setHeader(b"Cache-Control", b"no-cache")
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        return super().render_GET(request)  # type: ignore[no-untyped-call]

    render_HEAD = render_GET
