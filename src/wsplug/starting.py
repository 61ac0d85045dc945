"""
The parts of a server that are still starting when the server stops.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from wsplug.server.cancelling import cancel
from wsplug.server.patience import Patience

__all__ = ["Starts"]


class Starts:
    """
    Keeps track of unfinished starts.
    """

    def __init__(self, patience: Patience) -> None:
        """
        @param patience: waits for them when the server stops.
        """
        self._patience = patience
        self._names: dict[Deferred[Any], str] = {}

    def add(self, name: str, start: Deferred[Any]) -> None:
        """
        Add a start.

        @param name: the name of the part, for the log.
        @param start: fires when the part has started, or has undone an interrupted
            start. It is cancelled if it takes too long when the server stops.
        """
        self._names[start] = name
        start.addBoth(self._isOver, start)

    def _isOver(self, result: Any, start: Deferred[Any]) -> Any:
        del self._names[start]
        return result

    def wait(self) -> Deferred[Any]:
        """
        Wait for all starts, because the server stops.

        @return: fires once all are over, or their time is up. It doesn't fail.
        """
        return gatherResults(
            [
                self._patience.wait(name, _endOf(start), "starting")
                for start, name in list(self._names.items())
            ]
        )


def _endOf(start: Deferred[Any]) -> Deferred[None]:
    """
    Return a deferred for the end of a start. It fires with C{None}, whether the start
    succeeds or fails. Cancelling it cancels the start.
    """
    end: Deferred[None] = Deferred(lambda _: cancel(start))

    def isOver(result: Any) -> Any:
        if not end.called:
            end.callback(None)
        return result

    start.addBoth(isOver)
    return end
