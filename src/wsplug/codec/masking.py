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
The largest buffer that is allocated before any of its bytes has arrived. What a peer
announces reserves no more.
"""

BUFFER_GROWTH: Final = 4
"""
The factor by which a full buffer grows. It bounds how often bytes are copied, and how
much memory is allocated for the bytes that have arrived.
"""

_MIN_REST: Final = 64 * 1024
"""
The least number of bytes for which reading into the buffer pays.
"""


class PayloadBuffer:
    """
    A payload that arrives in pieces. Each is unmasked into the buffer where it stays.

    @ivar filled: how many bytes of the payload have arrived.
    """

    __slots__ = ("_buffer", "_size", "filled")

    def __init__(self, size: int) -> None:
        """
        @param size: the length of the payload in bytes.
        """
        self._size = size
        self._buffer = bytearray(min(size, FIRST_BUFFER_SIZE))
        self.filled = 0

    @property
    def allocated(self) -> int:
        """
        The size of the allocated memory in bytes.
        """
        return len(self._buffer)

    def _grow(self, needed: int) -> None:
        """
        Grow the buffer.

        @param needed: the least size in bytes.
        """
        size = min(self._size, max(needed, BUFFER_GROWTH * len(self._buffer)))
        self._buffer.extend(bytes(size - len(self._buffer)))

    def add(self, data: bytes, start: int, end: int, mask: bytes) -> None:
        """
        Add the next bytes of the payload.

        @param data: contains the bytes; not kept.
        @param start: where in C{data} they begin.
        @param end: where they end. There may be no more than are missing.
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
        Return a view of the buffer for the missing bytes, or some of them. Write to it,
        release it, and then call L{accept} before any other method.
        """
        wanted = min(self._size, self.filled + _MIN_REST)
        if wanted > len(self._buffer):
            self._grow(wanted)
        return memoryview(self._buffer)[self.filled :]

    def accept(self, size: int, mask: bytes) -> None:
        """
        Unmask, within the buffer, the bytes that were written to the beginning of
        L{rest}.

        @param size: the number of these bytes.
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
        Return a view of the bytes that have arrived. Release it before L{take}.
        """
        return memoryview(self._buffer)[: self.filled]

    def take(self) -> bytes:
        """
        Return the payload, when all of it has arrived. The object can't be used
        afterwards.
        """
        if self.filled < self._size:
            raise ValueError("the payload is incomplete")
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
