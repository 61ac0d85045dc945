"""
A fair scheduler for connections whose input is expensive: they wait for each other, and
other connections don't wait for them.

A compressed message can inflate to a thousand times its size, and one read can contain
thousands of frames of one byte. If the input of a hundred such peers were handled at
once, everybody else would wait for seconds. So a connection that has used its share
yields. The connections that have yielded resume one after the other, for a short time
in each turn of the reactor.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

__all__ = ["FairScheduler", "Resumable"]

_log = Logger(__name__)


_SLICE: Final = 0.02
"""
The seconds of each turn of the reactor for connections that have yielded. With only one
of them in each turn, they would starve if turns are long.
"""


class Resumable(Protocol):
    """
    A connection that has yielded.
    """

    def resume(self) -> None:
        """Continue. The connection may have been lost meanwhile."""


class FairScheduler:
    """
    The queue of connections that have yielded.
    """

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: the reactor, or a fake clock in tests.
        """
        self._clock = clock
        self._waiting: deque[Resumable] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, resumable: Resumable) -> None:
        """
        Resume a connection after all that are in the queue already.
        """
        self._waiting.append(resumable)
        if len(self._waiting) == 1:
            self._clock.callLater(0, self._next)

    def _next(self) -> None:
        end = self._clock.seconds() + _SLICE
        # Connections that yield again meanwhile wait for another turn.
        for _ in range(len(self._waiting)):
            try:
                self._waiting[0].resume()
            except BaseException:  # were it the last turn, none would ever resume
                _log.failure("a connection could not resume")
            # It stayed in the queue while it worked, so that add() didn't schedule a
            # second call.
            self._waiting.popleft()
            if self._clock.seconds() >= end:
                break
        if self._waiting:
            self._clock.callLater(0, self._next)
