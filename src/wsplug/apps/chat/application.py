"""
The chat application, which puts the parts together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug import HandshakeRefused, WebSocketApplication
from wsplug.apps.chat.channelnames import ChannelNames
from wsplug.apps.chat.classic import ClassicProtocol
from wsplug.apps.chat.delivery import Delivery
from wsplug.apps.chat.nicknames import Nicknames
from wsplug.apps.chat.notices import Notices, isServersEnd
from wsplug.apps.chat.people import People
from wsplug.apps.chat.person import Person
from wsplug.apps.chat.presencelimits import PresenceLimits
from wsplug.apps.chat.protocol import SUBPROTOCOL, ChatProtocol
from wsplug.apps.chat.publishing import Publisher
from wsplug.apps.chat.rooms import Rooms
from wsplug.apps.chat.sanitizing import cleanLogin, cleanRoom
from wsplug.apps.chat.sending import Sender
from wsplug.broker import Backlog, Overflow
from wsplug.errors import BrokerError
from wsplug.interfaces import (
    IHandshakeRequest,
    IServices,
    IWebSocketProtocol,
    IWebSocketTransport,
)
from wsplug.jsonmessages import RequestRefused
from wsplug.networks import clientKey
from wsplug.roompages import RoomPages

__all__ = ["ChatApplication", "NoticePolicy"]

_PAGES: Final = str(Path(__file__).with_name("pages"))


class NoticePolicy(str, Enum):
    """
    When a room is told that a classic client connects or disconnects.
    """

    AT_ONCE = "at-once"
    GRACE = "grace"
    OFF = "off"


class ChatApplication(WebSocketApplication):
    """
    A chat.

    @ivar people: the people who are connected.
    @ivar rooms: the rooms that they are in.
    @ivar presenceLimits: limits how often they join, leave and change names.
    @ivar sender: sends messages.
    @ivar delivery: delivers them to connections.
    @ivar notices: tells rooms about classic clients.
    @ivar channelNames: the names of the chat's channels.
    @ivar offered: the rooms that the page offers.
    @ivar otherRooms: whether there are others.
    @ivar history: messages of the past that somebody gets who joins a room.
    @ivar maxLength: characters that a message may have.
    @ivar maxRooms: rooms that a connection may join.
    """

    _log = Logger()

    subprotocols = (SUBPROTOCOL,)

    people: People
    rooms: Rooms
    sender: Sender
    delivery: Delivery
    notices: Notices
    channelNames: ChannelNames

    def __init__(self, options: Mapping[str, Any], services: IServices) -> None:
        self.pages = RoomPages(_PAGES, deep=True)
        self.offered = list(options["rooms"])
        self.otherRooms: bool = options["other-rooms"]
        self.history: int = options["history"]
        self.maxLength: int = options["max-length"]
        self.maxRooms: int = options["max-rooms"]
        self._options = options
        self._loginNames: bool = options["login-names"]
        self._services = services
        self.presenceLimits = PresenceLimits(
            services.clock, options["rate"], 2 * options["burst"]
        )
        self._isOpen = False

    def stopApplication(self) -> None:
        if self._isOpen:
            self.rooms.stop()
            self.notices.stop()

    def buildProtocol(self, request: IHandshakeRequest) -> IWebSocketProtocol:
        if not self._isOpen:
            self._open(request)
        address = request.getClientAddress()
        network = clientKey(address)
        login = self._loginOf(request)
        path = "/".join(request.segments)
        if SUBPROTOCOL in request.subprotocols:
            try:
                room = self.findRoom(path or self.offered[0])
            except RequestRefused:
                room = self.offered[0]
            return ChatProtocol(self, room, network, login)
        try:
            room = self.findRoom(path or self.offered[0])
        except RequestRefused as error:
            raise HandshakeRefused(404, error.message) from None
        return ClassicProtocol(self, room, _host(address), network, login)

    def _loginOf(self, request: IHandshakeRequest) -> str:
        """
        Return the name that the person has logged in with; empty if they may choose a
        name.

        @raise HandshakeRefused: the name has no visible characters.
        """
        login = getattr(request.avatar, "name", None)
        if not self._loginNames or not isinstance(login, str):
            return ""
        if not cleanLogin(login):
            raise HandshakeRefused(403, "your name has no visible characters")
        return login

    def _open(self, request: IHandshakeRequest) -> None:
        """
        Make the parts. The first request tells which path the chat is mounted at.
        """
        self._isOpen = True
        path = "/" + b"/".join(request.prepath).decode("utf-8", "replace")
        self.channelNames = ChannelNames(path)
        self._makeRooms()
        self._makeMessaging()

    def _makeRooms(self) -> None:
        options, channelNames = self._options, self.channelNames
        broker = self._services.broker
        suffixes = options["names"] == "suffix"
        names = Nicknames(broker, channelNames.names, suffixes=suffixes)
        names.renameHolder = self._renameHolder
        hasGuests = self._loginNames and self._services.logins
        self.people = People(broker, channelNames, names, hasGuests=hasGuests)
        self.rooms = Rooms(
            broker,
            self._services.clock,
            channelNames,
            self.people,
            names,
            grace=options["grace"],
            quiet=options["notices"] == NoticePolicy.OFF,
        )

    def _makeMessaging(self) -> None:
        options, channelNames = self._options, self.channelNames
        broker, clock = self._services.broker, self._services.clock
        backlog = Backlog(
            options["backlog"], options["backlog-age"], Overflow(options["overflow"])
        )
        self.delivery = Delivery(broker, clock, channelNames, backlog)
        self.sender = Sender(
            broker,
            clock,
            channelNames,
            Publisher(broker, clock, self.delivery),
            maxLength=self.maxLength,
            rate=options["rate"],
            burst=options["burst"],
        )
        notices = NoticePolicy(options["notices"])
        self.notices = Notices(
            clock,
            self.sender.sendNotice,
            self.presenceLimits.isExceeded,
            options["grace"] if notices is NoticePolicy.GRACE else 0.0,
            notices is not NoticePolicy.OFF,
        )

    # What the protocols call

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
        @raise RequestRefused: somebody else has the name.
        @raise BrokerError: the broker failed.
        """
        was = await self.rooms.rename(person, name, color, isForced=isForced)
        for room in tuple(person.memberships):
            await self.rooms.changed(person, room, was)

    async def _renameHolder(self, person: Person) -> None:
        """
        Give another name to somebody whose name belongs to a login.
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
        if isServersEnd(reason):
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


def _host(address: IAddress) -> str:
    """
    Return the address that notices name.
    """
    host: str | None = getattr(address, "host", None)
    return host or "a local client"
