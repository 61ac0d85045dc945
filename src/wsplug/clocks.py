"""
Two kinds of time: durations, and the time of day.

Durations, for deadlines, pings, rates, bans and the ends of logins, are measured with
C{clock.seconds()}. Twisted's reactors read the wall clock there. If that is set back by
an hour, a call that is due in a minute comes an hour late. The server's process
therefore calls L{useSteadyTime}, which makes the reactor use a monotonic clock.

L{timeOfDay} is for times that people see or that are stored.

In tests, a C{twisted.internet.task.Clock} is both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.python.runtime import seconds as _wallClock

__all__ = ["CENTURY", "timeOfDay", "useSteadyTime"]

CENTURY: Final = 100 * 365 * 86400.0
"""
In seconds: longer times, even infinite ones, are cut to it.
"""


def useSteadyTime(
    reactor: Any, steady: Callable[[], float] = time.monotonic
) -> Callable[[], float] | None:
    """
    Make a reactor's C{seconds}, and so its delayed calls, independent of changes of the
    wall clock. It continues from the current time, so that pending calls keep theirs.

    Only the program that owns the reactor may call this, never a library.

    @param reactor: any of Twisted's. A reactor that doesn't use the wall clock isn't
        changed.
    @param steady: a monotonic clock.
    @return: the new C{seconds}; C{None} if the reactor wasn't changed.
    """
    if getattr(reactor, "seconds", None) is not _wallClock:
        return None
    ahead: float = _wallClock() - steady()

    def seconds() -> float:
        return steady() + ahead

    settable: Any = seconds
    settable.timeOfDay = _wallClock
    reactor.seconds = seconds
    return seconds


def timeOfDay(clock: IReactorTime) -> float:
    """
    Return the time of day.

    @param clock: the reactor, or a fake clock.
    @return: seconds since 1970, by the wall clock; by a fake clock, its own time.
    """
    seconds: Any = clock.seconds
    return float(getattr(seconds, "timeOfDay", seconds)())
