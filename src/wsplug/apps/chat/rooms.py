"""
Rooms: people join, leave, and change their names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import islice

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from wsplug.apps.chat.channelnames import ChannelNames
from wsplug.apps.chat.events import Change
from wsplug.apps.chat.messages import PersonInfo, encode, readPerson
from wsplug.apps.chat.nicknames import Nicknames
from wsplug.apps.chat.people import People
from wsplug.apps.chat.person import Membership, Person, locked
from wsplug.apps.chat.presences import SHOWN, Teller
from wsplug.errors import BrokerError
from wsplug.interfaces import IBroker, IWebSocketTransport

__all__ = ["Here", "Rooms"]


@dataclass(frozen=True)
class Here:
    """
    The people in a room.

    @ivar people: those who joined first, at most L{SHOWN}.
    @ivar count: the number of all.
    """

    people: list[PersonInfo]
    count: int


class Rooms:
    """
    The rooms of a chat.
    """

    _log = Logger()

    def __init__(
        self,
        broker: IBroker,
        clock: IReactorTime,
        channelNames: ChannelNames,
        people: People,
        names: Nicknames,
        *,
        grace: float,
        quiet: bool,
    ) -> None:
        """
        @param grace: seconds that a person may be disconnected before they have left.
        @param quiet: whether clients needn't mention who joins and leaves.
        """
        self._broker = broker
        self._clock = clock
        self._channelNames = channelNames
        self._people = people
        self._names = names
        self._teller = Teller(broker, clock, channelNames)
        self._grace = grace
        self._quiet = quiet
        self._stopped = False
        self._leaving: set[Membership] = set()

    async def here(self, room: str) -> Here:
        """
        Look up who is in a room.

        @raise BrokerError: the broker failed.
        """
        present = await self._broker.presence(self._channelNames.forRoom(room))
        shown = islice(present.values(), SHOWN)
        return Here([readPerson(info) for info in shown], len(present))

    async def enter(
        self, person: Person, room: str, transport: IWebSocketTransport
    ) -> tuple[Membership, bool]:
        """
        Add a connection of a person to a room. The room isn't told: see L{joined}.

        @return: the membership, and whether it is new.
        @raise BrokerError: the broker failed.
        """
        return await locked(person, lambda: self._enter(person, room, transport))

    async def _enter(
        self, person: Person, room: str, transport: IWebSocketTransport
    ) -> tuple[Membership, bool]:
        membership = person.memberships.get(room)
        isNew = membership is None
        if membership is None:
            await self._broker.enter(
                self._channelNames.forRoom(room), person.uid, encode(person.info())
            )
            membership = person.memberships[room] = Membership()
        self._stay(membership)
        membership.transports.add(transport)
        return membership, isNew

    def exit(
        self,
        person: Person,
        room: str,
        transport: IWebSocketTransport,
        *,
        mayReturn: bool,
    ) -> Deferred[None]:
        """
        Remove a connection of a person from a room. It needn't be there. Without
        connections, the person has left.

        @param mayReturn: whether the person only has left after the grace period.
        @return: fires when the room has been told; it doesn't fail.
        """

        async def exit() -> None:
            membership = person.memberships.get(room)
            if membership is None or transport not in membership.transports:
                return
            membership.transports.discard(transport)
            if membership.transports:
                return
            if mayReturn and self._grace and not self._stopped:
                membership.leaving = self._clock.callLater(
                    self._grace, self._over, person, room, membership
                )
                self._leaving.add(membership)
            else:
                await self._left(person, room, membership)

        return Deferred.fromCoroutine(self._quietly(person, exit))

    async def rename(
        self, person: Person, name: str, color: str, *, isForced: bool = False
    ) -> str:
        """
        Change a person's name and colour in all rooms.

        @param isForced: see L{Nicknames.take}.
        @return: the former name.
        @raise RequestRefused: another person has the name. Nothing has changed.
        @raise BrokerError: the broker failed. Nothing has changed.
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
        Tell the rooms of a person that they have another id.

        @raise BrokerError: the broker failed.
        """
        await locked(person, lambda: self._update(person))
        for room in tuple(person.memberships):
            await self.changed(person, room, person.name)

    async def _update(self, person: Person) -> None:
        info = encode(person.info())
        for room in person.memberships:
            channel = self._channelNames.forRoom(room)
            await self._broker.update(channel, person.uid, info)
        await self._people.changed(person)

    async def _try(self, work: Awaitable[None]) -> None:
        """
        Do something that may fail. A failure is logged.
        """
        try:
            await work
        except BrokerError as error:
            self._log.error(
                "chat: others may see an outdated name: {error}", error=error
            )

    async def joined(
        self, person: Person, room: str, membership: Membership, *, quiet: bool = False
    ) -> None:
        """
        Tell a room that a person has joined, unless they have left again.

        @param quiet: whether clients needn't mention it.
        @raise BrokerError: the broker failed.
        """
        if person.memberships.get(room) is membership:
            membership.isTold = True
            await self._tell(person, room, "joined", quiet=quiet)

    async def changed(self, person: Person, room: str, was: str) -> None:
        """
        Tell a room that a person has another name, colour or id.

        @param was: the former name.
        @raise BrokerError: the broker failed.
        """
        if room in person.memberships:
            before = was if was != person.name else None
            await self._tell(person, room, "changed", was=before)

    def stop(self) -> None:
        """
        Stop: cancel the grace periods, without telling rooms that people leave.
        """
        self._stopped = True
        self._teller.stop()
        for membership in tuple(self._leaving):
            self._stay(membership)

    # Leaving

    def _stay(self, membership: Membership) -> None:
        leaving, membership.leaving = membership.leaving, None
        self._leaving.discard(membership)
        if leaving is not None and leaving.active():
            leaving.cancel()

    def _over(self, person: Person, room: str, membership: Membership) -> None:
        """
        The grace period is over.
        """

        async def leave() -> None:
            self._leaving.discard(membership)
            if not membership.transports and person.memberships.get(room) is membership:
                await self._left(person, room, membership)

        Deferred.fromCoroutine(self._quietly(person, leave))

    async def _left(self, person: Person, room: str, membership: Membership) -> None:
        del person.memberships[room]
        await self._broker.leave(self._channelNames.forRoom(room), person.uid)
        if membership.isTold and not self._stopped:
            await self._tell(person, room, "left")
        if not person.memberships and not person.transports:
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
        Do something without waiting for it. A failure is logged.
        """
        try:
            await locked(person, work)
        except BrokerError as error:
            self._log.error(
                "chat: others may not see that somebody left: {error}", error=error
            )
