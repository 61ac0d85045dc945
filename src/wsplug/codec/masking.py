"""
Masking: the exclusive-or that every client puts over its payloads (RFC 6455 section
5.3).
"""

from __future__ import annotations

__all__ = ["apply_mask"]


def apply_mask(data: bytes, mask: bytes) -> bytes:
    """
    Mask or unmask a payload.

    One exclusive-or of two large integers: linear in the data's length, and the
    fastest that plain Python has.

    @param data: the bytes to change; not kept.
    @param mask: four bytes, the first of which belongs to the first byte of C{data}.
    @return: as many bytes as C{data} has.
    """
    size = len(data)
    key = mask * (size >> 2) + mask[: size & 3]
    return (int.from_bytes(data, "little") ^ int.from_bytes(key, "little")).to_bytes(
        size, "little"
    )
