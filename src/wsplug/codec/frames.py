"""
Encodes frames: opcodes, headers, complete frames (RFC 6455 section 5.2).

In the compiled build, C{wsplug.codec._frames} encodes the server's messages.
"""

from __future__ import annotations

from typing import Final

from wsplug.build import COMPILED
from wsplug.codec.masking import apply_mask

__all__ = [
    "FIN",
    "MAX_CONTROL_SIZE",
    "OP_BINARY",
    "OP_CLOSE",
    "OP_CONTINUATION",
    "OP_PING",
    "OP_PONG",
    "OP_TEXT",
    "RSV1",
    "encode_frame",
    "encode_header",
    "encode_text",
    "encode_unmasked",
]

# Integers, not an enumeration: the receiver compares them for each frame.
OP_CONTINUATION: Final = 0x0
OP_TEXT: Final = 0x1
OP_BINARY: Final = 0x2
OP_CLOSE: Final = 0x8
OP_PING: Final = 0x9
OP_PONG: Final = 0xA

FIN: Final = 0x80
RSV1: Final = 0x40
"""
The bit of a message's first frame that says that the message is compressed (RFC 7692
section 6).
"""

MAX_CONTROL_SIZE: Final = 125
"""
The maximum payload of a control frame, in bytes (RFC 6455 section 5.5).
"""


_SHORT_HEADERS: Final = tuple(
    tuple(bytes((first, size)) for size in range(126)) for first in range(256)
)
"""
The headers of short unmasked frames, by first byte and size.
"""


def encode_header(first: int, size: int, masked: bool = False) -> bytes:
    """
    Encode a frame's header, without the masking key.

    @param first: the first byte: L{FIN}, L{RSV1} and the opcode.
    @param size: the size of the payload, in bytes.
    @param masked: whether a masking key follows, as a client must send.
    """
    bit = 0x80 if masked else 0
    if size < 126:
        return bytes((first, bit | size))
    if size < 0x10000:
        return bytes((first, bit | 126)) + size.to_bytes(2, "big")
    return bytes((first, bit | 127)) + size.to_bytes(8, "big")


def encode_frame(first: int, payload: bytes, mask: bytes | None = None) -> bytes:
    """
    Encode a complete frame.

    @param first: the first byte: L{FIN}, L{RSV1} and the opcode.
    @param payload: the unmasked payload.
    @param mask: a client's masking key, four unpredictable bytes (section 5.3).
    """
    if mask is None:
        return encode_unmasked(first, payload)
    size = len(payload)
    return encode_header(first, size, masked=True) + mask + apply_mask(payload, mask)


def encode_unmasked(first: int, payload: bytes) -> bytes:
    """
    Encode a complete unmasked frame, as a server sends it.

    @param first: as for L{encode_frame}.
    """
    size = len(payload)
    if size < 126:
        return _SHORT_HEADERS[first][size] + payload
    return encode_header(first, size) + payload


def encode_text(first: int, text: str) -> bytes:
    """
    Encode a complete unmasked frame with a text, as a server sends it.

    @param first: as for L{encode_frame}.
    @raise UnicodeEncodeError: the text contains a lone surrogate.
    """
    return encode_unmasked(first, text.encode("utf-8"))


if COMPILED:
    from wsplug.codec._frames import encode_text, encode_unmasked
