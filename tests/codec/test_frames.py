"""Encoding frames (RFC 6455 section 5.2)."""

from __future__ import annotations

import pytest

from wsplug.codec import (
    FIN,
    OP_BINARY,
    OP_CLOSE,
    OP_CONTINUATION,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    RSV1,
    encode_frame,
    encode_header,
)


@pytest.mark.parametrize(
    ("first", "payload", "mask", "wire"),
    [
        (FIN | OP_TEXT, b"Hello", None, b"\x81\x05Hello"),
        (
            FIN | OP_TEXT,
            b"Hello",
            b"\x37\xfa\x21\x3d",
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        ),
        (OP_TEXT, b"Hel", None, b"\x01\x03Hel"),
        (FIN | OP_CONTINUATION, b"lo", None, b"\x80\x02lo"),
        (FIN | OP_PING, b"Hello", None, b"\x89\x05Hello"),
        (
            FIN | OP_PONG,
            b"Hello",
            b"\x37\xfa\x21\x3d",
            b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        ),
        (FIN | OP_BINARY, bytes(256), None, b"\x82\x7e\x01\x00" + bytes(256)),
        (
            FIN | OP_BINARY,
            bytes(65536),
            None,
            b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + bytes(65536),
        ),
        (FIN | RSV1 | OP_TEXT, b"\xf2", None, b"\xc1\x01\xf2"),
        (FIN | OP_CLOSE, b"", b"abcd", b"\x88\x80abcd"),
    ],
)
def test_examples(first: int, payload: bytes, mask: bytes | None, wire: bytes) -> None:
    """The examples of section 5.7 (and of RFC 7692 section 7.2.3.1)."""
    assert encode_frame(first, payload, mask) == wire


@pytest.mark.parametrize(
    ("size", "length"),
    [
        (0, b"\x00"),
        (125, b"\x7d"),
        (126, b"\x7e\x00\x7e"),
        (127, b"\x7e\x00\x7f"),
        (65535, b"\x7e\xff\xff"),
        (65536, b"\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
        (2**63 - 1, b"\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"),
    ],
)
def test_shortest_length(size: int, length: bytes) -> None:
    """A length is encoded in its shortest form (section 5.2)."""
    assert encode_header(FIN | OP_BINARY, size) == b"\x82" + length
    masked = bytes([length[0] | 0x80]) + length[1:]
    assert encode_header(FIN | OP_BINARY, size, masked=True) == b"\x82" + masked
