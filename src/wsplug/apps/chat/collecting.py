"""
Collects what rooms are told: at a low rate, it is sent at once; at a high rate, in
batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from wsplug.rates import RateLimiter

__all__ = ["BURST", "RATE", "TOGETHER", "Collected"]

RATE: Final = 2.0
"""
Events a second that a room gets at once, in the long run.
"""

BURST: Final = 10
"""
Events that a room may get at the same time.
"""

TOGETHER: Final = 1.0
"""
Seconds for which further events are collected.
"""

_T = TypeVar("_T")


class Collected(Generic[_T]):
    """
    The batches of events that wait to be sent, by room.
    """

    def __init__(
        self,
        clock: IReactorTime,
        make: Callable[[], _T],
        tell: Callable[[str, _T], object],
    ) -> None:
        """
        @param make: makes an empty batch.
        @param tell: called with the room and its batch when it is to be sent.
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
        Count an event of a room.

        @return: the batch to add it to; C{None} to send it at once.
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
        Collect the events of a room for some seconds.
        """
        self._calls[room] = self._clock.callLater(seconds, self._flush, room)

    def stop(self) -> None:
        """
        Drop all batches, and collect nothing more.
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
