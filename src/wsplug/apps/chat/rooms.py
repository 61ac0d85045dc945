"""
Where people are: coming, going, and being called otherwise.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import islice

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from wsplug.apps.chat.addressing import Addressing
from wsplug.apps.chat.callnames import CallNames
from wsplug.apps.chat.messages import Change, PersonInfo, encode, readPerson
from wsplug.apps.chat.people import People, Person, Place, locked
from wsplug.apps.chat.presences import SHOWN, Teller
from wsplug.errors import BrokerError
from wsplug.interfaces import IBroker, IWebSocketTransport

__all__ = ["Here", "Rooms"]


@dataclass(frozen=True)
class Here:
    """
    Those who are in a room.

    @ivar people: some of them, the first to come first.
    @ivar count: how many there are.
    """

    people: list[PersonInfo]
    count: int


class Rooms:
    """
    All rooms of a chat.
    """

    _log = Logger()

    def __init__(
        self,
        broker: IBroker,
        clock: IReactorTime,
        addressing: Addressing,
        people: People,
        names: CallNames,
        *,
        grace: float,
        quiet: bool,
    ) -> None:
        """
        @param grace: seconds that somebody may be gone without having left.
        @param quiet: whether coming and going is not to be mentioned.
        """
        self._broker = broker
        self._clock = clock
        self._addressing = addressing
        self._people = people
        self._names = names
        self._teller = Teller(broker, clock, addressing)
        self._grace = grace
        self._quiet = quiet
        self._stopped = False
        self._leaving: set[Place] = set()

    async def here(self, room: str) -> Here:
        """
        See who is in a room.

        @raise BrokerError: that can't be found out.
        """
        present = await self._broker.presence(self._addressing.ofRoom(room))
        shown = islice(present.values(), SHOWN)
        return Here([readPerson(info) for info in shown], len(present))

    async def enter(
        self, person: Person, room: str, transport: IWebSocketTransport
    ) -> tuple[Place, bool]:
        """
        Have somebody in a room by one more connection.

        @return: their place there, and whether they weren't there before. It is told
            to nobody: see L{came}.
        @raise BrokerError: it can't be told to others.
        """
        return await locked(person, lambda: self._enter(person, room, transport))

    async def _enter(
        self, person: Person, room: str, transport: IWebSocketTransport
    ) -> tuple[Place, bool]:
        place = person.places.get(room)
        isNew = place is None
        if place is None:
            await self._broker.enter(
                self._addressing.ofRoom(room), person.uid, encode(person.info())
            )
            place = person.places[room] = Place()
        self._stay(place)
        place.transports.add(transport)
        return place, isNew

    def exit(
        self,
        person: Person,
        room: str,
        transport: IWebSocketTransport,
        *,
        mayReturn: bool,
    ) -> Deferred[None]:
        """
        Have them there by one connection less; fine if they weren't. Without any, they
        have left.

        @param mayReturn: whether they have, only once the time for coming back is
            over.
        @return: fires when all who have to know have been told; doesn't fail.
        """

        async def exit() -> None:
            place = person.places.get(room)
            if place is None or transport not in place.transports:
                return
            place.transports.discard(transport)
            if place.transports:
                return
            if mayReturn and self._grace and not self._stopped:
                place.leaving = self._clock.callLater(
                    self._grace, self._over, person, room, place
                )
                self._leaving.add(place)
            else:
                await self._left(person, room, place)

        return Deferred.fromCoroutine(self._quietly(person, exit))

    async def rename(
        self, person: Person, name: str, color: str, *, isForced: bool = False
    ) -> str:
        """
        Have somebody called otherwise in all rooms that they are in.

        @param isForced: whether they get a number where the name is somebody else's,
            also where others don't.
        @return: their name before.
        @raise RequestRefused: the name is somebody else's.
        @raise BrokerError: it can't be told to others. In either case, nothing has
            changed.
        """

        async def rename() -> str:
            called, key = await self._names.take(person, name, isForced=isForced)
            was, old = (person.name, person.color), person.nameKey
            person.name, person.color = called, color
            try:
                await self._update(person)
            except BaseException:
                person.name, person.color = was
                if key != old:
                    await self._try(self._names.drop(key))
                await self._try(self._update(person))
                raise
            person.wanted, person.nameKey = name, key
            if key != old:
                await self._try(self._names.drop(old))
            return was[0]

        return await locked(person, rename)

    async def identify(self, person: Person) -> None:
        """
        Let those who see somebody among themselves know of another id.

        @raise BrokerError: it can't be told to them.
        """
        await locked(person, lambda: self._update(person))
        for room in tuple(person.places):
            await self.changed(person, room, person.name)

    async def _update(self, person: Person) -> None:
        info = encode(person.info())
        for room in person.places:
            channel = self._addressing.ofRoom(room)
            await self._broker.update(channel, person.uid, info)
        await self._people.changed(person)

    async def _try(self, work: Awaitable[None]) -> None:
        """
        Do what others can do without.
        """
        try:
            await work
        except BrokerError as error:
            self._log.error("chat: others don't know all: {error}", error=error)

    async def came(
        self, person: Person, room: str, place: Place, *, quiet: bool = False
    ) -> None:
        """
        Tell those in a room that somebody has come, unless they have left again.

        @param quiet: nobody needs to mention it.
        @raise BrokerError: it can't be told.
        """
        if person.places.get(room) is place:
            place.isTold = True
            await self._tell(person, room, "joined", quiet=quiet)

    async def changed(self, person: Person, room: str, was: str) -> None:
        """
        Tell those in a room that somebody has another name or colour.

        @param was: the name before.
        @raise BrokerError: it can't be told.
        """
        if room in person.places:
            before = was if was != person.name else None
            await self._tell(person, room, "changed", was=before)

    def stop(self) -> None:
        """
        Wait for nobody any more.
        """
        self._stopped = True
        self._teller.stop()
        for place in tuple(self._leaving):
            self._stay(place)

    # Leaving

    def _stay(self, place: Place) -> None:
        leaving, place.leaving = place.leaving, None
        self._leaving.discard(place)
        if leaving is not None and leaving.active():
            leaving.cancel()

    def _over(self, person: Person, room: str, place: Place) -> None:
        """
        The time for coming back is over.
        """

        async def leave() -> None:
            self._leaving.discard(place)
            if not place.transports and person.places.get(room) is place:
                await self._left(person, room, place)

        Deferred.fromCoroutine(self._quietly(person, leave))

    async def _left(self, person: Person, room: str, place: Place) -> None:
        del person.places[room]
        await self._broker.leave(self._addressing.ofRoom(room), person.uid)
        if place.isTold and not self._stopped:
            await self._tell(person, room, "left")
        if not person.places and not person.transports:
            await self._people.forget(person)

    async def _tell(
        self,
        person: Person,
        room: str,
        event: str,
        *,
        was: str | None = None,
        quiet: bool = False,
    ) -> None:
        change = Change(
            event,
            person.id,
            person.name,
            person.color,
            was,
            quiet or self._quiet or person.isClassic,
            person.isGuest,
        )
        await self._teller.tell(room, change)

    async def _quietly(
        self, person: Person, work: Callable[[], Awaitable[None]]
    ) -> None:
        """
        Do what nobody waits for.
        """
        try:
            await locked(person, work)
        except BrokerError as error:
            self._log.error("chat: a leaving isn't known to all: {error}", error=error)
