"""
A chat: its parts, and what connections do with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.apps.chat.changing import Changes
from wsplug.apps.chat.channelnames import ChannelNames
from wsplug.apps.chat.delivery import Delivery
from wsplug.apps.chat.nicknames import Nicknames
from wsplug.apps.chat.notices import NoticePolicy, Notices, isServerShutdown
from wsplug.apps.chat.people import People
from wsplug.apps.chat.person import Person
from wsplug.apps.chat.presencelimits import PresenceLimits
from wsplug.apps.chat.publishing import Publisher
from wsplug.apps.chat.rooms import Rooms
from wsplug.apps.chat.sanitizing import cleanRoom
from wsplug.apps.chat.sending import Sender
from wsplug.broker import makeBacklog
from wsplug.errors import BrokerError
from wsplug.interfaces import IServices, IWebSocketTransport
from wsplug.jsonmessages import RequestRefused

__all__ = ["ChatService"]


class ChatService:
    """
    A chat.

    @ivar people: the people who are connected.
    @ivar rooms: the rooms that they are in.
    @ivar presenceLimits: limits how often they join, leave and change names.
    @ivar sender: sends messages.
    @ivar changes: edits and deletes them, and reads older ones.
    @ivar delivery: delivers them to connections.
    @ivar notices: tells rooms about classic clients.
    @ivar channelNames: the names of the chat's channels.
    @ivar offered: the rooms that the page offers.
    @ivar otherRooms: whether there are others.
    @ivar history: latest messages that a person gets when joining a room.
    @ivar maxLength: characters that a message may have.
    @ivar maxRooms: rooms that a connection may join.
    """

    _log = Logger()

    people: People
    rooms: Rooms
    sender: Sender
    changes: Changes
    delivery: Delivery
    notices: Notices

    def __init__(
        self, options: Mapping[str, Any], services: IServices, path: str
    ) -> None:
        """
        @param options: the options of the plugin.
        @param path: the path that the chat is mounted at.
        """
        self.offered = list(options["rooms"])
        self.otherRooms: bool = options["other-rooms"]
        self.history: int = options["history"]
        self.maxLength: int = options["max-length"]
        self.maxRooms: int = options["max-rooms"]
        self.presenceLimits = PresenceLimits(
            services.clock, options["rate"], 2 * options["burst"]
        )
        self.channelNames = ChannelNames(path)
        self._makeRooms(options, services)
        self._makeMessaging(options, services)

    def stop(self) -> None:
        """
        Stop: send no more events.
        """
        self.rooms.stop()
        self.notices.stop()

    def _makeRooms(self, options: Mapping[str, Any], services: IServices) -> None:
        broker, channelNames = services.broker, self.channelNames
        suffixes = options["names"] == "suffix"
        names = Nicknames(broker, channelNames.names, suffixes=suffixes)
        names.renameHolder = self._renameHolder
        hasGuests = options["login-names"] and services.logins
        self.people = People(
            broker,
            channelNames,
            names,
            hasGuests=hasGuests,
            newestHasId=options["ids"] == "newest",
        )
        self.rooms = Rooms(
            broker,
            services.clock,
            channelNames,
            self.people,
            names,
            grace=options["grace"],
            quiet=options["notices"] == NoticePolicy.OFF,
        )

    def _makeMessaging(self, options: Mapping[str, Any], services: IServices) -> None:
        broker, clock = services.broker, services.clock
        channelNames = self.channelNames
        self.delivery = Delivery(broker, clock, channelNames, makeBacklog(options))
        self.sender = Sender(
            broker,
            clock,
            channelNames,
            Publisher(broker, clock, self.delivery),
            maxLength=self.maxLength,
            rate=options["rate"],
            burst=options["burst"],
        )
        self.changes = Changes(broker, clock, channelNames, self.delivery)
        notices = NoticePolicy(options["notices"])
        self.notices = Notices(
            clock,
            self.sender.sendNotice,
            self.presenceLimits.isExceeded,
            options["grace"] if notices is NoticePolicy.GRACE else 0.0,
            notices is not NoticePolicy.OFF,
        )

    def findRoom(self, name: str) -> str:
        """
        Return the room of a name.

        @raise RequestRefused: there is none.
        """
        room = cleanRoom(name)
        if room is None or (not self.otherRooms and room not in self.offered):
            raise RequestRefused("no-such-room", f"there is no room {name[:100]!r}")
        return room

    async def rename(
        self, person: Person, name: str, color: str, *, isForced: bool = False
    ) -> None:
        """
        Change a person's name and colour in all rooms, and tell the rooms.

        @param isForced: see L{Nicknames.take}.
        @raise RequestRefused: another person has the name.
        @raise BrokerError: the broker failed.
        """
        was = await self.rooms.rename(person, name, color, isForced=isForced)
        for room in tuple(person.memberships):
            await self.rooms.changed(person, room, was)

    async def _renameHolder(self, person: Person) -> None:
        """
        Give another name to a person whose name belongs to a login.
        """
        await self.rename(person, person.wanted, person.color, isForced=True)

    def disconnected(
        self,
        person: Person,
        transport: IWebSocketTransport,
        rooms: Iterable[str],
        reason: Failure,
    ) -> None:
        """
        A connection of a person is closed.
        """
        if isServerShutdown(reason):
            self.rooms.stop()
        for room in rooms:
            self.rooms.exit(person, room, transport, mayReturn=not person.isClassic)
        released = Deferred.fromCoroutine(self.people.release(person, transport))
        released.addErrback(self._notReleased)

    def unregistered(self, person: Person, id: str) -> None:
        """
        A classic client that has registered an id is disconnected.
        """
        if id:
            released = Deferred.fromCoroutine(self.people.unregister(person, id))
            released.addErrback(self._notReleased)

    def _notReleased(self, failure: Failure) -> None:
        failure.trap(BrokerError)
        self._log.error(
            "chat: others may not see that somebody left: {error}", error=failure.value
        )
