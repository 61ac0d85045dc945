"""
A limit on log lines per client, so that a client that is refused ten thousand times a
second doesn't fill the disk.

Lines over the limit are counted, and reported in one line every ten seconds.

Other code that logs while it serves a client, as C{twisted.web} does for a resource
that fails, doesn't know the limit. So the server notes which client it is serving, and
whatever writes the log calls L{isLeftOut}.
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
from wsplug.networks import Networks, clientKey, hostOf, isLocal
from wsplug.options import UNLIMITED
from wsplug.rates import RateLimiter

__all__ = ["INTERVAL", "MAX_CLIENTS", "SETTING", "LogLimit", "isLeftOut"]

SETTING: Final = "max-address-log-rate"

INTERVAL: Final = 10.0
"""
Seconds between two summaries for the same client.
"""

MAX_CLIENTS: Final = 100
"""
The maximum number of clients that get a summary of their own. All others share one.
"""

_OTHERS: Final = "other addresses"


_allows: ContextVar[Callable[[], bool] | None] = ContextVar("allows", default=None)


def isLeftOut(event: LogEvent) -> bool:
    """
    Return whether an event about the client that is being served exceeds its limit.
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
    Decides whether a line about a client is logged.

    It applies to the lines that clients can cause at will: accepted connections,
    refusals, closings, TLS failures, logins, requests for pages.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, rate: int, exempt: Networks) -> None:
        """
        @param rate: lines per second; ten seconds' worth are allowed at once.
        @param exempt: networks that the limit doesn't apply to.
        """
        self._clock = clock
        self._exempt = exempt
        self._rate = (
            None
            if rate >= UNLIMITED
            else RateLimiter(clock, float(rate), max(1, int(rate * BURST)))
        )
        self._left: dict[str, Counter[str]] = {}
        self._telling: IDelayedCall | None = None

    def allows(self, client: IAddress, what: str, setting: str | None = None) -> bool:
        """
        Count a line.

        @param client: the client that it is about.
        @param what: the event, such as C{"refused"}.
        @param setting: the name of the setting that caused it, if any.
        @return: whether to log it now.
        """
        if self._rate is None:
            return True
        if isLocal(client) or hostOf(client) in self._exempt:
            return True
        key = clientKey(client)
        if not self._rate.take(key):
            return True
        if key not in self._left and len(self._left) >= MAX_CLIENTS:
            key = _OTHERS
        kind = what if setting is None else f"{what} by {setting}"
        self._left.setdefault(key, Counter())[kind] += 1
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
        Log a summary of the lines left out since the last one, if there are any.
        """
        telling, self._telling = self._telling, None
        if telling is not None:
            telling.cancel()
        left, self._left = self._left, {}
        for client, counts in left.items():
            self._log.info(
                "{client}: {count} more lines are left out: {what} ({setting})",
                count=sum(counts.values()),
                client=client,
                what=", ".join(f"{each} {count}" for each, count in counts.items()),
                setting=SETTING,
            )
