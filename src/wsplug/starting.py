"""
What of a server is still starting, when it is to stop already.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsplug.server.cancelling import cancel
from wsplug.server.deadlines import Deadline, Deadlines

__all__ = ["Starts"]


class Starts:
    """
    The starts that aren't over.
    """

    _log = Logger()

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        """
        @param seconds: that they get to be over, once the server stops; 0 for any time.
        """
        self._deadlines = deadlines
        self._seconds = seconds
        self._names: dict[Deferred[Any], str] = {}
        self._over: Deferred[None] | None = None
        self._deadline: Deadline | None = None

    def add(self, name: str, start: Deferred[Any]) -> None:
        """
        Add one.

        @param name: of what starts, for the log.
        @param start: fires when it has, or when what it had begun was ended again. It
            is cancelled where that takes too long.
        """
        self._names[start] = name
        start.addBoth(self._isOver, start)

    def _isOver(self, result: Any, start: Deferred[Any]) -> Any:
        del self._names[start]
        if not self._names:
            self._finish()
        return result

    def wait(self) -> Deferred[None]:
        """
        Wait for them: the server stops.

        @return: fires once all are over, or have had their time. It doesn't fail.
        """
        over = self._over = Deferred()
        if not self._names:
            self._finish()
        elif self._seconds:
            self._deadline = self._deadlines.set(self._seconds, self._giveUp)
        return over

    def _giveUp(self) -> None:
        self._deadline = None
        for start, name in list(self._names.items()):
            self._log.error(
                "{name} is still starting after {seconds:g} seconds; the server ends "
                "without it",
                name=name,
                seconds=self._seconds,
                setting="stop-timeout",
            )
            cancel(start)
        self._finish()

    def _finish(self) -> None:
        self._deadlines.clear(self._deadline)
        self._deadline = None
        over, self._over = self._over, None
        if over is not None:
            over.callback(None)
