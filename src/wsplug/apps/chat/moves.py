"""
How often people may come, go, and be called otherwise: all in a room are told of that.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime

from wsplug.apps.chat.people import Person
from wsplug.jsonmessages import RequestRefused
from wsplug.rates import Rate

__all__ = ["CROWD", "Moves"]

CROWD: Final = 10
"""
How many people may come from one place: whoever changes names or keys is no more than
these.
"""


class Moves:
    """
    Counts what is told to all in a room, for each person, and for each place that they
    come from.
    """

    def __init__(self, clock: IReactorTime, rate: float, burst: int) -> None:
        """
        @param rate: a second, of one person.
        @param burst: at once.
        """
        self._people = Rate(clock, rate, burst)
        self._networks = Rate(clock, CROWD * rate, CROWD * burst)

    def check(self, person: Person) -> None:
        """
        Count a coming, a going or another name.

        @raise RequestRefused: these are too many.
        """
        _refuse(self._people.take(person.rateKey))
        self.checkNew(person)

    def checkNew(self, person: Person) -> None:
        """
        Count somebody who wasn't known before: where they come from.

        @raise RequestRefused: these are too many.
        """
        _refuse(self._networks.take(person.network))

    def isTooOften(self, network: str) -> bool:
        """
        Count what a classic client's connection has told by coming or going.

        @return: whether that is too much to be told.
        """
        return bool(self._networks.take(network))


def _refuse(wait: float) -> None:
    if wait:
        raise RequestRefused(
            "rate-limited",
            f"too much coming and going; go on in {wait:.1f} seconds",
            retryAfter=round(wait, 3),
        )
