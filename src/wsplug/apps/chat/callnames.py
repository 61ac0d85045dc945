"""
What people are called in a chat: no two of them the same, wherever they are, in rooms
and in direct messages.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from wsplug.apps.chat.names import nameKey, numbered
from wsplug.apps.chat.people import Person
from wsplug.interfaces import IBroker
from wsplug.jsonmessages import RequestRefused

__all__ = ["CallNames"]

_NUMBERS: Final = 1000
"""
The highest number that is tried for a name that is taken.
"""

_RESERVED: Final = 10_000
"""
Names of logins that are remembered: those that came last.
"""

_TRIES: Final = 3
"""
How often somebody has to make room, should another take the name at that moment.
"""


class CallNames:
    """
    The names of all who are in a chat, and those that logins have, which nobody else
    gets, also while those who have them are away.

    @ivar makeRoom: has somebody called otherwise, since the name is another's.
    """

    def __init__(self, broker: IBroker, channel: str, *, suffixes: bool) -> None:
        """
        @param channel: where the names are present.
        @param suffixes: whether a name that is taken gets a number, or is refused.
        """
        self._broker = broker
        self._channel = channel
        self._suffixes = suffixes
        self._holders: dict[str, Person] = {}
        self._reserved: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self.makeRoom: Callable[[Person], Awaitable[object]]

    async def take(
        self, person: Person, name: str, *, isForced: bool = False
    ) -> tuple[str, str]:
        """
        Find a name that nobody else has, and take it. Whoever had another one before
        has both, until that one is dropped.

        @param isForced: whether it has to be found. It has to for who has logged in.
        @return: the name, and what nobody else's name comes to.
        @raise RequestRefused: the name is somebody else's.
        @raise BrokerError: it can't be found out whether it is.
        """
        for number in range(1, _NUMBERS):
            candidate = name if number == 1 else numbered(name, number)
            key = nameKey(candidate) or person.uid
            # Nobody has to make room for a number.
            rank = person.rank if number == 1 else 0
            if await self._takeKey(person, key, rank):
                return candidate, key
            if not (self._suffixes or isForced or person.rank):
                break
        raise RequestRefused("name-in-use", f"somebody else is called {name} already")

    async def drop(self, key: str) -> None:
        """
        Let others have a name; fine if nobody has it.

        @raise BrokerError: it can't be told to others.
        """
        if self._holders.pop(key, None) is not None:
            await self._broker.leave(self._channel, key)

    async def _takeKey(self, person: Person, key: str, rank: int) -> bool:
        before = self._reserved.get(key, (0, ""))
        reserved, owner = before
        if owner != person.uid and reserved and reserved >= rank:
            return False
        if rank:
            # At once, so that nobody else takes it while another makes room.
            self._reserve(key, rank, person.uid)
        if self._holders.get(key) is person:
            return True
        isTaken = False
        try:
            isTaken = await self._enter(person, key, rank)
        finally:
            if not isTaken and rank:
                self._reserve(key, *before)
        return isTaken

    async def _enter(self, person: Person, key: str, rank: int) -> bool:
        for _ in range(_TRIES):
            # Also while it isn't sure yet: whoever has more right to it has to wait.
            self._holders.setdefault(key, person)
            isFree = False
            try:
                isFree = await self._broker.enter(
                    self._channel, key, person.uid.encode()
                )
            finally:
                if isFree:
                    self._holders[key] = person
                elif self._holders.get(key) is person:
                    del self._holders[key]
            if isFree:
                return True
            holder = self._holders.get(key)
            if holder is None or holder.rank >= rank:
                break
            await self.makeRoom(holder)
        return False

    def _reserve(self, key: str, rank: int, owner: str) -> None:
        """
        Keep a name for who has it by a login; rank 0 for nobody.
        """
        self._reserved.pop(key, None)
        if rank:
            self._reserved[key] = rank, owner
            if len(self._reserved) > _RESERVED:
                self._reserved.popitem(last=False)
