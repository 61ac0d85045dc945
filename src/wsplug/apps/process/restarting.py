"""
When a program that has ended is started again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wsplug.apps.process.ending import Ending

__all__ = ["LONGEST", "STABLE", "Restarts"]

LONGEST: Final = 60.0
"""
Seconds that a delay has at most.
"""

STABLE: Final = 60.0
"""
Seconds that a program has to run for the delays to begin small again.
"""

_JITTER: Final = 0.25
"""
How much of a delay is added to it at random, at most.
"""


class Restarts:
    """
    The delays before a program is started again: a second, then twice as long each
    time.
    """

    def __init__(self, policy: str, random: Callable[[], float]) -> None:
        """
        @param policy: C{"always"}, C{"on-failure"} or C{"never"}.
        @param random: gives numbers from 0 to 1.
        """
        self._policy = policy
        self._random = random
        self._delay = 1.0

    def delay(self, ending: Ending, ran: float) -> float | None:
        """
        Give the next delay.

        @param ending: how the program ended.
        @param ran: seconds for which it did.
        @return: seconds; C{None} where it isn't started again.
        """
        if self._policy == "never" or (self._policy == "on-failure" and ending.isGood):
            return None
        if ran >= STABLE:
            self._delay = 1.0
        delay = self._delay * (1 + _JITTER * self._random())
        self._delay = min(self._delay * 2, LONGEST)
        return min(delay, LONGEST)
