"""
The places over a full server's limit, in which requests are read all the same: they may
be health checks, and who asks whether the server is well isn't to hear that it is full,
and restart it.

A check needs its place for a moment. So who stays in one makes room for who comes: no
number of idle connections takes these places from the checks.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, Protocol

from twisted.internet.interfaces import IAddress

from wsplug.networks import clientKey

__all__ = ["PATIENCE", "Spare", "SparePlaces"]

PATIENCE: Final = 2.0
"""
Seconds that a request's head may take in one of these places.
"""

_ALL: Final = 32
"""
How many of these places there are.
"""

_EACH: Final = 8
"""
How many of them those from one place on the net may have.
"""


class Spare(Protocol):
    """
    A connection in such a place.
    """

    def giveWay(self) -> None:
        """
        End: another one needs the place.
        """


class SparePlaces:
    """
    Those of one server.
    """

    def __init__(self) -> None:
        # In the order in which they came.
        self._taken: dict[Spare, str] = {}

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, connection: Spare, client: IAddress) -> None:
        """
        Give a connection a place. Where there is none left, the oldest one that is from
        the same place on the net gives way, or, where that has fewer than others, the
        oldest of whoever has most.

        @param client: whom it is from.
        """
        place = clientKey(client)
        counts = Counter(self._taken.values())
        if counts[place] >= _EACH:
            self._end(place)
        elif len(self._taken) >= _ALL:
            self._end(counts.most_common(1)[0][0])
        self._taken[connection] = place

    def _end(self, place: str) -> None:
        oldest = next(each for each, at in self._taken.items() if at == place)
        del self._taken[oldest]
        oldest.giveWay()

    def leave(self, connection: Spare) -> None:
        """
        Take a connection's place back, if it has one: it is refused, or gone.
        """
        self._taken.pop(connection, None)
