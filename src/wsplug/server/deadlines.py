"""
Thousands of deadlines with one delayed call to the reactor, for the next tick in which
any of them is due.

A server with 10,000 idle connections has tens of thousands of timeouts. They are set
often and seldom reached. Here, setting and clearing a deadline adds an entry to a set
and removes it. Without deadlines there is no delayed call.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from wsplug.clocks import CENTURY

__all__ = ["Deadline", "Deadlines", "SingleDeadline"]


class Deadline:
    """
    A call that is made at a time, unless it is cleared before.
    """

    __slots__ = ("_call", "tick")

    def __init__(self, call: Callable[[], object], tick: int) -> None:
        self._call = call
        self.tick = tick

    def reach(self) -> None:
        """
        Make the call.
        """
        self._call()


class Deadlines:
    """
    All deadlines of one server.

    @ivar now: returns the time in seconds. It is a plain function, fast enough to be
        called for each message.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, granularity: float = 0.25) -> None:
        """
        @param clock: the reactor, or a fake clock in tests.
        @param granularity: the length of a tick in seconds. A deadline is never reached
            early, and at most one tick late.
        """
        self._clock = clock
        self.now: Callable[[], float] = clock.seconds
        self._granularity = granularity
        self._ticks: dict[int, set[Deadline]] = {}
        self._next: IDelayedCall | None = None
        self._nextTick = 0

    def __len__(self) -> int:
        return sum(len(due) for due in self._ticks.values())

    def set(self, seconds: float, call: Callable[[], object]) -> Deadline:
        """
        Set a deadline.

        @param seconds: from now.
        @param call: called without arguments. If it raises, the error is logged, and
            the other deadlines are kept.
        @return: the deadline, for L{clear}.
        @raise ValueError: the seconds are not a number (NaN).
        """
        if not seconds < CENTURY:
            if math.isnan(seconds):
                raise ValueError("a deadline needs a number of seconds")
            seconds = CENTURY
        tick = math.ceil((self.now() + seconds) / self._granularity)
        deadline = Deadline(call, tick)
        due = self._ticks.get(tick)
        if due is None:
            self._ticks[tick] = {deadline}
            if self._next is None or tick < self._nextTick:
                self._schedule(tick)
        else:
            due.add(deadline)
        return deadline

    def clear(self, deadline: Deadline | None) -> None:
        """
        Cancel a deadline. If it was reached, or if it is C{None}, this does nothing.
        """
        if deadline is None:
            return
        due = self._ticks.get(deadline.tick)
        if due is None:
            return
        due.discard(deadline)
        if not due:
            del self._ticks[deadline.tick]
            if not self._ticks and self._next is not None:
                self._next.cancel()
                self._next = None

    def _schedule(self, tick: int) -> None:
        if self._next is not None:
            self._next.cancel()
        self._nextTick = tick
        delay = max(0.0, tick * self._granularity - self.now())
        self._next = self._clock.callLater(delay, self._reach)

    def _reach(self) -> None:
        self._next = None
        now = self.now() / self._granularity
        for tick in sorted(tick for tick in self._ticks if tick <= now):
            # Reaching one may have cleared all of a later tick.
            due = self._ticks.get(tick, set())
            while due:
                deadline = due.pop()
                try:
                    deadline.reach()
                except BaseException:
                    # It may call an application's code, which may raise anything.
                    self._log.failure("a deadline's call failed")
            if self._ticks.get(tick) is due:
                del self._ticks[tick]
        if self._ticks:
            # Deadlines that were set meanwhile may be due later than the others.
            first = min(self._ticks)
            if self._next is None or first < self._nextTick:
                self._schedule(first)


class SingleDeadline:
    """
    A deadline of which there is one at a time.
    """

    __slots__ = ("_call", "_deadline", "_deadlines")

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._deadline: Deadline | None = None
        self._call: Callable[[], object] | None = None

    @property
    def isSet(self) -> bool:
        """
        Whether the deadline is still to come.
        """
        return self._deadline is not None

    def set(self, seconds: float, call: Callable[[], object]) -> None:
        """
        Set the deadline, in place of the one before.

        @param seconds: from now; 0 for no deadline.
        @param call: is called without arguments.
        """
        self.clear()
        if seconds:
            self._call = call
            self._deadline = self._deadlines.set(seconds, self._reach)

    def clear(self) -> None:
        """
        Cancel the deadline, if there is one.
        """
        self._deadlines.clear(self._deadline)
        self._deadline = self._call = None

    def _reach(self) -> None:
        call, self._call = self._call, None
        self._deadline = None
        if call is not None:
            call()
