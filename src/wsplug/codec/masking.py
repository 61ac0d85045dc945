"""
Masking: the exclusive-or that every client puts over its payloads (RFC 6455 section
5.3).

Plain Python does it with one exclusive-or of two large integers, the compiled build
with C{wsplug.codec._masking}.
"""

from __future__ import annotations

from wsplug.build import COMPILED

__all__ = ["apply_mask", "unmask"]


def unmask(data: bytes, start: int, end: int, mask: bytes) -> bytes:
    """
    Unmask a part of some bytes.

    @param data: not kept.
    @param start: where the part begins.
    @param end: where it ends.
    @param mask: four bytes, the first of which belongs to the part's first byte.
    @return: the part, unmasked.
    """
    return apply_mask(data[start:end], mask)


def apply_mask(data: bytes, mask: bytes) -> bytes:
    """
    Mask or unmask a payload.

    @param data: the bytes to change; not kept.
    @param mask: four bytes, the first of which belongs to the first byte of C{data}.
    @return: as many bytes as C{data} has.
    """
    size = len(data)
    key = mask * (size >> 2) + mask[: size & 3]
    return (int.from_bytes(data, "little") ^ int.from_bytes(key, "little")).to_bytes(
        size, "little"
    )


if COMPILED:
    from wsplug.codec._masking import apply_mask, unmask
