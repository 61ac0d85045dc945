"""
A message for many connections, which is framed and compressed once.
"""

from __future__ import annotations

from zope.interface import classImplements

from wsplug.codec.compression import Deflater
from wsplug.codec.frames import FIN, OP_BINARY, OP_TEXT, RSV1, encode_frame
from wsplug.interfaces import IPreparedMessage
from wsplug.payloads import toMessage

__all__ = ["PreparedMessage"]


class PreparedMessage:
    """
    Keeps the frames of a message: the uncompressed one, and one for each compression
    that connections can share.
    """

    __slots__ = ("_compressed", "_plain", "isText", "payload")

    def __init__(self, message: str | bytes) -> None:
        """
        @param message: text for a text message, bytes for a binary one.
        @raise TypeError: it is neither text nor bytes-like.
        """
        plain = toMessage(message)
        self.isText = isinstance(plain, str)
        self.payload = plain.encode("utf-8") if isinstance(plain, str) else plain
        self._plain: bytes | None = None
        self._compressed: dict[Deflater, bytes] = {}

    def frame(self, deflater: Deflater | None) -> bytes:
        """
        Return the frame for a connection.

        @param deflater: the connection's compressor, without context takeover; C{None}
            if the message isn't compressed.
        """
        if deflater is None:
            if self._plain is None:
                self._plain = encode_frame(self._first, self.payload)
            return self._plain
        frame = self._compressed.get(deflater)
        if frame is None:
            compressed = deflater.deflate(self.payload)
            if len(compressed) < len(self.payload):
                frame = encode_frame(self._first | RSV1, compressed)
            else:
                frame = self.frame(None)
            self._compressed[deflater] = frame
        return frame

    @property
    def _first(self) -> int:
        return FIN | (OP_TEXT if self.isText else OP_BINARY)


classImplements(PreparedMessage, IPreparedMessage)
