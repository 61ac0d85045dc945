"""
The body of an HTTP/1.1 request: as many bytes as its head says, or chunks.

Goal: bytes of anybody's making come in, cut anywhere; out comes the body and what is
behind it, or the refusal that answers it. It is as strict as L{HeadParser}: each
leniency is one more way for a proxy in front to have found another end.

Invariants: what is kept is at most C{limit} bytes of body and one line; a length is
checked against the limit before a byte of what it announces is kept; each byte is
looked at a bounded number of times; what is said about it is the same however it is
cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from wsplug.codec.httphead import TOKEN
from wsplug.errors import HandshakeRefused

__all__ = ["BodyParser", "body_too_large"]

_MAX_LINE: Final = 1024
"""
Bytes of a chunk's first line, without its end.
"""

_MAX_EXTENSIONS: Final = 4096
"""
Bytes of chunk extensions in one body (RFC 9112 section 7.1.1 wants a bound).
"""

_MAX_TRAILERS: Final = 8 * 1024
"""
Bytes of the trailer section (RFC 9112 section 7.1.2). It is thrown away.
"""

_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t -~\x80-\xff]*)?")
"""
What a chunk begins with (RFC 9112 section 7.1): its size, and perhaps extensions.
"""

_CHUNK_SO_FAR: Final = re.compile(
    rb"[0-9A-Fa-f]{1,15}(?:[ \t]*(?:;[\t -~\x80-\xff]*)?)?\r?"
)
"""
What may become one.
"""

_TRAILER: Final = re.compile(rb"%b:[\t -~\x80-\xff]*" % TOKEN)
"""
A field of the trailer section.
"""


def body_too_large(limit: int) -> HandshakeRefused:
    """
    Refuse a request for the size of its body (RFC 9110 section 15.5.14).

    @param limit: bytes that it may have.
    """
    reason = f"a body of over {limit} bytes is not taken here"
    return HandshakeRefused(413, reason if limit else "no body is taken here")


class BodyParser:
    """
    Collects the body of one request.

    @ivar received: bytes of it that are there.
    @ivar rest: once it is whole: what came behind it. The caller takes it.
    """

    __slots__ = (
        "_body",
        "_extensions",
        "_limit",
        "_line",
        "_missing",
        "_step",
        "_trailers",
        "rest",
    )

    def __init__(self, size: int | None, limit: int) -> None:
        """
        @param size: the number of bytes that it has, within the limit; C{None} where
            it comes in chunks.
        @param limit: bytes that it may have.
        """
        self._body = bytearray()
        self._limit = limit
        # Of the body, or of the chunk that is being read.
        self._missing = size or 0
        self._extensions = 0
        self._trailers = 0
        # What is read line by line: the part of a line that is there.
        self._line = bytearray()
        # What reads the next bytes. Not a method of this one, which would refer to it.
        self._step: Callable[[BodyParser, bytes, int], int]
        self._step = BodyParser._read_sized
        if size is None:
            self._step = BodyParser._read_size
        self.rest = b""

    @property
    def received(self) -> int:
        return len(self._body)

    def feed(self, data: bytes) -> bytes | HandshakeRefused | None:
        """
        Take the next bytes.

        @param data: any number of bytes.
        @return: the body, once it is whole; the refusal, once it can be none: then
            nothing more may be fed; C{None} while something of it is missing.
        """
        if self._step is BodyParser._read_sized and not self._body:
            missing = self._missing
            if len(data) >= missing:
                # Nearly every body comes in one piece.
                self.rest = data[missing:]
                return data[:missing] if self.rest else data
        place = 0
        size = len(data)
        try:
            while place < size and self._step is not BodyParser._read_nothing:
                place = self._step(self, data, place)
        except HandshakeRefused as refusal:
            # The traceback leads to the caller's frame, and that back to the refusal.
            return refusal.with_traceback(None)
        if self._step is not BodyParser._read_nothing:
            return None
        self.rest = data[place:]
        return bytes(self._body)

    def _read_nothing(self, data: bytes, place: int) -> int:
        """
        It is whole.
        """
        return place

    def _take(self, data: bytes, place: int) -> int:
        """
        Collect what is missing of the body, or of a chunk.
        """
        end = min(len(data), place + self._missing)
        self._body += data[place:end] if end - place < len(data) else data
        self._missing -= end - place
        return end

    def _read_sized(self, data: bytes, place: int) -> int:
        place = self._take(data, place)
        if not self._missing:
            self._step = BodyParser._read_nothing
        return place

    # Chunks

    def _take_line(self, data: bytes, place: int, limit: int) -> tuple[int, bool]:
        """
        Collect a line, with its end.

        @param limit: bytes that it may have without its end: no more are kept than one
            over that.
        @return: the place behind what was taken, and whether the line is whole.
        """
        line = self._line
        had = len(line)
        line += data[place : place + limit + 2 - had]
        end = line.find(b"\r\n", max(had - 1, 0))
        if end < 0:
            return place + len(line) - had, False
        del line[end + 2 :]
        return place + len(line) - had, True

    def _read_size(self, data: bytes, place: int) -> int:
        """
        Read the line that a chunk begins with.
        """
        place, whole = self._take_line(data, place, _MAX_LINE)
        line = bytes(self._line)
        if not whole:
            # The first wrong byte says which rule it was, however the input is cut.
            if not _CHUNK_SO_FAR.fullmatch(line):
                raise HandshakeRefused(400, "malformed chunk in the request's body")
            if len(line) > _MAX_LINE + 1:
                raise HandshakeRefused(400, "a chunk's first line is too long")
            return place
        match = _CHUNK.fullmatch(line, 0, len(line) - 2)
        if match is None:
            raise HandshakeRefused(400, "malformed chunk in the request's body")
        self._extensions += len(line) - 2 - len(match[1])
        if self._extensions > _MAX_EXTENSIONS:
            raise HandshakeRefused(
                400, f"over {_MAX_EXTENSIONS} bytes of chunk extensions"
            )
        self._line.clear()
        size = int(match[1], 16)
        if size > self._limit - len(self._body):
            raise body_too_large(self._limit)
        self._missing = size
        self._step = BodyParser._read_chunk if size else BodyParser._read_trailer
        return place

    def _read_chunk(self, data: bytes, place: int) -> int:
        place = self._take(data, place)
        if not self._missing:
            self._step = BodyParser._read_end
        return place

    def _read_end(self, data: bytes, place: int) -> int:
        """
        Read the line end behind a chunk.
        """
        line = self._line
        had = len(line)
        line += data[place : place + 2 - had]
        if not b"\r\n".startswith(line):
            raise HandshakeRefused(400, "malformed chunk in the request's body")
        place += len(line) - had
        if len(line) == 2:
            line.clear()
            self._step = BodyParser._read_size
        return place

    def _read_trailer(self, data: bytes, place: int) -> int:
        """
        Read a line of the trailer section; an empty one ends the body.
        """
        place, whole = self._take_line(data, place, _MAX_TRAILERS - self._trailers)
        line = self._line
        if not whole:
            if self._trailers + len(line) > _MAX_TRAILERS + 1:
                raise HandshakeRefused(
                    400, f"over {_MAX_TRAILERS} bytes of trailers behind a body"
                )
            return place
        if len(line) == 2:
            self._step = BodyParser._read_nothing
            return place
        if not _TRAILER.fullmatch(line, 0, len(line) - 2):
            raise HandshakeRefused(400, "malformed trailer behind the request's body")
        self._trailers += len(line)
        line.clear()
        return place
