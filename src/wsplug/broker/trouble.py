"""
Repeated errors, for instance of a full disk: the first is logged, the rest is counted.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

__all__ = ["INTERVAL", "Trouble"]

INTERVAL: Final = 60.0
"""
Seconds between two lines about the same kind of error.
"""


class Trouble:
    """
    One kind of repeated error.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, what: str) -> None:
        """
        @param what: what fails: C{"store in /var/lib/wsplug/broker"}.
        """
        self._clock = clock
        self._what = what
        self._count = 0
        self._reason = ""
        self._telling: IDelayedCall | None = None

    def add(self, failure: Failure, count: int = 1) -> None:
        """
        Log an error, or count it if one has been logged in the last L{INTERVAL}.

        @param count: the number of publications, or other objects, that it affects.
        """
        self._reason = failure.getErrorMessage()
        if self._telling is not None:
            self._count += count
            return
        self._telling = self._clock.callLater(INTERVAL, self._tellLater)
        if failure.check(sqlite3.Error, OSError):
            self._log.error(
                "broker: can't {what}: {reason}", what=self._what, reason=self._reason
            )
        else:
            self._log.failure("broker: can't {what}", failure, what=self._what)

    def _tellLater(self) -> None:
        self._telling = None
        if self._count:
            self._tell()
            self._telling = self._clock.callLater(INTERVAL, self._tellLater)

    def _tell(self) -> None:
        count, self._count = self._count, 0
        self._log.error(
            "broker: can't {what}: {reason}; {count} more times",
            what=self._what,
            reason=self._reason,
            count=count,
        )

    def close(self) -> None:
        """
        Log the count.
        """
        telling, self._telling = self._telling, None
        if telling is not None:
            telling.cancel()
        if self._count:
            self._tell()
