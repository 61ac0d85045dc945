"""
Limits how often people join, leave and change their names, since all people in a room
are informed each time.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime

from wsplug.apps.chat.person import Person
from wsplug.jsonmessages import RequestRefused
from wsplug.rates import RateLimiter

__all__ = ["MAX_PEOPLE", "PresenceLimits"]

MAX_PEOPLE: Final = 10
"""
The limits of a network are those of this many people, however often a person there
changes names or keys.
"""


class PresenceLimits:
    """
    Counts the changes of each person and of each network.
    """

    def __init__(self, clock: IReactorTime, rate: float, burst: int) -> None:
        """
        @param rate: changes a second that a person may make in the long run.
        @param burst: changes that a person may make at once.
        """
        self._people = RateLimiter(clock, rate, burst)
        self._networks = RateLimiter(clock, MAX_PEOPLE * rate, MAX_PEOPLE * burst)

    def check(self, person: Person) -> None:
        """
        Count a change: a person joins, leaves, or changes their name.

        @raise RequestRefused: there were too many.
        """
        _refuse(self._people.take(person.rateKey))
        self.checkNew(person)

    def checkNew(self, person: Person) -> None:
        """
        Count a new person against their network.

        @raise RequestRefused: there were too many.
        """
        _refuse(self._networks.take(person.network))

    def isExceeded(self, network: str) -> bool:
        """
        Count a classic client that connects or disconnects.

        @return: whether there were too many to tell the room.
        """
        return bool(self._networks.take(network))


def _refuse(wait: float) -> None:
    if wait:
        raise RequestRefused(
            "rate-limited",
            f"too many changes; try again in {wait:.1f} seconds",
            retryAfter=round(wait, 3),
        )
