"""
The people in a chat, and their ids.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import Final

from twisted.internet.defer import Deferred

from wsplug.apps.chat.channelnames import ChannelNames
from wsplug.apps.chat.messages import PersonInfo, encode, readPerson
from wsplug.apps.chat.nicknames import Nicknames
from wsplug.apps.chat.person import Person, locked
from wsplug.interfaces import IBroker, IWebSocketTransport
from wsplug.jsonmessages import RequestRefused

__all__ = ["People"]

_KNOWN: Final = "p-"
"""
The prefix of the ids of people who sent C{hello}.
"""

_CLASSIC: Final = "c-"
"""
The prefix of the ids of classic clients that haven't registered one.
"""


class People:
    """
    The people who are connected to this server, or were a moment ago.
    """

    def __init__(
        self,
        broker: IBroker,
        channelNames: ChannelNames,
        names: Nicknames,
        *,
        hasGuests: bool,
        newestHasId: bool,
    ) -> None:
        """
        @param hasGuests: whether others are told who hasn't logged in.
        @param newestHasId: whether a classic client that registers an id takes it from
            another one of this server.
        """
        self._broker = broker
        self._channel = channelNames.people
        self._names = names
        self._hasGuests = hasGuests
        self._newestHasId = newestHasId
        # By id, and by the ids that classic clients have registered.
        self._people: dict[str, Person] = {}

    def __len__(self) -> int:
        return len(set(self._people.values()))

    def has(self, person: Person) -> bool:
        """
        Return whether a person is known by their id.
        """
        return self._people.get(person.id) is person

    def find(self, id: str) -> Person | None:
        """
        Return the person with an id who is connected to this server.
        """
        return self._people.get(id)

    async def lookUp(self, id: str) -> PersonInfo:
        """
        Look up who has an id, on this server or another one.

        @raise RequestRefused: no person has it.
        @raise BrokerError: the broker failed.
        """
        person = self._people.get(id)
        if person is not None:
            return person.info()
        info = (await self._broker.presence(self._channel)).get(id)
        if info is None:
            raise RequestRefused("not-here", f"nobody here has the id {id}")
        return readPerson(info)

    def recognize(
        self, key: str | None, name: str, color: str, network: str, login: str
    ) -> Person:
        """
        Find the person who sends C{hello}, or make a new one. A new person is unknown
        to others before L{greet}.

        @param key: the person's secret, if there is one.
        @param network: the network that they connect from.
        @param login: the name that they have logged in with, which identifies them;
            empty without a login.
        """
        if login:
            id = _idOf(login, b"wsplug login")
        elif key is not None:
            id = _idOf(key, b"wsplug chat")
        else:
            id = _KNOWN + secrets.token_hex(8)
        person = self._people.get(id)
        if person is None:
            rank = 0 if not login else 2 if login == name else 1
            isGuest = self._hasGuests and not login
            person = Person(id, name, color, network, rank=rank, isGuest=isGuest)
            if login or key is not None:
                person.rateKey = id
        return person

    async def greet(self, person: Person, transport: IWebSocketTransport) -> None:
        """
        Add a connection to a person, and make a new person known to others.

        @raise RequestRefused: another person has the name. Nothing has changed.
        @raise BrokerError: the broker failed. Nothing has changed.
        """
        self._people[person.id] = person
        person.transports.add(transport)

        async def enter() -> None:
            if not person.isKnown:
                taken = await self._names.take(person, person.wanted)
                person.name, person.nameKey = taken
                # The id may be taken: by the same key, on another server.
                info = encode(person.info())
                await self._broker.enter(self._channel, person.id, info)
                person.isKnown = True

        try:
            await locked(person, enter)
        except BaseException:
            await self.release(person, transport)
            raise

    async def release(self, person: Person, transport: IWebSocketTransport) -> None:
        """
        Remove a connection from a person. Without connections and memberships, the
        person is forgotten.

        @raise BrokerError: the broker failed; others may still see the person.
        """
        person.transports.discard(transport)
        if not person.memberships and not person.transports:
            await self.forget(person)

    def addClassic(self, network: str) -> Person:
        """
        Make the person for a classic client. Others can't send them messages before
        L{register}.
        """
        id = _CLASSIC + secrets.token_hex(8)
        person = Person(id, "", "", network, rank=0, isGuest=self._hasGuests)
        person.isClassic = True
        return person

    async def register(self, person: Person, id: str) -> None:
        """
        Register an id for a classic client. It replaces the client's former id. If the
        client has logged in, the person gets it as a further id.

        @raise RequestRefused: the id is in use.
        @raise BrokerError: the broker failed.
        """
        if self._people.get(id) is person:
            return
        isOwn = id in (person.id, person.uid)
        isReserved = id.startswith((_KNOWN, _CLASSIC)) and not isOwn
        if isReserved or not await self._enterAs(person, id):
            raise RequestRefused("id-in-use", f"the id {id} is in use")
        if person.isClassic:
            await self.unregister(person, person.id)
            person.id = id
            person.isKnown = True
        self._people[id] = person

    async def _enterAs(self, person: Person, id: str) -> bool:
        """
        Enter the broker's presence by an id.

        @return: whether it was free, or has become free.
        """
        info = person.info()
        info.id = id if person.isClassic else person.id
        data = encode(info)
        if await self._broker.enter(self._channel, id, data):
            return True
        holder = self._people.get(id)
        if holder is not None:
            if not self._newestHasId or holder.yieldId is None:
                return False
            await holder.yieldId()
        # Without a holder here, it may have been released meanwhile.
        return await self._broker.enter(self._channel, id, data)

    async def unregister(self, person: Person, id: str) -> None:
        """
        Release an id. It needn't be the person's.

        @raise BrokerError: the broker failed.
        """
        if self._people.get(id) is person:
            del self._people[id]
            await self._broker.leave(self._channel, id)

    async def changed(self, person: Person) -> None:
        """
        Update what others know of a person.

        @raise BrokerError: the broker failed.
        """
        if person.isKnown:
            await self._broker.update(self._channel, person.id, encode(person.info()))

    async def forget(self, person: Person) -> None:
        """
        Release the id and the name of a person. They needn't be known.

        @raise BrokerError: the broker failed.
        """
        person.isKnown = False
        key, person.nameKey = person.nameKey, ""
        # Both at once, so that a person who comes back meanwhile finds both free.
        named = Deferred.fromCoroutine(self._names.drop(key))
        try:
            await self.unregister(person, person.id)
        finally:
            await named


def _idOf(known: str, kind: bytes) -> str:
    """
    Derive a person's id.

    @param known: the key or the login.
    @param kind: which of them it is. Different kinds give different ids.
    """
    data = known.encode("utf-8", "surrogatepass")
    return _KNOWN + blake2b(data, digest_size=8, person=kind).hexdigest()
