"""
How a program ended, and how its clients are closed.
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
    How a program ended. As text, it is the close reason.

    @ivar status: the exit status; C{None} if there is none.
    @ivar signal: the signal that ended it; C{None} if none did.
    @ivar wasAsked: whether the server sent the signal, to end the program.
    @ivar problem: why the program couldn't be started; empty if it could.
    """

    status: int | None = None
    signal: int | None = None
    wasAsked: bool = False
    problem: str = ""

    @classmethod
    def of(cls, reason: Failure, wasSignalled: bool) -> Ending:
        """
        Make it from the failure that C{processExited} gets.

        @param wasSignalled: whether the server has sent SIGTERM or SIGKILL.
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
        Whether the program ended without an error.
        """
        return self.status == 0 or self.wasAsked

    @property
    def closeCode(self) -> int:
        """
        The close code for the clients: 1000, or 1011 after an error (RFC 6455 section
        7.4.1).
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
