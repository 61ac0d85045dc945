"""
How much one address may have written into the log: who is refused ten thousand times a
second is not to fill the disk with it.

What is over the limit is counted, and told in one line every ten seconds.

What others log while they serve a client, as C{twisted.web} does for a resource that
fails, knows nothing of that. So it is noted on whose behalf they run, and what writes
the log asks L{isLeftOut}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.logger import LogEvent, Logger, LogLevel

from wsplug.guard.metering import BURST
from wsplug.networks import Networks, hostOf, isLocal, placeOf
from wsplug.options import UNLIMITED
from wsplug.rates import Rate

__all__ = ["INTERVAL", "MOST_PLACES", "SETTING", "LogLimit", "isLeftOut"]

SETTING: Final = "max-address-log-rate"

INTERVAL: Final = 10.0
"""
Seconds between two lines about what is left out of the same place.
"""

MOST_PLACES: Final = 100
"""
Places that are told of one by one; all others are told of together.
"""

_OTHERS: Final = "other addresses"


_allows: ContextVar[Callable[[], bool] | None] = ContextVar("allows", default=None)


def isLeftOut(event: LogEvent) -> bool:
    """
    Say whether an event is one too many about the client that is being served.
    """
    allows = _allows.get()
    if allows is None or event.get("log_level") not in (
        LogLevel.error,
        LogLevel.critical,
    ):
        return False
    return not allows()


class LogLimit:
    """
    Says whether a line about a client is for the log.

    It holds for lines of which clients can cause as many as they like: refusals,
    closings, failures of TLS, logins, requests for pages.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, rate: int, exempt: Networks) -> None:
        """
        @param rate: lines a second; ten seconds' worth may come at once.
        @param exempt: networks about which anything is logged.
        """
        self._clock = clock
        self._exempt = exempt
        self._rate = (
            None
            if rate >= UNLIMITED
            else Rate(clock, float(rate), max(1, int(rate * BURST)))
        )
        self._left: dict[str, Counter[str]] = {}
        self._telling: IDelayedCall | None = None

    def allows(self, client: IAddress, what: str, setting: str | None = None) -> bool:
        """
        Count a line.

        @param client: whom it is about.
        @param what: what it says: C{"refused"}.
        @param setting: the one responsible, if one is.
        @return: whether it is to be logged now.
        """
        if self._rate is None:
            return True
        if isLocal(client) or hostOf(client) in self._exempt:
            return True
        place = placeOf(client)
        if not self._rate.take(place):
            return True
        if place not in self._left and len(self._left) >= MOST_PLACES:
            place = _OTHERS
        kind = what if setting is None else f"{what} by {setting}"
        self._left.setdefault(place, Counter())[kind] += 1
        if self._telling is None:
            self._telling = self._clock.callLater(INTERVAL, self._tellLater)
        return False

    @contextmanager
    def blaming(self, client: IAddress, what: str) -> Iterator[None]:
        """
        Count the errors that others log meanwhile, and in coroutines that begin
        meanwhile, as lines about a client.

        @param what: as in L{allows}.
        """
        token = _allows.set(lambda: self.allows(client, what))
        try:
            yield
        finally:
            _allows.reset(token)

    def _tellLater(self) -> None:
        self._telling = None
        self.tell()

    def tell(self) -> None:
        """
        Log what was left out since the last time, if anything was.
        """
        telling, self._telling = self._telling, None
        if telling is not None:
            telling.cancel()
        left, self._left = self._left, {}
        for place, counts in left.items():
            self._log.info(
                "{place}: {count} more lines are left out: {what} ({setting})",
                count=sum(counts.values()),
                place=place,
                what=", ".join(f"{each} {count}" for each, count in counts.items()),
                setting=SETTING,
            )
