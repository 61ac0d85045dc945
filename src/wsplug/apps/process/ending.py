"""
How a program ended, and what its clients are told.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any

from twisted.internet.error import ProcessDone
from twisted.python.failure import Failure

from wsplug import CloseCode

__all__ = ["Ending"]


@dataclass(frozen=True)
class Ending:
    """
    A program's end.

    @ivar status: its exit status; C{None} where it has none.
    @ivar signal: the signal that ended it, if one did.
    @ivar wasAsked: whether that was one of the server's, at a client's wish.
    @ivar problem: why it did not even start.
    """

    status: int | None = None
    signal: int | None = None
    wasAsked: bool = False
    problem: str = ""

    @classmethod
    def of(cls, reason: Failure, wasSignalled: bool) -> Ending:
        """
        Read it from what C{processExited} gets.

        @param wasSignalled: whether the server has sent it SIGTERM or SIGKILL.
        """
        if reason.check(ProcessDone):
            return cls(status=0)
        error: Any = reason.value
        if error.signal is None:
            return cls(status=error.exitCode)
        ours = (signal.SIGTERM, signal.SIGKILL)
        return cls(signal=error.signal, wasAsked=wasSignalled and error.signal in ours)

    @property
    def isGood(self) -> bool:
        """
        Whether nothing went wrong.
        """
        return self.status == 0 or self.wasAsked

    @property
    def closeCode(self) -> int:
        """
        What a connection is closed with: 1000, or 1011 where something went wrong (RFC
        6455 section 7.4.1).
        """
        return CloseCode.NORMAL if self.isGood else CloseCode.INTERNAL_ERROR

    def __str__(self) -> str:
        if self.problem:
            return f"the program could not be started: {self.problem}"
        if self.wasAsked:
            return "the program was ended"
        if self.signal is not None:
            return f"the program was ended by {_nameOf(self.signal)}"
        if self.status:
            return f"the program ended with status {self.status}"
        return "the program has ended"


def _nameOf(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
