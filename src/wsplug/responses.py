"""
Whole answers to plain HTTP requests. L{wsplug.plain} exports them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

__all__ = ["FileBody", "Response"]


class FileBody:
    """
    A part of a file that is to be sent. Whoever sends it closes it.

    @ivar size: the number of bytes, from where the file is at.
    """

    __slots__ = ("_file", "size")

    def __init__(self, file: BinaryIO, size: int) -> None:
        """
        @param file: an open one, of which nobody reads anything else.
        """
        self._file = file
        self.size = size

    def read(self, size: int) -> bytes:
        """
        Read the next bytes.

        @return: some of them; none at the end of the file, which may have become
            shorter.
        @raise OSError: that can't be done.
        """
        return self._file.read(size)

    def close(self) -> None:
        """
        Read no more.
        """
        self._file.close()


class Response:
    """
    The whole answer to a request.

    @ivar status: the HTTP status.
    @ivar headers: names and values; not those that say where it ends, and no date.
    @ivar body: what answers C{GET}: to C{HEAD} it isn't sent.
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
