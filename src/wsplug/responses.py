"""
Whole responses to plain HTTP requests. L{wsplug.plain} exports these classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

__all__ = ["FileBody", "Readable", "Response"]


class Readable(Protocol):
    """
    What L{FileBody} needs of a file.
    """

    def read(self, size: int, /) -> bytes:
        """Read the next bytes: at most so many, and none at the end."""

    def close(self) -> None:
        """Close the file."""


class FileBody:
    """
    A part of a file, as the body of a response. The sender closes it.

    A file that stays open takes a descriptor, which C{max-connections} doesn't count,
    until the client has read the response or C{send-timeout} has passed.
    L{wsplug.staticfiles.sendFile} keeps none open.

    @ivar size: the number of bytes, from the file's current position.
    """

    __slots__ = ("_file", "size")

    def __init__(self, file: Readable, size: int) -> None:
        """
        @param file: an open file, which nothing else reads.
        """
        self._file = file
        self.size = size

    def read(self, size: int) -> bytes:
        """
        Read the next bytes.

        @return: at most C{size} bytes; none at the end of the file, which may be
            shorter than it was.
        @raise OSError: reading fails.
        """
        return self._file.read(size)

    def close(self) -> None:
        """
        Close the file.
        """
        self._file.close()


class Response:
    """
    The whole response to a request.

    @ivar status: the HTTP status.
    @ivar headers: names and values. The server adds the date, and the headers for the
        length of the body.
    @ivar body: the body for C{GET}. The server doesn't send it for C{HEAD}.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(
        self,
        status: int = 200,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes | FileBody = b"",
    ) -> None:
        self.status = status
        self.headers = [*headers]
        self.body = body
