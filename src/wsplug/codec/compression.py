"""
permessage-deflate: messages compressed and inflated (RFC 7692 section 7.2).
"""

from __future__ import annotations

import zlib
from typing import Final

from wsplug.codec.closecodes import CloseCode
from wsplug.errors import ProtocolViolation

__all__ = ["Deflater", "Inflater"]

_TAIL: Final = b"\x00\x00\xff\xff"
"""
The end of a flush, which is removed from messages on the wire (section 7.2.1).
"""

_MAX_RESTARTS: Final = 64
"""
The maximum number of deflate streams that end inside one message. A sender that flushes
with final blocks makes one or a few (section 7.2.3.4). Each needs a new decompressor,
so that without a limit, a few bytes of input could cost as much as thousands.
"""


class Deflater:
    """
    Compresses messages.

    Without context takeover, one can serve any number of connections: each message ends
    with a full flush, after which zlib doesn't refer to earlier data.
    """

    __slots__ = ("_compressor", "_flush", "takes_over", "window_bits")

    def __init__(self, window_bits: int, level: int, *, takes_over: bool) -> None:
        """
        @param window_bits: 8 to 15. zlib can't make a raw stream with 8. With 9, it
            never refers further back than 512 - 262 = 250 bytes (its C{MAX_DIST}),
            which is within a window of 256.
        @param level: zlib's, 1 to 9.
        @param takes_over: whether a message may refer to earlier ones.
        """
        self.takes_over = takes_over
        self.window_bits = window_bits
        self._flush = zlib.Z_SYNC_FLUSH if takes_over else zlib.Z_FULL_FLUSH
        self._compressor = zlib.compressobj(level, zlib.DEFLATED, -max(window_bits, 9))

    def deflate(self, payload: bytes) -> bytes:
        """
        Compress a message.

        @return: its payload on the wire (section 7.2.1).
        """
        if not payload:
            return b"\x00"  # zlib has nothing to flush (section 7.2.3.6)
        compressor = self._compressor
        return (compressor.compress(payload) + compressor.flush(self._flush))[:-4]


class Inflater:
    """
    Inflates one connection's messages, up to a limit.
    """

    __slots__ = ("_restarts", "_stream", "_takes_over", "_window_bits")

    def __init__(self, window_bits: int, *, takes_over: bool) -> None:
        """
        @param window_bits: 8 to 15.
        @param takes_over: whether a message may refer to earlier ones. If not, no state
            of zlib is kept between messages.
        """
        self._window_bits = window_bits
        self._takes_over = takes_over
        self._stream: zlib._Decompress | None = None
        self._restarts = 0

    def inflate(self, data: bytes, room: int) -> bytes:
        """
        Inflate a part of a message.

        @param data: the next bytes of its payload, split anywhere; not kept.
        @param room: the maximum number of bytes of output, 0 or more.
        @return: the output: at most C{room} bytes; C{room} + 1 bytes if there is more,
            and then the message can't be continued.
        @raise ProtocolViolation: the data isn't a deflate stream (1007).
        """
        out = b""
        while data:
            stream = self._stream
            if stream is None:
                stream = self._stream = zlib.decompressobj(-self._window_bits)
            try:
                out += stream.decompress(data, room + 1 - len(out))
            except zlib.error:
                raise ProtocolViolation(
                    CloseCode.INVALID_DATA, "the message can't be decompressed"
                ) from None
            if len(out) > room or not stream.eof:
                break
            # A final block: what follows is a new stream (section 7.2.3.4). Its
            # sender has reset its window, so there is nothing to refer back to.
            data = stream.unused_data
            self._stream = None
            self._restarts += 1
            if self._restarts > _MAX_RESTARTS:
                raise ProtocolViolation(
                    CloseCode.INVALID_DATA, "message has too many final blocks"
                )
        return out

    def finish(self, room: int) -> bytes:
        """
        Inflate the rest of a message at its end (section 7.2.2), and drop the state
        that the next one must not see.

        @param room: as for L{inflate}.
        @return: as from L{inflate}.
        @raise ProtocolViolation: the data isn't a deflate stream (1007).
        """
        out = self.inflate(_TAIL, room)
        self._restarts = 0
        if not self._takes_over:
            self._stream = None
        return out
