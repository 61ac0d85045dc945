"""
The timeout of a kept connection between two requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wsplug.server.deadlines import Deadline, Deadlines

__all__ = ["IdleTimer"]

_IDLE: Final = 60.0
"""
Seconds that a connection may stay open without a request.
"""


class IdleTimer:
    """
    Ends a connection that stays idle. It logs nothing: this is how kept connections
    normally end.
    """

    def __init__(
        self,
        deadlines: Deadlines,
        isIdle: Callable[[], bool],
        end: Callable[[], object],
    ) -> None:
        """
        @param isIdle: returns whether the connection still waits for a request.
        @param end: ends the connection.
        """
        self._deadlines = deadlines
        self._isIdle = isIdle
        self._end = end
        self._deadline: Deadline | None = None
        self._since = 0.0

    def start(self) -> None:
        """
        Count from now on.
        """
        self._since = self._deadlines.now()
        if self._deadline is None:
            self._deadline = self._deadlines.set(_IDLE, self._isOver)

    def stop(self) -> None:
        """
        Stop, until the next call of L{start}.
        """
        self._deadlines.clear(self._deadline)
        self._deadline = None

    def _isOver(self) -> None:
        self._deadline = None
        if not self._isIdle():
            return
        left = self._since + _IDLE - self._deadlines.now()
        if left > 0:
            self._deadline = self._deadlines.set(left, self._isOver)
        else:
            self._end()
