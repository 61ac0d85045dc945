"""
Tells a burst, much output in one turn of the reactor, from a peer that doesn't read.

The kernel accepts waiting bytes only between two turns. So only what waited before the
turn shows that the peer is slow.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

__all__ = ["Burst", "TurnCount"]


class TurnCount:
    """
    Tells the turns of the reactor apart. Nobody counts while nobody asks.
    """

    __slots__ = ("_clock", "_isCounted", "_number")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._isCounted = False
        self._number = 0

    def number(self) -> int:
        """
        Say which turn this is: between two of different numbers, the reactor has
        looked at the sockets, and the kernel had a chance to take what waits for it.
        """
        if not self._isCounted:
            self._isCounted = True
            self._number += 1
            # What is called back comes before the sockets where this is asked for while
            # one is read: they have had their turn only after the second time.
            self._clock.callLater(0, self._clock.callLater, 0, self._end)
        return self._number

    def _end(self) -> None:
        self._isCounted = False


class Burst:
    """
    What one peer was made to wait for in the last turn that began with no more than may
    wait. So much is allowed on top of that, in the turns that follow, too.
    """

    __slots__ = ("_before", "_size", "_turn")

    def __init__(self) -> None:
        self._turn = 0
        self._before = 0
        self._size = 0

    def begin(self, turn: int, size: int) -> None:
        """
        Begin with a turn before which nothing had waited.

        @param turn: from L{TurnCount.number}.
        @param size: bytes that wait now.
        """
        self._turn = turn
        self._before = 0
        self._size = size

    def allows(self, turn: int, waiting: int, size: int, limit: int) -> bool:
        """
        Say whether more may wait.

        @param turn: from L{TurnCount.number}.
        @param waiting: bytes that wait already.
        @param size: bytes that come on top.
        @param limit: bytes that may wait.
        """
        if turn != self._turn and waiting <= limit:
            self._turn = turn
            self._before = waiting
        if turn == self._turn:
            self._size = waiting + size - self._before
            return True
        return waiting + size <= limit + self._size
