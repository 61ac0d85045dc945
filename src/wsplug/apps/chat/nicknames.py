"""
The names of people, which are unique in a chat.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from wsplug.apps.chat.person import Person
from wsplug.apps.chat.sanitizing import nameKey, numbered
from wsplug.interfaces import IBroker
from wsplug.jsonmessages import RequestRefused

__all__ = ["Nicknames"]

_MAX_NUMBER: Final = 1000
"""
The highest number that is tried for a name that is taken.
"""

_MAX_RESERVED: Final = 10_000
"""
Names of logins that are reserved, the most recent ones.
"""

_TRIES: Final = 3
"""
How often a holder is renamed, should another person take the name at that moment.
"""


class Nicknames:
    """
    The names that are in use, and the names of logins, which stay reserved while their
    owners are away.

    @ivar renameHolder: gives another name to a person whose name belongs to a login.
    """

    def __init__(self, broker: IBroker, channel: str, *, suffixes: bool) -> None:
        """
        @param channel: the channel whose presence has the names.
        @param suffixes: whether a number is added to a name that is taken. If not, it
            is refused.
        """
        self._broker = broker
        self._channel = channel
        self._suffixes = suffixes
        self._holders: dict[str, Person] = {}
        self._reserved: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self.renameHolder: Callable[[Person], Awaitable[object]]

    async def take(
        self, person: Person, name: str, *, isForced: bool = False
    ) -> tuple[str, str]:
        """
        Take a name that no other person has. A former name is kept until it is dropped.

        @param isForced: whether to add a number although names that are taken are
            refused. For people who have logged in, it is always added.
        @return: the name and its key.
        @raise RequestRefused: another person has the name.
        @raise BrokerError: the broker failed.
        """
        for number in range(1, _MAX_NUMBER):
            candidate = name if number == 1 else numbered(name, number)
            key = nameKey(candidate) or person.uid
            # A holder isn't renamed for the sake of a name with a number.
            rank = person.rank if number == 1 else 0
            if await self._takeKey(person, key, rank):
                return candidate, key
            if not (self._suffixes or isForced or person.rank):
                break
        raise RequestRefused("name-in-use", f"another person has the name {name}")

    async def drop(self, key: str) -> None:
        """
        Release a name. It needn't be taken.

        @raise BrokerError: the broker failed.
        """
        if self._holders.pop(key, None) is not None:
            await self._broker.leave(self._channel, key)

    async def _takeKey(self, person: Person, key: str, rank: int) -> bool:
        before = self._reserved.get(key, (0, ""))
        reserved, owner = before
        if owner != person.uid and reserved and reserved >= rank:
            return False
        if rank:
            # At once, so that no other person takes it while the holder is renamed.
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
            # Set before the broker answers, so that people of a higher rank find it.
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
            await self.renameHolder(holder)
        return False

    def _reserve(self, key: str, rank: int, owner: str) -> None:
        """
        Reserve a name for a login, or release it with rank 0.
        """
        self._reserved.pop(key, None)
        if rank:
            self._reserved[key] = rank, owner
            if len(self._reserved) > _MAX_RESERVED:
                self._reserved.popitem(last=False)
