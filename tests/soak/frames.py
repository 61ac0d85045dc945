"""Frames as a client sees them (RFC 6455 section 5), made and read without the
server's codec: a bug in both would stay hidden otherwise.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import Final

__all__ = [
    "BINARY",
    "CLOSE",
    "COMPRESSED",
    "FIN",
    "PING",
    "PONG",
    "TEXT",
    "Reader",
    "deflate",
    "encode",
]

TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

FIN: Final = 0x80
COMPRESSED: Final = 0x40

_TAIL: Final = b"\x00\x00\xff\xff"


def encode(opcode: int, payload: bytes, *, bits: int = FIN) -> bytes:
    """Create a masked frame.

    @param bits: of its first byte, in addition to the opcode.
    """
    size = len(payload)
    if size < 126:
        header = struct.pack("!BB", bits | opcode, 0x80 | size)
    elif size < 1 << 16:
        header = struct.pack("!BBH", bits | opcode, 0xFE, size)
    else:
        header = struct.pack("!BBQ", bits | opcode, 0xFF, size)
    mask = os.urandom(4)
    whole = (mask * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")
    return header + mask + masked.to_bytes(size, "big")


def deflate(payload: bytes) -> bytes:
    """Compress a single message (RFC 7692 section 7.2.1)."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    data = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
    return data[: -len(_TAIL)]


class Reader:
    """Parses what a server sends."""

    def __init__(self, *, compressed: bool, takeover: bool) -> None:
        """@param compressed: whether compression was negotiated.
        @param takeover: whether the server may reuse the last message's context.
        """
        self._compressed = compressed
        self._takeover = takeover
        self._inflater = zlib.decompressobj(-15)
        self._buffer = bytearray()
        self._first = 0
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Parse more bytes.

        @return: opcode and payload of each whole message or control frame.
        @raise ValueError: a server may never send this.
        """
        self._buffer += data
        while (frame := self._next()) is not None:
            first, payload = frame
            opcode = first & 15
            if opcode >= CLOSE:
                if not first & FIN or first & 0x70 or len(payload) > 125:
                    raise ValueError(f"a control frame with {first:#x}")
                yield opcode, payload
                continue
            if bool(opcode) is bool(self._parts) or first & 0x30:
                raise ValueError(f"a frame that begins with {first:#x}")
            self._first = self._first if self._parts else first
            self._parts.append(payload)
            if first & FIN:
                whole = b"".join(self._parts)
                self._parts.clear()
                yield self._first & 15, self._inflate(whole)

    def _next(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, size = buffer[0], buffer[1]
        start = 2
        if size > 127:
            raise ValueError("a masked frame")
        if size > 125:
            start = 4 if size == 126 else 10
            if len(buffer) < start:
                return None
            size = int.from_bytes(buffer[2:start], "big")
        end = start + size
        if len(buffer) < end:
            return None
        payload = bytes(buffer[start:end])
        del buffer[:end]
        return first, payload

    def _inflate(self, payload: bytes) -> bytes:
        if not self._first & COMPRESSED:
            return payload
        if not self._compressed:
            raise ValueError("compressed, which wasn't agreed on")
        if not self._takeover:
            self._inflater = zlib.decompressobj(-15)
        return self._inflater.decompress(payload + _TAIL)
