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
from time import time
from typing import BinaryIO, Final

from twisted.web.static import loadMimeTypes

from wsplug.codec import check_conditions, format_date, read_range
from wsplug.interfaces import IPlainRequest, IPlainResource
from wsplug.plain import (
    TEXT,
    FileBody,
    PlainResource,
    Response,
    notFound,
    redirect,
)

__all__ = [
    "ABSENT",
    "EXHAUSTED",
    "HEADERS",
    "UNMET",
    "StaticFiles",
    "StoredFile",
    "isHidden",
    "isWithin",
    "modifiedAt",
    "openFile",
    "refuseFile",
    "sendFile",
]

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

EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE)
"""
The error numbers of opening a file when too many are open.
"""

UNMET: Final = b"a condition of the request is not met\n"
"""
The body of a 412.
"""

_SMALL: Final = 64 * 1024
"""
The most bytes that are read at once, together with the head of the response.
"""

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
        _checkKind(os.fstat(descriptor), path)
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def _checkKind(state: os.stat_result, path: str) -> None:
    """
    @raise OSError: a file isn't a regular one.
    """
    if not stat.S_ISREG(state.st_mode):
        raise FileNotFoundError(errno.ENOENT, "not a regular file", path)


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


class StoredFile:
    """
    A file that is open only while a piece of it is read. So a client that doesn't read
    its response holds no descriptor beside that of its connection.
    """

    __slots__ = ("_path", "_position", "_version")

    def __init__(self, path: str, state: os.stat_result, position: int = 0) -> None:
        """
        @param state: what C{os.fstat} said of the file when the response's head was
            made. Every piece is from the same version of it.
        @param position: the position of the first byte to read.
        """
        self._path = path
        self._version = _versionOf(state)
        self._position = position

    def seek(self, position: int) -> None:
        """
        Set the position of the next byte to read.
        """
        self._position = position

    def read(self, size: int) -> bytes:
        """
        Read the next bytes.

        @return: at most C{size} bytes; none at the end of the file.
        @raise OSError: the file can't be read, or was changed or replaced meanwhile.
        """
        # Without a file object, which would take as long as the rest.
        descriptor = os.open(self._path, _FLAGS)
        try:
            state = os.fstat(descriptor)
            _checkKind(state, self._path)
            if _versionOf(state) != self._version:
                raise OSError(errno.ESTALE, "the file was changed", self._path)
            os.lseek(descriptor, self._position, os.SEEK_SET)
            data = os.read(descriptor, size)
        finally:
            os.close(descriptor)
        self._position += len(data)
        return data

    def close(self) -> None:
        """
        Do nothing: the file is closed.
        """


def _versionOf(state: os.stat_result) -> tuple[int, int, int, int]:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def modifiedAt(seconds: float) -> int:
    """
    Return the time of a file's modification in whole seconds, for C{Last-Modified}. A
    time in the future becomes the current one (RFC 9110 section 8.8.2.1). So no time
    stands for two versions of a file that are written in the same second. A time before
    1970, which some clients can't read, becomes the beginning of that year.

    @param seconds: as from C{os.stat}.
    """
    return max(min(ceil(seconds), int(time())), 0)


def isHidden(name: str) -> bool:
    """
    Return whether a file or folder isn't meant for visitors, such as C{.git} or
    C{.env}. RFC 8615 has the exception.
    """
    return name.startswith(".") and name != ".well-known"


def sendFile(
    request: IPlainRequest, path: str, headers: Iterable[tuple[bytes, bytes]] = ()
) -> Response:
    """
    Answer with a file or a part of it, or with what the conditions of the request lead
    to: 304 if it is unchanged, 412 if they aren't met.

    @param headers: further headers of the response.
    @raise OSError: the file doesn't exist, or can't be read.
    """
    with openFile(path) as file:
        answer = _answerWith(request, path, file)
    answer.headers[:0] = [*headers, *HEADERS]
    return answer


def _answerWith(request: IPlainRequest, path: str, file: BinaryIO) -> Response:
    state = os.fstat(file.fileno())
    size, modified = state.st_size, modifiedAt(state.st_mtime)
    headers = [(b"Last-Modified", format_date(modified))]
    verdict = check_conditions(request.getHeaders, modified, time())
    if verdict == 412:
        return Response(412, [TEXT], UNMET)
    if verdict == 304:
        return Response(304, headers)
    headers += [(b"Accept-Ranges", b"bytes"), *_typeOf(path)]
    isRead = request.method == b"GET"
    part = None
    # RFC 9110 section 14.2: ranges are for GET only. With If-Range, the whole file is
    # sent, as section 13.1.5 allows.
    if isRead and not request.getHeaders(b"if-range"):
        part = read_range(request.getHeaders(b"range"), size)
    first, end = (0, size) if part is None else part
    if part is not None:
        if first == end:
            return Response(416, [(b"Content-Range", b"bytes */%d" % size)])
        contentRange = b"bytes %d-%d/%d" % (first, end - 1, size)
        headers.append((b"Content-Range", contentRange))
    status = 200 if part is None else 206
    if isRead and end - first <= _SMALL:
        file.seek(first)
        data = file.read(end - first)
        if len(data) == end - first:
            return Response(status, headers, data)
    return Response(
        status, headers, FileBody(StoredFile(path, state, first), end - first)
    )


def refuseFile(error: OSError) -> Response:
    """
    Return the answer to a request for a file that can't be opened.

    @param error: is being handled.
    @raise OSError: that error, if it is none of those that are expected.
    """
    if error.errno in ABSENT:
        return notFound()
    if error.errno in _FORBIDDEN:
        return Response(403, [TEXT], b"this can't be read\n")
    if error.errno in EXHAUSTED:
        headers = [TEXT, (b"Retry-After", b"1")]
        return Response(503, headers, b"too many files are open\n")
    raise error


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

    def movedTo(self, path: str | os.PathLike[str]) -> StaticFiles:
        """
        Return the same for the files of another folder: with the same resources among
        them.
        """
        moved = StaticFiles(path, headers=self._headers, followsLinks=self.followsLinks)
        moved._children = self._children
        return moved

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
            return refuseFile(error)

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
            if os.path.splitdrive(part)[0] or isHidden(part):
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
