"""
Spare slots beyond C{max-connections}, so that a full server still answers health
checks. Otherwise an orchestrator would restart it for being full.

A health check needs its slot for a moment only. So when all slots are taken, an older
connection is closed for a new one. Idle connections can't keep health checks out.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, Protocol

from twisted.internet.interfaces import IAddress

from wsplug.networks import clientKey

__all__ = ["PATIENCE", "Spare", "SpareSlots"]

PATIENCE: Final = 2.0
"""
Seconds that a request's head may take in one of these slots.
"""

_ALL: Final = 32
"""
How many of these slots there are.
"""

_EACH: Final = 8
"""
How many of them the clients of one key may have.
"""


class Spare(Protocol):
    """
    A connection in such a slot.
    """

    def giveWay(self) -> None:
        """
        End: another one needs the slot.
        """


class SpareSlots:
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
        Give a connection a slot. Where there is none left, the oldest one with the same
        client key gives way, or, where that key has fewer than others, the oldest of
        the key that has most.

        @param client: whom it is from.
        """
        key = clientKey(client)
        counts = Counter(self._taken.values())
        if counts[key] >= _EACH:
            self._end(key)
        elif len(self._taken) >= _ALL:
            self._end(counts.most_common(1)[0][0])
        self._taken[connection] = key

    def _end(self, key: str) -> None:
        oldest = next(each for each, at in self._taken.items() if at == key)
        del self._taken[oldest]
        oldest.giveWay()

    def leave(self, connection: Spare) -> None:
        """
        Take a connection's slot back, if it has one: it is refused, or gone.
        """
        self._taken.pop(connection, None)
