"""Masking (RFC 6455 section 5.3)."""

from __future__ import annotations

import pytest

from tests.codec.threeways import xor
from wsplug.codec import apply_mask


def test_example() -> None:
    """Section 5.7: "Hello" under the mask 37 fa 21 3d, and back."""
    assert apply_mask(b"Hello", b"\x37\xfa\x21\x3d") == b"\x7f\x9f\x4d\x51\x58"
    assert apply_mask(b"\x7f\x9f\x4d\x51\x58", b"\x37\xfa\x21\x3d") == b"Hello"


@pytest.mark.parametrize("size", [*range(20), 125, 126, 65535, 65536, 65537])
def test_sizes(size: int) -> None:
    """All lengths work, those included that aren't multiples of the mask's."""
    data = bytes(i * 7 % 256 for i in range(size))
    for mask in (b"\x01\x02\x03\x04", b"\xff\x00\x00\x80", bytes(4)):
        masked = apply_mask(data, mask)
        assert type(masked) is bytes
        assert masked == xor(data, mask)


def test_ends_of_zeros() -> None:
    """Zero bytes at either end are kept."""
    assert apply_mask(b"\x01\x02\x03\x04\x00", b"\x01\x02\x03\x04") == b"\0\0\0\0\x01"
    assert apply_mask(bytes(9), bytes(4)) == bytes(9)
