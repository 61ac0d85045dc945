"""
What is told to rooms: at once where little is told, and together with what comes soon
after it where it is much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from wsplug.rates import RateLimiter

__all__ = ["BURST", "RATE", "TOGETHER", "Collected"]

RATE: Final = 2.0
"""
How much a second each room is told at once, in the long run.
"""

BURST: Final = 10
"""
How much of it in the same moment.
"""

TOGETHER: Final = 1.0
"""
Seconds for which the rest is collected.
"""

_T = TypeVar("_T")


class Collected(Generic[_T]):
    """
    What waits to be told, by room.
    """

    def __init__(
        self,
        clock: IReactorTime,
        make: Callable[[], _T],
        tell: Callable[[str, _T], object],
    ) -> None:
        """
        @param make: makes what a room's is collected in.
        @param tell: is called with the room and all of that, when it is to be told.
        """
        self._clock = clock
        self._make = make
        self._tell = tell
        self._rate = RateLimiter(clock, RATE, BURST)
        self._waiting: dict[str, _T] = {}
        self._calls: dict[str, IDelayedCall] = {}
        self._isOn = True

    def add(self, room: str) -> _T | None:
        """
        Count something that a room is to be told.

        @return: where to put it; C{None} where it is to be told at once.
        """
        if not self._isOn:
            return None
        if room not in self._calls:
            if not self._rate.take(room):
                return None
            self.wait(room, TOGETHER)
        return self._waiting.setdefault(room, self._make())

    def wait(self, room: str, seconds: float) -> None:
        """
        Collect all that a room is to be told for some time.
        """
        self._calls[room] = self._clock.callLater(seconds, self._flush, room)

    def stop(self) -> None:
        """
        Forget what waits, and collect nothing more.
        """
        self._isOn = False
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.cancel()
        self._waiting.clear()

    def _flush(self, room: str) -> None:
        del self._calls[room]
        if room in self._waiting:
            self._tell(room, self._waiting.pop(room))
