"""
A budget for the memory that the whole server buffers, so that no number of peers can
exhaust it. When it is used up, the connections that use most of it release it first.
"""

from __future__ import annotations

from typing import Final, Protocol

__all__ = ["Holder", "MemoryBudget"]

_ROOM: Final = 0.9
"""
The part of the budget that may be left in use once it was reached, so that it isn't
reached again by the next byte.
"""


class Holder(Protocol):
    """
    Who holds something.
    """

    def shed(self, used: int) -> None:
        """
        Let go of it, as far as that goes.

        @param used: how much it is, in bytes.
        """


class MemoryBudget:
    """
    What all together hold of one kind.

    @ivar limit: in bytes.
    @ivar used: bytes that are held now, by all.
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
        Note how much somebody holds now.

        @param holder: is referred to until it holds nothing.
        @param size: in bytes.
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
        Use memory that nobody can be asked to release.

        @param size: in bytes, at most L{claimable}. L{release} takes the same.
        """
        self._claim(size)
        if self.used > self.limit and not self._shedding:
            self._shed()

    def release(self, size: int) -> None:
        """
        Give back what was claimed.

        @param size: in bytes.
        """
        self._claim(-size)

    def _claim(self, size: int) -> None:
        self.used += size
        self._claimed += size
        limit = self.limit // 2 if self._claimed else self.limit
        self.claimable = max(0, limit - self._claimed)

    def _shed(self) -> None:
        """
        Have those let go who hold most.
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
