"""
Who is who: people, their ids, and the connections that they have.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall

from wsplug.apps.chat.addressing import Addressing
from wsplug.apps.chat.messages import PersonInfo, encode, readPerson
from wsplug.apps.chat.names import nameKey
from wsplug.interfaces import IBroker, IWebSocketTransport
from wsplug.jsonmessages import RequestRefused

if TYPE_CHECKING:
    from wsplug.apps.chat.callnames import CallNames

__all__ = ["People", "Person", "Place", "locked"]

_T = TypeVar("_T")

_KNOWN: Final = "p-"
"""
What the ids of those begin with who said C{hello}.
"""

_CLASSIC: Final = "c-"
"""
What those of classic clients begin with that have registered none.
"""


class Place:
    """
    Somebody in a room.

    @ivar transports: the connections by which they are there; none while they may
        still come back.
    @ivar leaving: ends it, if they don't.
    @ivar isTold: whether the others know that they are there.
    """

    def __init__(self) -> None:
        self.transports: set[IWebSocketTransport] = set()
        self.leaving: IDelayedCall | None = None
        self.isTold = False


class Person:
    """
    Somebody, with however many connections.

    @ivar id: what others know them by.
    @ivar uid: the same, but for a classic client that has registered another one.
    @ivar wanted: what they want to be called.
    @ivar name: what they are called.
    @ivar nameKey: what nobody else's name comes to; empty while they have none.
    @ivar color: of their name.
    @ivar network: where they come from.
    @ivar rank: whose name it is where two want the same: 2 for who has logged in with
        just that name, 1 for who has with one that looks like it, 0 for all others.
    @ivar isGuest: whether others are told that they haven't logged in.
    @ivar rateKey: what their rate counts for: those who have no key are as many as
        have other names, at one place.
    @ivar isClassic: whether it is a tutorial's client, and nobody else.
    @ivar isKnown: whether the other servers know of them.
    @ivar places: the rooms that they are in.
    @ivar transports: their connections.
    @ivar lock: is held while their name or their places change.
    """

    def __init__(
        self, id: str, name: str, color: str, network: str, *, rank: int, isGuest: bool
    ) -> None:
        self.id = self.uid = id
        self.wanted = self.name = name
        self.nameKey = ""
        self.color = color
        self.network = network
        self.rank = rank
        self.isGuest = isGuest
        self.rateKey = f"{network} {nameKey(name)}"
        self.isClassic = False
        self.isKnown = False
        self.places: dict[str, Place] = {}
        self.transports: set[IWebSocketTransport] = set()
        self.lock = DeferredLock()

    def info(self) -> PersonInfo:
        """
        @return: what the others know of them.
        """
        return PersonInfo(self.id, self.name, self.color, self.isGuest)


class People:
    """
    All who have a connection to this server, or had one a moment ago.
    """

    def __init__(
        self,
        broker: IBroker,
        addressing: Addressing,
        names: CallNames,
        *,
        hasGuests: bool,
    ) -> None:
        """
        @param hasGuests: whether others are told of who hasn't logged in.
        """
        self._broker = broker
        self._channel = addressing.people
        self._names = names
        self._hasGuests = hasGuests
        # By id, and by what classic clients of theirs have registered.
        self._people: dict[str, Person] = {}

    def __len__(self) -> int:
        return len(set(self._people.values()))

    def has(self, person: Person) -> bool:
        """
        @return: whether somebody is known by their id.
        """
        return self._people.get(person.id) is person

    def find(self, id: str) -> Person | None:
        """
        @return: who has an id and is connected to this server.
        """
        return self._people.get(id)

    async def look(self, id: str) -> PersonInfo:
        """
        @return: who has an id, here or at another server.
        @raise RequestRefused: nobody has.
        @raise BrokerError: it can't be found out.
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
        Find or make who says C{hello}. Nobody knows of who is new before L{greet}.

        @param key: their secret, if they have one.
        @param network: where they come from.
        @param login: what they have logged in as: then that is who they are; or empty.
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
        Let others know of somebody who has one more connection.

        @raise RequestRefused: their name is somebody else's.
        @raise BrokerError: it can't be told to others. In either case, nothing has
            changed.
        """
        self._people[person.id] = person
        person.transports.add(transport)

        async def enter() -> None:
            if not person.isKnown:
                taken = await self._names.take(person, person.wanted)
                person.name, person.nameKey = taken
                # Others may know them already: the same key, at another server.
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
        Have somebody with one connection less; who has none and is nowhere is
        forgotten.

        @raise BrokerError: others may not know of that.
        """
        person.transports.discard(transport)
        if not person.places and not person.transports:
            await self.forget(person)

    def addClassic(self, network: str) -> Person:
        """
        Make who is behind a tutorial's client. Nobody can tell them anything before
        L{register}.
        """
        id = _CLASSIC + secrets.token_hex(8)
        person = Person(id, "", "", network, rank=0, isGuest=self._hasGuests)
        person.isClassic = True
        return person

    async def register(self, person: Person, id: str) -> None:
        """
        Let others know a classic client by an id, in place of the one that it had; or
        whom it is a client of by that id, too.

        @raise RequestRefused: somebody has it.
        @raise BrokerError: it can't be told to others.
        """
        if self._people.get(id) is person:
            return
        own = id == person.id
        taken = id.startswith((_KNOWN, _CLASSIC)) and not own
        if not taken:
            info = person.info()
            info.id = id if person.isClassic else person.id
            taken = not await self._broker.enter(self._channel, id, encode(info))
        if taken:
            raise RequestRefused("id-in-use", f"the id {id} is in use")
        if person.isClassic:
            await self.unregister(person, person.id)
            person.id = id
            person.isKnown = True
        self._people[id] = person

    async def unregister(self, person: Person, id: str) -> None:
        """
        Let an id go; fine if it isn't theirs.

        @raise BrokerError: it can't be told to others.
        """
        if self._people.get(id) is person:
            del self._people[id]
            await self._broker.leave(self._channel, id)

    async def changed(self, person: Person) -> None:
        """
        Let others know of a new name.

        @raise BrokerError: it can't be told to them.
        """
        if person.isKnown:
            await self._broker.update(self._channel, person.id, encode(person.info()))

    async def forget(self, person: Person) -> None:
        """
        Let the id and the name go; fine if they were never known.

        @raise BrokerError: it can't be told to others.
        """
        person.isKnown = False
        key, person.nameKey = person.nameKey, ""
        # Both at once: who comes back at this moment has neither before them.
        named = Deferred.fromCoroutine(self._names.drop(key))
        try:
            await self.unregister(person, person.id)
        finally:
            await named


async def locked(person: Person, work: Callable[[], Awaitable[_T]]) -> _T:
    """
    Do something while nobody else changes who or where a person is.
    """
    await person.lock.acquire()
    try:
        return await work()
    finally:
        person.lock.release()


def _idOf(known: str, kind: bytes) -> str:
    """
    Make the id of who is known by something.

    @param kind: of it: what is known otherwise makes other ids of the same text.
    """
    data = known.encode("utf-8", "surrogatepass")
    return _KNOWN + blake2b(data, digest_size=8, person=kind).hexdigest()
