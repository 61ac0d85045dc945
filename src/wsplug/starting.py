"""
What of a server is still starting, when it is to stop already.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from wsplug.server.cancelling import cancel
from wsplug.server.patience import Patience

__all__ = ["Starts"]


class Starts:
    """
    The starts that aren't over.
    """

    def __init__(self, patience: Patience) -> None:
        """
        @param patience: waits for them, once the server stops.
        """
        self._patience = patience
        self._names: dict[Deferred[Any], str] = {}

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
        return result

    def wait(self) -> Deferred[Any]:
        """
        Wait for them: the server stops.

        @return: fires once all are over, or have had their time. It doesn't fail.
        """
        return gatherResults(
            [
                self._patience.wait(name, _endOf(start), "starting")
                for start, name in list(self._names.items())
            ]
        )


def _endOf(start: Deferred[Any]) -> Deferred[None]:
    """
    Give what fires with C{None} at the end of a start, however that ends, and cancels
    the start if it is cancelled.
    """
    end: Deferred[None] = Deferred(lambda _: cancel(start))

    def isOver(result: Any) -> Any:
        if not end.called:
            end.callback(None)
        return result

    start.addBoth(isOver)
    return end
