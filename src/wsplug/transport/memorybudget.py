"""
A budget for the memory that the whole server buffers, so that no number of peers can
exhaust it. When it is used up, the connections that use most of it release it first.
"""

from __future__ import annotations

from typing import Final, Protocol

__all__ = ["Holder", "MemoryBudget"]

_ROOM: Final = 0.9
"""
The part of the budget that may stay in use after it was reached, so that the next byte
doesn't reach it again.
"""


class Holder(Protocol):
    """
    A user of a budget's memory.
    """

    def shed(self, used: int) -> None:
        """
        Release the memory, as far as possible.

        @param used: the number of bytes that it uses.
        """


class MemoryBudget:
    """
    The memory that all holders use together for one purpose.

    @ivar limit: the budget in bytes.
    @ivar used: the number of bytes that all holders use now.
    @ivar claimable: the bytes that L{claim} may take now. Claims use at most half of
        the budget, so that they can't take all of it from the holders. Only a single
        claim may be larger.
    """

    __slots__ = ("_claimed", "_holders", "_shedding", "claimable", "limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.claimable = limit
        self._claimed = 0
        self._holders: dict[Holder, int] = {}
        self._shedding = False

    def __len__(self) -> int:
        return len(self._holders)

    def reserve(self, holder: Holder, size: int) -> None:
        """
        Set how much memory a holder uses now.

        @param holder: kept until it uses none.
        @param size: the number of bytes.
        """
        before = self._holders.get(holder, 0)
        if size:
            self._holders[holder] = size
        elif before:
            del self._holders[holder]
        self.used += size - before
        if self.used > self.limit and not self._shedding:
            self._shed()

    def claim(self, size: int) -> None:
        """
        Use memory that can't be shed.

        @param size: the number of bytes, at most L{claimable}. L{release} takes the
            same.
        """
        self._claim(size)
        if self.used > self.limit and not self._shedding:
            self._shed()

    def release(self, size: int) -> None:
        """
        Release claimed memory.

        @param size: the number of bytes.
        """
        self._claim(-size)

    def _claim(self, size: int) -> None:
        self.used += size
        self._claimed += size
        limit = self.limit // 2 if self._claimed else self.limit
        self.claimable = max(0, limit - self._claimed)

    def _shed(self) -> None:
        """
        Make the holders that use the most release it.
        """
        self._shedding = True
        try:
            target = int(self.limit * _ROOM)
            worst = sorted(self._holders.items(), key=lambda item: item[1])
            while self.used > target and worst:
                holder, size = worst.pop()
                if holder in self._holders:
                    holder.shed(size)
        finally:
            self._shedding = False
