"""
Logs a program's standard error.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from wsplug.apps.process.framing import Lines
from wsplug.printable import escapeUnprintable

__all__ = ["ErrorLog"]

LINES: Final = 50
"""
Lines of a program that are logged within L{SECONDS}. Further lines are counted.
"""

SECONDS: Final = 10.0
"""
Seconds for which lines are counted.
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
        self._until = 0.0
        self._logged = 0
        self._skipped = 0

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
        self._tellSkipped()

    def _write(self, line: str | bytes) -> None:
        now = self._clock.seconds()
        if now >= self._until:
            self._tellSkipped()
            self._until = now + SECONDS
            self._logged = 0
        if self._logged >= LINES:
            self._skipped += 1
            return
        self._logged += 1
        self._log.warn(
            "{program}: {line}",
            program=self._name,
            line=escapeUnprintable(str(line), keep="\t"),
        )

    def _tellSkipped(self) -> None:
        skipped, self._skipped = self._skipped, 0
        if skipped:
            self._log.warn(
                "{program}: {count} more lines on standard error",
                program=self._name,
                count=skipped,
            )
