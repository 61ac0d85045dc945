"""
Masking: the exclusive-or that every client applies to its payloads (RFC 6455 section
5.3).

Plain Python does it with one exclusive-or of two large integers, the compiled build
with C{wsplug.codec._masking}.
"""

from __future__ import annotations

from typing import Final

from wsplug.build import COMPILED

__all__ = [
    "BUFFER_GROWTH",
    "FIRST_BUFFER_SIZE",
    "PayloadBuffer",
    "apply_mask",
    "unmask",
    "unmask_behind",
]


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


def unmask_behind(data: bytes, start: int, end: int) -> bytes:
    """
    Unmask a part of some bytes that stands right behind its mask.

    @param data: not kept.
    @param start: where the part begins: 4 or more.
    @param end: where it ends.
    @return: the part, unmasked.
    """
    return apply_mask(data[start:end], data[start - 4 : start])


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


FIRST_BUFFER_SIZE: Final = 256 * 1024
"""
Bytes for which a buffer is made before any has come: a peer's word alone gets no more.
"""

BUFFER_GROWTH: Final = 4
"""
By how much a buffer grows when it is full: what has come is copied a bounded number of
times, and no more than this much memory is held for it.
"""

_MIN_REST: Final = 64 * 1024
"""
Bytes of the buffer that it is worth while to show.
"""


class PayloadBuffer:
    """
    A payload that comes in pieces, unmasked into the buffer where it will stay.

    @ivar filled: how many bytes of it are here.
    """

    __slots__ = ("_buffer", "_size", "filled")

    def __init__(self, size: int) -> None:
        """
        @param size: how many bytes it will have.
        """
        self._size = size
        self._buffer = bytearray(min(size, FIRST_BUFFER_SIZE))
        self.filled = 0

    @property
    def allocated(self) -> int:
        """
        Bytes of memory that are held for it.
        """
        return len(self._buffer)

    def _grow(self, needed: int) -> None:
        """
        Have a buffer for more of it.

        @param needed: for how many bytes at least.
        """
        size = min(self._size, max(needed, BUFFER_GROWTH * len(self._buffer)))
        self._buffer.extend(bytes(size - len(self._buffer)))

    def add(self, data: bytes, start: int, end: int, mask: bytes) -> None:
        """
        Add the next bytes of it.

        @param data: not kept.
        @param start: where in C{data} they begin.
        @param end: where they end: no more than are missing.
        @param mask: four bytes, the first of which belongs to the first of them; none
            where they aren't masked.
        """
        size = end - start
        piece = unmask(data, start, end, mask) if mask else data[start:end]
        if size > self._size - self.filled:
            raise ValueError("more bytes than the payload has")
        if self.filled + size > len(self._buffer):
            self._grow(self.filled + size)
        self._buffer[self.filled : self.filled + size] = piece
        self.filled += size

    def rest(self) -> memoryview:
        """
        Show the buffer of what is missing, or of some of it, to be written to, and
        L{accept}ed. Release it before anything else is done.
        """
        wanted = min(self._size, self.filled + _MIN_REST)
        if wanted > len(self._buffer):
            self._grow(wanted)
        return memoryview(self._buffer)[self.filled :]

    def accept(self, size: int, mask: bytes) -> None:
        """
        Unmask, in the buffer, what was written to the beginning of L{rest}.

        @param size: how many bytes were.
        @param mask: as for L{add}.
        """
        end = self.filled + size
        if size < 0 or end > len(self._buffer):
            raise ValueError("more bytes than the payload has")
        if mask:
            piece = apply_mask(bytes(self._buffer[self.filled : end]), mask)
            self._buffer[self.filled : end] = piece
        self.filled = end

    def view(self) -> memoryview:
        """
        Show what is here. Release it before L{take}.
        """
        return memoryview(self._buffer)[: self.filled]

    def take(self) -> bytes:
        """
        Give the payload, once it is all here; this is of no use after that.
        """
        if self.filled < self._size:
            raise ValueError("the payload isn't all here")
        payload = bytes(self._buffer)
        self._buffer = bytearray()
        self._size = self.filled = 0
        return payload


if COMPILED:
    from wsplug.codec._masking import (  # type: ignore[assignment]
        PayloadBuffer,
        apply_mask,
        unmask,
        unmask_behind,
    )
