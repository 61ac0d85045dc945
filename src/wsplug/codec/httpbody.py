"""
The parser for the body of an HTTP/1.1 request, of a given size or chunked.

Goal: untrusted bytes come in, split anywhere. The result is the body and the bytes
after it, or the refusal that answers it. The parser is as strict as L{HeadParser}: each
leniency is another way for a proxy in front to find a different end.

Invariants: at most C{limit} bytes of the body and one line are kept. A length is
checked against the limit before any byte of it is kept. Each byte is examined a bounded
number of times, and one call does a bounded amount of work, however small the chunks
are. The result doesn't depend on how the input is split.
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
The limit on a chunk's first line, in bytes, without its line end.
"""

_MAX_EXTENSIONS: Final = 4096
"""
The limit on the chunk extensions of a body, in bytes (RFC 9112 section 7.1.1).
"""

_MAX_TRAILERS: Final = 8 * 1024
"""
The limit on the trailer section, in bytes (RFC 9112 section 7.1.2). It is discarded.
"""

_MAX_STEPS: Final = 1024
"""
The limit on the chunks and lines that are read in one call. Larger reads with more than
64 bytes for each chunk don't reach it.
"""

_PLAIN_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
"""
The first line of nearly every chunk, with its line end.
"""

_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t -~\x80-\xff]*)?")
"""
The first line of a chunk (RFC 9112 section 7.1): its size and optional extensions.
"""

_CHUNK_SO_FAR: Final = re.compile(
    rb"[0-9A-Fa-f]{1,15}(?:[ \t]*(?:;[\t -~\x80-\xff]*)?)?\r?"
)
"""
A chunk's first line, or the beginning of one.
"""

_TRAILER: Final = re.compile(rb"%b:[\t -~\x80-\xff]*" % TOKEN)
"""
A field of the trailer section.
"""


def body_too_large(limit: int) -> HandshakeRefused:
    """
    Make the refusal of a request with too large a body (RFC 9110 section 15.5.14).

    @param limit: the limit on the body, in bytes.
    """
    reason = f"the request's body is over {limit} bytes"
    return HandshakeRefused(413, reason if limit else "no request body is allowed")


class BodyParser:
    """
    Parses the body of one request.

    @ivar received: the size, in bytes, of the part that has arrived.
    @ivar rest: the bytes after the complete body, which the caller takes. If the body
        is incomplete, the bytes that are too much work for one call. The caller feeds
        them again, after other work.
    """

    __slots__ = (
        "_body",
        "_extensions",
        "_limit",
        "_line",
        "_missing",
        "_step",
        "_steps",
        "_trailers",
        "rest",
    )

    def __init__(self, size: int | None, limit: int) -> None:
        """
        @param size: the body's size in bytes, within the limit; C{None} if it is
            chunked.
        @param limit: the limit on the body, in bytes.
        """
        self._body = bytearray()
        self._limit = limit
        # The missing bytes of the body, or of the current chunk.
        self._missing = size or 0
        self._extensions = 0
        self._trailers = 0
        # The part of the current line that has arrived.
        self._line = bytearray()
        # Reads the next bytes. A bound method would be a reference cycle.
        self._step: Callable[[BodyParser, bytes, int], int]
        self._step = BodyParser._read_sized
        if size is None:
            self._step = BodyParser._read_size
        # The chunks and lines that the current call may still read.
        self._steps = 0
        self.rest = b""

    @property
    def received(self) -> int:
        return len(self._body)

    def feed(self, data: bytes) -> bytes | HandshakeRefused | None:
        """
        Process the next bytes.

        @param data: any number of bytes.
        @return: the body, if it is complete; the refusal, if the bytes are invalid:
            then no more may be fed; C{None} if the body is incomplete, or if C{rest}
            has to be fed.
        """
        if self._step is BodyParser._read_sized and not self._body:
            missing = self._missing
            if len(data) >= missing:
                # Nearly every body arrives in one piece.
                self.rest = data[missing:]
                return data[:missing] if self.rest else data
        position = 0
        size = len(data)
        self._steps = _MAX_STEPS
        try:
            while position < size and self._steps > 0:
                if self._step is BodyParser._read_nothing:
                    break
                self._steps -= 1
                position = self._step(self, data, position)
        except HandshakeRefused as refusal:
            # The traceback refers to the caller's frame, which refers to the refusal.
            return refusal.with_traceback(None)
        self.rest = data[position:]
        if self._step is not BodyParser._read_nothing:
            return None
        return bytes(self._body)

    def _read_nothing(self, data: bytes, position: int) -> int:
        """
        Read nothing: the body is complete.
        """
        return position

    def _take(self, data: bytes, position: int) -> int:
        """
        Collect missing bytes of the body, or of a chunk.
        """
        end = min(len(data), position + self._missing)
        self._body += data[position:end] if end - position < len(data) else data
        self._missing -= end - position
        return end

    def _read_sized(self, data: bytes, position: int) -> int:
        position = self._take(data, position)
        if not self._missing:
            self._step = BodyParser._read_nothing
        return position

    # Chunks

    def _take_line(self, data: bytes, position: int, limit: int) -> tuple[int, bool]:
        """
        Collect a line, with its line end.

        @param limit: the limit on the line, in bytes, without its line end. At most two
            more bytes are kept.
        @return: the position after the collected bytes, and whether the line is whole.
        """
        line = self._line
        had = len(line)
        line += data[position : position + limit + 2 - had]
        end = line.find(b"\r\n", max(had - 1, 0))
        if end < 0:
            return position + len(line) - had, False
        del line[end + 2 :]
        return position + len(line) - had, True

    def _read_whole(self, data: bytes, position: int) -> int:
        """
        Read the plain chunks that have arrived in one piece. All others are left, even
        if they are invalid.
        """
        body, steps = self._body, self._steps
        room = self._limit - len(body)
        while steps > 0:
            match = _PLAIN_SIZE.match(data, position)
            if match is None:
                break
            size = int(match[1], 16)
            start = match.end()
            end = start + size
            if not 0 < size <= room or data[end : end + 2] != b"\r\n":
                break
            body += data[start:end]
            room -= size
            position = end + 2
            steps -= 1
        self._steps = steps
        return position

    def _read_size(self, data: bytes, position: int) -> int:
        """
        Read the first line of a chunk, after the chunks that can be read at once.
        """
        if not self._line:
            position = self._read_whole(data, position)
            if position == len(data) or not self._steps:
                return position
        position, whole = self._take_line(data, position, _MAX_LINE)
        line = bytes(self._line)
        if not whole:
            # The first invalid byte determines the reason, however input is split.
            if not _CHUNK_SO_FAR.fullmatch(line):
                raise HandshakeRefused(400, "malformed chunk in the request's body")
            if len(line) > _MAX_LINE + 1:
                raise HandshakeRefused(400, "a chunk's first line is too long")
            return position
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
        return position

    def _read_chunk(self, data: bytes, position: int) -> int:
        position = self._take(data, position)
        if not self._missing:
            self._step = BodyParser._read_end
        return position

    def _read_end(self, data: bytes, position: int) -> int:
        """
        Read the line end after a chunk.
        """
        line = self._line
        had = len(line)
        line += data[position : position + 2 - had]
        if not b"\r\n".startswith(line):
            raise HandshakeRefused(400, "malformed chunk in the request's body")
        position += len(line) - had
        if len(line) == 2:
            line.clear()
            self._step = BodyParser._read_size
        return position

    def _read_trailer(self, data: bytes, position: int) -> int:
        """
        Read a line of the trailer section. An empty line ends the body.
        """
        position, whole = self._take_line(
            data, position, _MAX_TRAILERS - self._trailers
        )
        line = self._line
        if not whole:
            if self._trailers + len(line) > _MAX_TRAILERS + 1:
                raise HandshakeRefused(400, f"over {_MAX_TRAILERS} bytes of trailers")
            return position
        if len(line) == 2:
            self._step = BodyParser._read_nothing
            return position
        if not _TRAILER.fullmatch(line, 0, len(line) - 2):
            raise HandshakeRefused(400, "malformed trailer of the request's body")
        self._trailers += len(line)
        line.clear()
        return position
