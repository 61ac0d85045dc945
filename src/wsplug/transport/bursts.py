"""
Distinguishes a burst, that is, much output in one turn of the reactor, from a peer that
doesn't read.

The kernel accepts waiting bytes only between two turns. So only the bytes that waited
before the turn show that the peer is slow.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

__all__ = ["Burst", "TurnCount"]


class TurnCount:
    """
    Numbers the turns of the reactor. It only counts turns in which it is asked.
    """

    __slots__ = ("_clock", "_isCounted", "_number")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._isCounted = False
        self._number = 0

    def number(self) -> int:
        """
        Return the number of this turn. Between two turns with different numbers, the
        reactor has polled the sockets, so that the kernel could accept waiting output.
        """
        if not self._isCounted:
            self._isCounted = True
            self._number += 1
            # If this is called while a socket is read, the delayed call comes before
            # the sockets are polled again. They have been polled when the second one
            # comes.
            self._clock.callLater(0, self._clock.callLater, 0, self._end)
        return self._number

    def _end(self) -> None:
        self._isCounted = False


class Burst:
    """
    The output that was added for one peer in the last turn that began within the limit.
    In the following turns, as much is allowed on top of the limit.
    """

    __slots__ = ("_before", "_size", "_turn")

    def __init__(self) -> None:
        self._turn = 0
        self._before = 0
        self._size = 0

    def begin(self, turn: int, size: int) -> None:
        """
        Start with a turn before which no output waited.

        @param turn: from L{TurnCount.number}.
        @param size: the bytes that wait now.
        """
        self._turn = turn
        self._before = 0
        self._size = size

    def allows(self, turn: int, waiting: int, size: int, limit: int) -> bool:
        """
        Return whether more output may be added.

        @param turn: from L{TurnCount.number}.
        @param waiting: the bytes that wait already.
        @param size: the bytes to add.
        @param limit: the maximum number of waiting bytes.
        """
        if turn != self._turn and waiting <= limit:
            self._turn = turn
            self._before = waiting
        if turn == self._turn:
            self._size = waiting + size - self._before
            return True
        return waiting + size <= limit + self._size
