"""
A folder of pages for C{twisted.web}, as applications have it that put other resources
of C{twisted.web} among them.
"""

from __future__ import annotations

import os
from typing import Any, BinaryIO

from twisted.web.pages import notFound
from twisted.web.resource import IResource
from twisted.web.server import Request
from twisted.web.static import File

from wsplug.staticfiles import ABSENT, openFile

__all__ = ["Folder"]


class Folder(File):
    """
    A folder's files, at their names. What isn't a regular file in it, or the index of a
    folder, isn't there: no FIFO, which would hold the server until somebody writes to
    it, and no symbolic link that leads out of the folder.

    An application that answers to more than the files adds to it with C{putChild}.
    Where it is the files alone, its C{pages} had better be their path.

    @ivar maxBodySize: bytes that the bodies of requests below it may have, if it is the
        application's C{pages}; 1 MiB where it isn't set.
    @ivar followsLinks: whether symbolic links may lead out of the folder.
    """

    maxBodySize: int
    followsLinks = False

    def __init__(
        self, path: str | os.PathLike[str], *arguments: Any, **keywords: Any
    ) -> None:
        """
        @param path: of the folder; the rest is as for C{twisted.web.static.File}.
        """
        path = os.fspath(path)
        super().__init__(path, *arguments, **keywords)
        self._top: str = self.path

    def createSimilarFile(self, path: str) -> Folder:
        child: Folder = super().createSimilarFile(path)  # type: ignore[no-untyped-call]
        child._top = self._top
        child.followsLinks = self.followsLinks
        return child

    def _isServed(self) -> bool:
        """
        Say whether this is something that may be read: a file, or a folder.
        """
        if not self.followsLinks:
            # Once for each request: the folder may be behind a link that is changed.
            root, real = os.path.realpath(self._top), os.path.realpath(self.path)
            if os.path.commonpath((real, root)) != root:
                return False
        return bool(self.isfile() or self.isdir())

    def openForReading(self) -> BinaryIO:
        """
        Open the file, which may be another one by now: what is no regular file isn't
        waited for.

        @raise OSError: it isn't there, or is none.
        """
        return openFile(self.path)

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
        self.restat(False)
        if not self._isServed():
            return notFound().render(request)
        # Ask again each time, at the price of a 304: after an update of the server,
        # no page runs with a script from before.
        request.setHeader(b"Cache-Control", b"no-cache")
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        try:
            return super().render_GET(request)  # type: ignore[no-untyped-call]
        except OSError as error:
            if error.errno not in ABSENT:
                raise
            # It has gone, or is a socket or the like, since the check.
            for name in (b"Accept-Ranges", b"Content-Type"):
                request.responseHeaders.removeHeader(name)
            return notFound().render(request)

    render_HEAD = render_GET
