"""
A folder of pages, as a C{twisted.web} resource.
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
    A folder of pages. What isn't a file in it, or the index of a folder, isn't there.

    An application whose C{pages} is the path of a folder has one of these; one that
    offers more than files makes it itself, and adds that with C{putChild}.
    """

    def getChild(self, path: bytes, request: Request) -> IResource:
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
