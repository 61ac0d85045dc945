"""
Logs a program's standard error.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from wsplug.apps.process.framing import Lines
from wsplug.printable import escapeUnprintable
from wsplug.rates import TokenBucket

__all__ = ["ErrorLog"]

RATE: Final = 5.0
"""
Lines of a program that are logged per second in the long run. Further lines are
counted.
"""

BURST: Final = 50
"""
Lines of a program that are logged at once.
"""

INTERVAL: Final = 10.0
"""
Seconds between two summaries of the lines that were left out.
"""

_LENGTH: Final = 1000
"""
Bytes of a line in the log. A longer one is split.
"""


class ErrorLog:
    """
    Logs lines, up to a rate.
    """

    _log = Logger()

    def __init__(self, name: str, clock: IReactorTime) -> None:
        """
        @param name: the program's name.
        """
        self._name = name
        self._clock = clock
        self._lines = Lines(_LENGTH)
        self._bucket = TokenBucket(RATE, BURST, clock.seconds())
        self._skipped = 0
        self._telling: IDelayedCall | None = None

    def feed(self, data: bytes) -> None:
        """
        Add output.
        """
        for line in self._lines.feed(data):
            self._write(line)

    def finish(self) -> None:
        """
        End the output.
        """
        for line in self._lines.finish():
            self._write(line)
        if self._telling is not None:
            self._telling.cancel()
            self._tellSkipped()

    def _write(self, line: str | bytes) -> None:
        if self._bucket.take(self._clock.seconds()):
            self._skipped += 1
            if self._telling is None:
                self._telling = self._clock.callLater(INTERVAL, self._tellSkipped)
            return
        self._log.warn(
            "{program}: {line}",
            program=self._name,
            line=escapeUnprintable(str(line), keep="\t"),
        )

    def _tellSkipped(self) -> None:
        self._telling = None
        skipped, self._skipped = self._skipped, 0
        self._log.warn(
            "{program}: {count} more lines on standard error",
            program=self._name,
            count=skipped,
        )
