"""
Two kinds of time: how long something takes, and what time it is.

How long: deadlines, pings, rates, bans and the ends of logins go by C{clock.seconds()}
of the clock that all are given. Twisted's reactors read the machine's wall clock there,
and the machine may set it: an hour back, and what is due in a minute comes in an hour.
So the server's own process has L{useSteadyTime}, which makes that a monotonic clock.

What time it is: what people are shown and what is kept in files goes by L{timeOfDay}.

In tests a C{twisted.internet.task.Clock} is both.
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
Seconds: what is further away than that, even infinitely, is so far away.
"""


def useSteadyTime(
    reactor: Any, steady: Callable[[], float] = time.monotonic
) -> Callable[[], float] | None:
    """
    Have a reactor's C{seconds}, and with it all that it calls later, go on steadily
    whatever becomes of the machine's clock. It goes on from the time that it is, so
    that what is already to be called later is called at its time.

    This is for the process whose reactor it is: a library has to leave it to that.

    @param reactor: any of Twisted's. One that doesn't go by the wall clock is left
        alone.
    @param steady: a clock that is never set.
    @return: what C{seconds} is now; C{None} where the reactor was left alone.
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
    Say what time it is.

    @param clock: the reactor, or a clock in its place.
    @return: seconds since 1970, by the machine's wall clock as it is set now. A clock
        that isn't the machine's is asked itself.
    """
    seconds: Any = clock.seconds
    return float(getattr(seconds, "timeOfDay", seconds)())
