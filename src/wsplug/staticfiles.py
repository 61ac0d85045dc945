"""
A folder of static files, served without C{twisted.web}.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import ceil
from typing import BinaryIO, Final

from twisted.web.static import loadMimeTypes

from wsplug.codec import format_date, read_date, read_range
from wsplug.interfaces import IPlainRequest, IPlainResource
from wsplug.plain import (
    TEXT,
    FileBody,
    PlainResource,
    Response,
    notFound,
    redirect,
)

__all__ = ["ABSENT", "HEADERS", "StaticFiles", "isWithin", "openFile", "sendFile"]

_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_NONBLOCK", 0)
)

ABSENT: Final = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.ENXIO,
    errno.ENODEV,
    errno.ENAMETOOLONG,
)
"""
The error numbers of opening a file that doesn't exist any more.
"""

_FORBIDDEN: Final = (errno.EACCES, errno.EPERM)

_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE)

_INDEXES: Final = ("index.html", "index.htm")

_ENCODINGS: Final = {".gz": b"gzip", ".bz2": b"bzip2"}

_SEPARATORS: Final = tuple(each for each in ("/", os.sep, os.altsep, "\0") if each)

HEADERS: Final = (
    (b"Cache-Control", b"no-cache"),
    (b"X-Content-Type-Options", b"nosniff"),
)
"""
The headers of each response with a file. Browsers revalidate every file, at the price
of a 304. So after an update of the server, no page runs with an old script.
"""


def openFile(path: str) -> BinaryIO:
    """
    Open a regular file. The path may lead to another file than a moment ago, such as a
    FIFO, which must not block the server.

    @raise OSError: the file doesn't exist, can't be read, or isn't a regular file.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(errno.ENOENT, "not a regular file", path)
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def isWithin(path: str, folder: str) -> bool:
    """
    Return whether a path leads into a folder. Symbolic links are resolved each time,
    because one on the way to the folder may change, too.
    """
    root, real = os.path.realpath(folder), os.path.realpath(path)
    return os.path.commonpath((real, root)) == root


@cache
def _types() -> Mapping[str, str]:
    """
    Return the media types by the extensions of file names.
    """
    types: Mapping[str, str] = loadMimeTypes()
    return types


def _typeOf(path: str) -> list[tuple[bytes, bytes]]:
    """
    Return the headers for a file's media type and encoding, by its name.
    """
    name, extension = os.path.splitext(path.lower())
    encoding = _ENCODINGS.get(extension)
    headers = []
    if encoding is not None:
        headers.append((b"Content-Encoding", encoding))
        extension = os.path.splitext(name)[1]
    kind = _types().get(extension, "text/html")
    return [*headers, (b"Content-Type", kind.encode("ascii"))]


def sendFile(
    request: IPlainRequest, path: str, headers: Iterable[tuple[bytes, bytes]] = ()
) -> Response:
    """
    Answer with a file, a part of it, or 304 if it is unchanged.

    @param headers: further headers of the response.
    @raise OSError: the file doesn't exist, or can't be read.
    """
    file = openFile(path)
    try:
        answer = _answerWith(request, path, file)
    except BaseException:
        file.close()
        raise
    if not isinstance(answer.body, FileBody):
        file.close()
    answer.headers[:0] = [*headers, *HEADERS]
    return answer


def _answerWith(request: IPlainRequest, path: str, file: BinaryIO) -> Response:
    state = os.fstat(file.fileno())
    size, modified = state.st_size, ceil(state.st_mtime)
    headers = [(b"Last-Modified", format_date(modified))]
    if not request.getHeaders(b"if-none-match"):  # RFC 9110 section 13.1.3
        since = read_date(request.getHeaders(b"if-modified-since"))
        if since is not None and since >= modified:
            return Response(304, headers)
    headers += [(b"Accept-Ranges", b"bytes"), *_typeOf(path)]
    part = None
    # RFC 9110 section 14.2: ranges are for GET only. With If-Range, the whole file is
    # sent, as section 13.1.5 allows.
    if request.method == b"GET" and not request.getHeaders(b"if-range"):
        part = read_range(request.getHeaders(b"range"), size)
    if part is None:
        return Response(200, headers, FileBody(file, size))
    first, end = part
    if first == end:
        return Response(416, [(b"Content-Range", b"bytes */%d" % size)])
    file.seek(first)
    place = b"bytes %d-%d/%d" % (first, end - 1, size)
    headers.append((b"Content-Range", place))
    return Response(206, headers, FileBody(file, end - first))


class StaticFiles(PlainResource):
    """
    The files of a folder, and resources that you put among them. It serves regular
    files and the indexes of folders. Everything else is 404: a FIFO, which would block
    the server until another process writes to it, and a symbolic link that leads out
    of the folder.

    The server makes one for an application whose C{pages} is a path.

    @ivar followsLinks: whether symbolic links may lead out of the folder.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        headers: Iterable[tuple[bytes, bytes]] = (),
        followsLinks: bool = False,
    ) -> None:
        """
        @param path: the path of the folder.
        @param headers: further headers of each response with a file.
        """
        self.path = os.path.abspath(os.fspath(path))
        self.followsLinks = followsLinks
        self._headers = [*headers]
        self._children: dict[bytes, IPlainResource] = {}

    def putChild(self, name: bytes, child: IPlainResource) -> None:
        """
        Put a resource at a name. It hides a file of this name.

        @param name: a segment of a path, decoded.
        """
        self._children[name] = child

    def find(self, request: IPlainRequest) -> IPlainResource | None:
        rest = request.postpath
        child = self._children.get(rest[0]) if rest else None
        if child is None:
            return self
        request.prepath.append(rest.pop(0))
        return child.find(request)

    def judge(self, request: IPlainRequest) -> Response | None:
        if request.method in self.methods:
            return None
        path = self._locate(request.postpath)
        if path is None or not os.path.exists(path) or not self._isWithin(path):
            return notFound()
        return super().judge(request)

    def respond(self, request: IPlainRequest) -> Response:
        try:
            return self._respond(request, request.postpath)
        except OSError as error:
            if error.errno in ABSENT:
                return notFound()
            if error.errno in _FORBIDDEN:
                return Response(403, [TEXT], b"this can't be read\n")
            if error.errno in _EXHAUSTED:
                headers = [TEXT, (b"Retry-After", b"1")]
                return Response(503, headers, b"too many files are open\n")
            raise

    def _respond(self, request: IPlainRequest, names: Sequence[bytes]) -> Response:
        """
        @raise OSError: the file doesn't exist, or can't be read.
        """
        isFolder = not names or not names[-1]
        path = self._locate(names)
        if path is None:
            return notFound()
        mode = os.stat(path).st_mode
        if not stat.S_ISDIR(mode):
            if isFolder or not stat.S_ISREG(mode) or not self._isWithin(path):
                return notFound()
            return sendFile(request, path, self._headers)
        if not self._isWithin(path):
            return notFound()
        if not names or names[-1]:
            # Without the slash, relative links on the page lead to the wrong folder.
            return redirect(_withSlash(request))
        for name in _INDEXES:
            index = os.path.join(path, name)
            if os.path.isfile(index):
                if not self._isWithin(index):
                    return notFound()
                return sendFile(request, index, self._headers)
        return notFound()

    def _locate(self, names: Sequence[bytes]) -> str | None:
        """
        Return the path that segments lead to; C{None} if one isn't a file name.

        @param names: the segments. The last one is empty after a slash.
        """
        parts = []
        for name in names[:-1] if names and not names[-1] else names:
            try:
                part = name.decode("utf-8")
            except UnicodeDecodeError:
                return None
            if part in ("", ".", "..") or any(each in part for each in _SEPARATORS):
                return None
            if os.path.splitdrive(part)[0]:
                return None
            parts.append(part)
        return os.path.join(self.path, *parts)

    def _isWithin(self, path: str) -> bool:
        """
        Return whether a path leads into the folder.
        """
        return self.followsLinks or isWithin(path, self.path)


def _withSlash(request: IPlainRequest) -> bytes:
    """
    Return a request's path with a slash appended, and its query.
    """
    path, mark, query = request.uri.partition(b"?")
    return path + b"/" + mark + query
