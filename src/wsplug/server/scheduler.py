"""
A fair scheduler for connections whose input is expensive: they wait for each other, and
the other connections don't wait for them.

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
Seconds of each turn of the reactor that are for those that have yielded: were it one of
them a turn, they would starve where the turns are long.
"""


class Resumable(Protocol):
    """
    What has yielded.
    """

    def resume(self) -> None:
        """Go on: it is its turn. It may have been lost meanwhile."""


class FairScheduler:
    """
    Those that have yielded, in their order.
    """

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: calls back in the reactor's next turn.
        """
        self._clock = clock
        self._waiting: deque[Resumable] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, resumable: Resumable) -> None:
        """
        Have it resume when all those before it had their turn.
        """
        self._waiting.append(resumable)
        if len(self._waiting) == 1:
            self._clock.callLater(0, self._next)

    def _next(self) -> None:
        end = self._clock.seconds() + _SLICE
        # Those that yield again meanwhile are for another turn.
        for _ in range(len(self._waiting)):
            try:
                self._waiting[0].resume()
            except BaseException:  # were it the last turn, none would ever resume
                _log.failure("a connection could not resume")
            # Still the first while it was at work, so that nobody who yielded has
            # scheduled a second call.
            self._waiting.popleft()
            if self._clock.seconds() >= end:
                break
        if self._waiting:
            self._clock.callLater(0, self._next)
