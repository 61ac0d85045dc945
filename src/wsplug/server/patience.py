"""
Limits how long a stopping server waits for applications, brokers and ports, so that
none of them can prevent the exit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.server.cancelling import cancel
from wsplug.server.deadlines import Deadline, Deadlines

__all__ = ["Patience"]

_BRIEF: Final = 1.0
"""
The maximum seconds of each wait after L{Patience.hurry}: enough to write what is left.
"""


class _Wait:
    """
    A wait for one thing.
    """

    __slots__ = ("deadline", "doing", "name", "over", "waited")

    def __init__(self, name: str, doing: str, waited: Deferred[Any]) -> None:
        self.name = name
        self.doing = doing
        self.waited = waited
        self.over: Deferred[Any] = Deferred()
        self.deadline: Deadline | None = None


class Patience:
    """
    All waits of one server.
    """

    _log = Logger()

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        """
        @param seconds: the maximum seconds of each wait; 0 for no limit.
        """
        self._deadlines = deadlines
        self._seconds = seconds
        self._setting: str | None = "stop-timeout"
        self._waits: dict[_Wait, None] = {}

    def wait(self, name: str, waited: Deferred[Any], doing: str) -> Deferred[Any]:
        """
        Wait for a Deferred, with a limit.

        @param name: a name for the log.
        @param waited: is cancelled if it takes too long.
        @param doing: what it does meanwhile, for the log: C{"stopping"}.
        @return: fires with the result of C{waited}, or with C{None} if that took too
            long.
        """
        each = _Wait(name, doing, waited)
        self._waits[each] = None
        waited.addBoth(self._isDone, each)
        if each in self._waits and self._seconds:
            self._setDeadline(each)
        return each.over

    def hurry(self, end: Callable[[], object]) -> None:
        """
        End all present waits, and limit later ones to a short time.

        @param end: called first. It ends by itself whatever it can.
        """
        self._seconds = min(self._seconds or _BRIEF, _BRIEF)
        self._setting = None
        waits = list(self._waits)
        end()
        for each in waits:
            if each in self._waits:
                self._giveUp(each, 0.0)

    def _setDeadline(self, each: _Wait) -> None:
        seconds = self._seconds

        def reach() -> None:
            each.deadline = None
            self._giveUp(each, seconds)

        each.deadline = self._deadlines.set(seconds, reach)

    def _isDone(self, result: Any, each: _Wait) -> None:
        if each in self._waits:
            self._forget(each)
            each.over.callback(result)
        elif isinstance(result, Failure) and not result.check(CancelledError):
            self._log.failure(
                "{name} failed after the server had stopped waiting for it",
                result,
                name=each.name,
            )

    def _giveUp(self, each: _Wait, seconds: float) -> None:
        self._forget(each)
        self._log.error(
            "{name} is still {doing} after {seconds:g} seconds; the server ends "
            "without it"
            if seconds
            else "{name} is still {doing}; the server ends without it",
            name=each.name,
            doing=each.doing,
            seconds=seconds,
            setting=self._setting,
        )
        cancel(each.waited)
        each.over.callback(None)

    def _forget(self, each: _Wait) -> None:
        del self._waits[each]
        self._deadlines.clear(each.deadline)
        each.deadline = None
