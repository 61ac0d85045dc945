"""
What a stopping server waits for, and for how long: applications that stop, brokers that
write, ports that close. Each wait has a limit, so that none can prevent the exit.
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
Seconds that each thing gets once somebody is in a hurry: enough to write what waits.
"""


class _Wait:
    """
    One thing that is waited for.
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
    The waits of one server's stop.
    """

    _log = Logger()

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        """
        @param seconds: that each gets; 0 for any time.
        """
        self._deadlines = deadlines
        self._seconds = seconds
        self._setting: str | None = "stop-timeout"
        self._waits: dict[_Wait, None] = {}

    def wait(self, name: str, waited: Deferred[Any], doing: str) -> Deferred[Any]:
        """
        Wait for something.

        @param name: of what it is, for the log.
        @param waited: fires when it is done. It is cancelled where that takes too long;
            nothing else is done with its result.
        @param doing: what it does meanwhile: C{"stopping"}.
        @return: fires with the same, or with C{None} once that has had its time.
        """
        each = _Wait(name, doing, waited)
        self._waits[each] = None
        waited.addBoth(self._isDone, each)
        if each in self._waits and self._seconds:
            self._setDeadline(each)
        return each.over

    def hurry(self, end: Callable[[], object]) -> None:
        """
        Wait no longer for anything that is waited for now, and only briefly for what
        comes.

        @param end: is called first, and ends what there is another way for.
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
            self._log.failure("{name} failed late", result, name=each.name)

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
