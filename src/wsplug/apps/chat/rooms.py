"""
Where people are: coming, going, and what nobody else may be called there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from wsplug.apps.chat.addressing import Addressing
from wsplug.apps.chat.messages import PersonInfo, Presence, encode, readPerson
from wsplug.apps.chat.names import nameKey, numbered
from wsplug.apps.chat.people import People, Person, Place, locked
from wsplug.apps.wire import RequestRefused
from wsplug.errors import BrokerError
from wsplug.interfaces import IBroker, IWebSocketTransport

__all__ = ["Here", "Rooms"]

_SHOWN: Final = 200
"""
How many of those who are in a room a newcomer is shown.
"""

_NUMBERS: Final = 1000
"""
The highest number that is tried for a name that is taken.
"""


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
        *,
        grace: float,
        suffixes: bool,
        quiet: bool,
    ) -> None:
        """
        @param grace: seconds that somebody may be gone without having left.
        @param suffixes: whether a name that is taken gets a number, or is refused.
        @param quiet: whether coming and going is not to be mentioned.
        """
        self._broker = broker
        self._clock = clock
        self._addressing = addressing
        self._people = people
        self._grace = grace
        self._suffixes = suffixes
        self._quiet = quiet
        self._stopped = False
        self._leaving: set[Place] = set()

    async def here(self, room: str) -> Here:
        """
        See who is in a room.

        @raise BrokerError: that can't be found out.
        """
        present = await self._broker.presence(self._addressing.ofRoom(room))
        shown = islice(present.values(), _SHOWN)
        return Here([readPerson(info) for info in shown], len(present))

    async def enter(
        self, person: Person, room: str, transport: IWebSocketTransport
    ) -> tuple[Place, bool]:
        """
        Have somebody in a room by one more connection.

        @return: their place there, and whether they weren't there before. It is told
            to nobody: see L{came}.
        @raise RequestRefused: their name is somebody else's there.
        @raise BrokerError: it can't be found out whether it is.
        """
        return await locked(person, lambda: self._enter(person, room, transport))

    async def _enter(
        self, person: Person, room: str, transport: IWebSocketTransport
    ) -> tuple[Place, bool]:
        place = person.places.get(room)
        isNew = place is None
        if place is None:
            name, key = await self._claim(person, room, person.name, None)
            place = person.places[room] = Place(name, key)
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
        self, person: Person, name: str, color: str
    ) -> dict[str, tuple[str, str]]:
        """
        Have somebody called otherwise in all rooms that they are in, or in none.

        @return: by room, their name there before, and now.
        @raise RequestRefused: the name is somebody else's in one of the rooms.
        @raise BrokerError: it can't be found out whether it is.
        """
        return await locked(person, lambda: self._rename(person, name, color))

    async def _rename(
        self, person: Person, name: str, color: str
    ) -> dict[str, tuple[str, str]]:
        before, person.color = person.color, color
        claimed: dict[str, tuple[str, str]] = {}
        try:
            for room, place in person.places.items():
                claimed[room] = await self._claim(person, room, name, place)
        except BaseException:
            person.color = before
            for room, (_, key) in claimed.items():
                await self._letGo(person, room, key)
            raise
        person.name = name
        renamed: dict[str, tuple[str, str]] = {}
        for room, (now, key) in claimed.items():
            place = person.places[room]
            was, place.name = place.name, now
            old, place.key = place.key, key
            await self._letGo(person, room, old)
            renamed[room] = was, now
        return renamed

    async def _letGo(self, person: Person, room: str, key: str) -> None:
        """
        Let others have a name, unless it is the one that somebody has there.
        """
        channel, place = self._addressing.ofRoom(room), person.places[room]
        try:
            if key == place.key:
                info = encode(person.info(place.name))
                await self._broker.update(channel, key, info)
            else:
                await self._broker.leave(channel, key)
        except BrokerError as error:
            self._log.error("chat: a name isn't free again: {error}", error=error)

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
            await self._tell(person, room, place.name, "joined", quiet=quiet)

    async def changed(self, person: Person, room: str, was: str) -> None:
        """
        Tell those in a room that somebody has another name or colour.

        @param was: the name before.
        @raise BrokerError: it can't be told.
        """
        place = person.places.get(room)
        if place is not None:
            before = was if was != place.name else None
            await self._tell(person, room, place.name, "changed", was=before)

    def stop(self) -> None:
        """
        Wait for nobody any more.
        """
        self._stopped = True
        for place in tuple(self._leaving):
            self._stay(place)

    # Names

    async def _claim(
        self, person: Person, room: str, name: str, place: Place | None
    ) -> tuple[str, str]:
        """
        Find a name that nobody else in a room has, and take it.

        @param place: where they are there already: what they have is theirs to keep.
        """
        channel = self._addressing.ofRoom(room)
        for number in range(1, _NUMBERS):
            candidate = name if number == 1 else numbered(name, number)
            key = nameKey(candidate) or person.id
            info = encode(person.info(candidate))
            if place is not None and key == place.key:
                await self._broker.update(channel, key, info)
                return candidate, key
            if await self._broker.enter(channel, key, info):
                return candidate, key
            if not self._suffixes:
                break
        raise RequestRefused(
            "name-in-use", f"somebody else in {room} is called {name} already"
        )

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
        await self._broker.leave(self._addressing.ofRoom(room), place.key)
        if place.isTold and not self._stopped:
            await self._tell(person, room, place.name, "left")
        if not person.places and not person.transports:
            await self._people.forget(person)

    async def _tell(
        self,
        person: Person,
        room: str,
        name: str,
        event: str,
        *,
        was: str | None = None,
        quiet: bool = False,
    ) -> None:
        channel = self._addressing.ofRoom(room)
        count = len(await self._broker.presence(channel))
        told = Presence(
            event,
            person.id,
            name,
            person.color,
            count,
            was,
            quiet or self._quiet or person.isClassic,
        )
        await self._broker.publish(channel, encode(told), store=False)

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
