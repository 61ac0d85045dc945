"""
Connections that can't be accepted, usually because the process has too many files open:
the first one is logged, the rest is counted.

For each one Twisted logs up to three lines, which any number of clients can cause. It
has no public way to choose where. So L{boundAcceptLines} sets the private C{_logger} of
a port; C{tests/transport/test_accepting.py} fails if Twisted changes that.
"""

from __future__ import annotations

import errno
import os
from typing import Any, Final

from twisted.internet import tcp
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReactorTime
from twisted.logger import ILogObserver, LogEvent, Logger
from zope.interface import implementer

__all__ = ["INTERVAL", "AcceptFailures", "boundAcceptLines"]

INTERVAL: Final = 10.0
"""
Seconds between two lines.
"""


class AcceptFailures:
    """
    The connections that one port can't accept.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._count = 0
        self._error = ""
        self._telling: IDelayedCall | None = None

    def add(self, error: str) -> None:
        """
        Log that a connection can't be accepted, or count it if that has been logged in
        the last L{INTERVAL}.

        @param error: the reason.
        """
        self._error = error
        if self._telling is not None:
            self._count += 1
            return
        self._telling = self._clock.callLater(INTERVAL, self._tell)
        self._log.warn("can't accept a connection: {error}", error=error)

    def _tell(self) -> None:
        self._telling = None
        count, self._count = self._count, 0
        if count:
            self._telling = self._clock.callLater(INTERVAL, self._tell)
            self._log.warn(
                "can't accept {count} more connections: {error}",
                error=self._error,
                count=count,
            )


@implementer(ILogObserver)
class _AcceptObserver:
    """
    Receives what Twisted's port logs.
    """

    def __init__(self, failures: AcceptFailures, others: ILogObserver) -> None:
        """
        @param others: gets events about anything else.
        """
        self._failures = failures
        self._others = others

    def __call__(self, event: LogEvent) -> None:
        name = event.get("acceptError")
        if isinstance(name, str):
            number = getattr(errno, name, None)
            self._failures.add(name if number is None else os.strerror(number))
        elif "EMFILE" not in str(event.get("log_format")):
            self._others(event)
        elif "address" in event:
            # The process had to close it at once.
            self._failures.add(os.strerror(errno.EMFILE))


def boundAcceptLines(port: IListeningPort, clock: IReactorTime) -> None:
    """
    Make a port log the connections that it can't accept in one line, and then in one
    every L{INTERVAL}.

    @param port: ports of other kinds than Twisted's own for TCP and UNIX sockets aren't
        changed.
    """
    logger: Any = getattr(port, "_logger", None)
    if isinstance(port, tcp.Port) and isinstance(logger, Logger):
        settable: Any = port
        observer = _AcceptObserver(AcceptFailures(clock), logger.observer)
        settable._logger = Logger(logger.namespace, observer=observer)
