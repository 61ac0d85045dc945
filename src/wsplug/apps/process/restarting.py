"""
When a program that has ended is restarted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wsplug.apps.process.ending import Ending

__all__ = ["MAX_DELAY", "STABLE", "Restarts"]

MAX_DELAY: Final = 60.0
"""
The longest delay, in seconds.
"""

STABLE: Final = 60.0
"""
Seconds that a program has to run before the delay starts again at a second.
"""

_JITTER: Final = 0.25
"""
The largest random part of a delay that is added to it.
"""


class Restarts:
    """
    The delays before a program is restarted: exponential backoff from one second.
    """

    def __init__(self, policy: str, random: Callable[[], float]) -> None:
        """
        @param policy: C{"always"}, C{"on-failure"} or C{"never"}.
        @param random: returns numbers from 0 to 1.
        """
        self._policy = policy
        self._random = random
        self._delay = 1.0

    def delay(self, ending: Ending, ran: float) -> float | None:
        """
        Return the next delay.

        @param ending: how the program ended.
        @param ran: seconds that it ran.
        @return: seconds; C{None} if the program isn't restarted.
        """
        if self._policy == "never" or (self._policy == "on-failure" and ending.isGood):
            return None
        if ran >= STABLE:
            self._delay = 1.0
        delay = self._delay * (1 + _JITTER * self._random())
        self._delay = min(self._delay * 2, MAX_DELAY)
        return min(delay, MAX_DELAY)
