"""
A folder of static files for C{twisted.web}, for applications that combine it with other
resources of C{twisted.web}.
"""

from __future__ import annotations

import os
from time import time
from typing import Any

from twisted.web.pages import notFound
from twisted.web.resource import IResource
from twisted.web.server import Request
from twisted.web.static import File

from wsplug.codec import check_conditions, format_date
from wsplug.responses import FileBody
from wsplug.staticfiles import (
    HEADERS,
    UNMET,
    StoredFile,
    isHidden,
    isWithin,
    modifiedAt,
    openFile,
    refuseFile,
)

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
        Return whether this is a file or folder that may be served.
        """
        isInside = self.followsLinks or isWithin(self.path, self._top)
        return isInside and bool(self.isfile() or self.isdir())

    def openForReading(self) -> StoredFile:
        """
        Make sure that the file can be read, without blocking if it has become a FIFO or
        the like. It is open only while a piece of it is read.

        @raise OSError: it is gone, can't be read, or isn't a regular file.
        """
        with openFile(self.path) as file:
            return StoredFile(self.path, os.fstat(file.fileno()))

    def getModificationTime(self) -> float:
        """
        Return the time for C{Last-Modified}.
        """
        seconds: float = super().getModificationTime()
        return modifiedAt(seconds)

    def _judge(self, request: Request) -> int | None:
        """
        Evaluate the conditions of a request.

        @return: 412 or 304, which is the answer then; C{None} for the usual one.
        @raise OSError: the file can't be read. Then no condition applies.
        """
        self.openForReading()
        headers = request.requestHeaders
        modified = modifiedAt(self.getModificationTime())
        verdict = check_conditions(
            lambda name: headers.getRawHeaders(name, []), modified, time()
        )
        # Twisted ignores If-None-Match, which comes before it.
        headers.removeHeader(b"if-modified-since")
        if verdict == 304:
            request.setHeader(b"last-modified", format_date(modified))
        return verdict

    def getChild(self, path: bytes, request: Request) -> IResource:
        try:
            path.decode("utf-8")
        except UnicodeDecodeError:
            return notFound()  # Twisted would log a traceback
        if isHidden(path.decode("utf-8")) or b"\0" in path:
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
            verdict = self._judge(request) if self.isfile() else None
            if verdict is None:
                return super().render_GET(request)  # type: ignore[no-untyped-call]
        except OSError as error:
            return _refuse(request, error)
        request.setResponseCode(verdict)
        return UNMET if verdict == 412 else b""

    render_HEAD = render_GET


def _refuse(request: Request, error: OSError) -> bytes | FileBody:
    """
    Answer that a file can't be read: since the check, it may have been deleted or
    replaced by a socket or the like.

    @raise OSError: the error isn't one of those that are expected.
    """
    answer = refuseFile(error)
    request.responseHeaders.removeHeader(b"accept-ranges")
    request.setResponseCode(answer.status)
    for name, value in answer.headers:
        request.setHeader(name, value)
    return answer.body
