"""
A folder of static files for C{twisted.web}, for applications that combine it with other
resources of C{twisted.web}.
"""

from __future__ import annotations

import os
from typing import Any, BinaryIO

from twisted.web.pages import notFound
from twisted.web.resource import IResource
from twisted.web.server import Request
from twisted.web.static import File

from wsplug.staticfiles import ABSENT, HEADERS, isWithin, openFile

__all__ = ["Folder"]


class Folder(File):
    """
    Serves the files of a folder. Only regular files and the index of a folder are
    served: no FIFOs, which would block the server, and no symbolic links that lead out
    of the folder.

    To serve more than files, add resources with C{putChild}. To serve files only, set
    an application's C{pages} to their path instead.

    @ivar maxBodySize: if this is an application's C{pages}: the maximum size of a
        request's body, in bytes; 1 MiB by default.
    @ivar followsLinks: whether symbolic links may lead out of the folder.
    """

    maxBodySize: int
    followsLinks = False

    def __init__(
        self, path: str | os.PathLike[str], *arguments: Any, **keywords: Any
    ) -> None:
        """
        @param path: the folder's. Other arguments are those of
            C{twisted.web.static.File}.
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
        Tell whether this is a file or folder that may be served.
        """
        isInside = self.followsLinks or isWithin(self.path, self._top)
        return isInside and bool(self.isfile() or self.isdir())

    def openForReading(self) -> BinaryIO:
        """
        Open the file, without blocking if it has become a FIFO or the like.

        @raise OSError: it is gone, or isn't a regular file.
        """
        return openFile(self.path)

    def getChild(self, path: bytes, request: Request) -> IResource:
        try:
            path.decode("utf-8")
        except UnicodeDecodeError:
            return notFound()  # Twisted would log a traceback
        if b"\0" in path:
            return notFound()  # not allowed in file names: some calls raise
        child: IResource = super().getChild(path, request)  # type: ignore[no-untyped-call]
        return child

    def directoryListing(self) -> IResource:
        return notFound()

    def render_GET(self, request: Request) -> Any:
        self.restat(False)
        if not self._isServed():
            return notFound().render(request)
        for name, value in HEADERS:
            request.setHeader(name, value)
        try:
            return super().render_GET(request)  # type: ignore[no-untyped-call]
        except OSError as error:
            if error.errno not in ABSENT:
                raise
            # Since the check, it was deleted or replaced by a socket or the like.
            for name in (b"Accept-Ranges", b"Content-Type"):
                request.responseHeaders.removeHeader(name)
            return notFound().render(request)

    render_HEAD = render_GET
