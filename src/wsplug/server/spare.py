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
The maximum seconds for a request's head in one of these slots.
"""

_ALL: Final = 32
"""
The number of slots.
"""

_EACH: Final = 8
"""
The maximum number of slots for one client key.
"""


class Spare(Protocol):
    """
    A connection in a spare slot.
    """

    def giveWay(self) -> None:
        """
        End, because another connection needs the slot.
        """


class SpareSlots:
    """
    The spare slots of one server.
    """

    def __init__(self) -> None:
        # In order of arrival.
        self._taken: dict[Spare, str] = {}

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, connection: Spare, client: IAddress) -> None:
        """
        Give a connection a slot. If none is free, the oldest connection with the same
        client key gives way. If that key has fewer than another, the oldest connection
        of the key with the most gives way.

        @param client: the client's address.
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
        Free a connection's slot, if it has one.
        """
        self._taken.pop(connection, None)
