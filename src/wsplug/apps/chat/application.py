"""
The chat as an application: its options, and where its parts meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug import HandshakeRefused, Option, WebSocketApplication
from wsplug.apps.chat.addressing import Addressing
from wsplug.apps.chat.callnames import CallNames
from wsplug.apps.chat.classic import ClassicProtocol
from wsplug.apps.chat.moves import Moves
from wsplug.apps.chat.names import nameOfLogin, roomOf
from wsplug.apps.chat.notices import Notices, isServersEnd
from wsplug.apps.chat.people import People, Person
from wsplug.apps.chat.protocol import SUBPROTOCOL, ChatProtocol
from wsplug.apps.chat.rooms import Rooms
from wsplug.apps.chat.talk import Talk
from wsplug.broker import Backlog, Overflow
from wsplug.errors import BrokerError
from wsplug.interfaces import (
    IHandshakeRequest,
    IServices,
    IWebSocketApplication,
    IWebSocketApplicationPlugin,
    IWebSocketProtocol,
    IWebSocketTransport,
)
from wsplug.jsonmessages import RequestRefused
from wsplug.networks import placeOf
from wsplug.options import boolean, choice, delay, integer, number, seconds, size
from wsplug.roompages import RoomPages

__all__ = ["ChatApplication", "chat"]

_PAGES: Final = str(Path(__file__).with_name("pages"))

_AT_ONCE, _GRACE, _OFF = "at-once", "grace", "off"


def _rooms(value: str) -> tuple[str, ...]:
    rooms = [roomOf(name) for name in value.split(",")]
    if None in rooms or len(set(rooms)) < len(rooms):
        raise ValueError("different names of rooms with commas between, as lobby,news")
    return tuple(room for room in rooms if room is not None)


OPTIONS: Final = (
    Option(
        "rooms",
        _rooms,
        ("lobby",),
        "rooms that the page offers, with commas between; the first is that of /",
        "lobby",
    ),
    Option("other-rooms", boolean, True, "whether any other name is a room too"),
    Option("history", integer(0, 500), 50, "messages that a newcomer is shown"),
    Option(
        "names",
        choice("suffix", "refuse"),
        "suffix",
        "what a second person of a name gets: suffix or refuse",
    ),
    Option(
        "login-names",
        boolean,
        True,
        "whether those who have logged in are called by that name, and no other",
    ),
    Option(
        "notices",
        choice(_AT_ONCE, _GRACE, _OFF),
        _AT_ONCE,
        "what is said of classic clients' coming and going: at-once, grace or off",
    ),
    Option(
        "grace",
        delay,
        5.0,
        "seconds that somebody may be gone without having left",
        "5",
    ),
    Option(
        "max-length", integer(1, 100_000), 2000, "characters that a message may have"
    ),
    Option("max-rooms", integer(1, 1000), 20, "rooms that a connection may be in"),
    Option(
        "rate",
        number(0.001, 1e6),
        5.0,
        "messages a second that a person may send in the long run",
        "5",
    ),
    Option(
        "burst", integer(1, 1_000_000), 50, "messages that a person may send at once"
    ),
    Option(
        "backlog",
        size,
        256 * 1024,
        "bytes of a room that may wait for a client that does not read",
        "256KiB",
    ),
    Option("backlog-age", seconds, 30.0, "seconds that they may wait", "30"),
    Option(
        "overflow",
        choice(*(each.value for each in Overflow)),
        Overflow.CLOSE.value,
        "what happens then: close (1013), drop the oldest, or keep only the latest",
    ),
)


class ChatApplication(WebSocketApplication):
    """
    One chat.

    @ivar people: who is who.
    @ivar rooms: who is where.
    @ivar moves: how often who may come and go.
    @ivar talk: what is said.
    @ivar notices: what is said of classic clients.
    @ivar addressing: what all that is called in the broker.
    @ivar offered: the rooms that the page offers.
    @ivar otherRooms: whether there are others.
    @ivar history: messages that a newcomer is shown.
    @ivar maxLength: characters of a message.
    @ivar maxRooms: that a connection may be in.
    """

    _log = Logger()

    subprotocols = (SUBPROTOCOL,)

    people: People
    rooms: Rooms
    talk: Talk
    notices: Notices
    addressing: Addressing

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
        self.moves = Moves(services.clock, options["rate"], 2 * options["burst"])
        self._isOpen = False

    def stopApplication(self) -> None:
        if self._isOpen:
            self.rooms.stop()
            self.notices.stop()

    def buildProtocol(self, request: IHandshakeRequest) -> IWebSocketProtocol:
        if not self._isOpen:
            self._open(request)
        address = request.getClientAddress()
        network = placeOf(address)
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
        Give the name of who has logged in; empty where they may choose another.

        @raise HandshakeRefused: nothing of it can be shown.
        """
        login = getattr(request.avatar, "name", None)
        if not self._loginNames or not isinstance(login, str):
            return ""
        if not nameOfLogin(login):
            raise HandshakeRefused(403, "this name can't be shown to others")
        return login

    def _open(self, request: IHandshakeRequest) -> None:
        """
        Begin, now that it is known where the chat is mounted.
        """
        self._isOpen = True
        options = self._options
        broker, clock = self._services.broker, self._services.clock
        path = "/" + b"/".join(request.prepath).decode("utf-8", "replace")
        self.addressing = Addressing(path)
        suffixes = options["names"] == "suffix"
        names = CallNames(broker, self.addressing.names, suffixes=suffixes)
        names.makeRoom = self._makeRoom
        hasGuests = self._loginNames and self._services.logins
        self.people = People(broker, self.addressing, names, hasGuests=hasGuests)
        self.rooms = Rooms(
            broker,
            clock,
            self.addressing,
            self.people,
            names,
            grace=options["grace"],
            quiet=options["notices"] == _OFF,
        )
        self.talk = Talk(
            broker,
            clock,
            self.addressing,
            maxLength=self.maxLength,
            rate=options["rate"],
            burst=options["burst"],
            backlog=Backlog(
                options["backlog"],
                options["backlog-age"],
                Overflow(options["overflow"]),
            ),
        )
        grace = options["grace"] if options["notices"] == _GRACE else 0.0
        self.notices = Notices(
            clock,
            self.talk.notice,
            self.moves.isTooOften,
            grace,
            options["notices"] != _OFF,
        )

    # For the connections

    def findRoom(self, name: str) -> str:
        """
        @return: the room of a name.
        @raise RequestRefused: there is none.
        """
        room = roomOf(name)
        if room is None or (not self.otherRooms and room not in self.offered):
            raise RequestRefused("no-such-room", f"there is no room {name[:100]!r}")
        return room

    async def rename(
        self, person: Person, name: str, color: str, *, isForced: bool = False
    ) -> None:
        """
        Have somebody called otherwise, in all rooms, and tell those who are there.

        @param isForced: see L{Rooms.rename}.
        @raise RequestRefused: the name is somebody else's.
        @raise BrokerError: it can't be told to others.
        """
        was = await self.rooms.rename(person, name, color, isForced=isForced)
        for room in tuple(person.places):
            await self.rooms.changed(person, room, was)

    async def _makeRoom(self, person: Person) -> None:
        """
        Have somebody called otherwise, since the name is that of a login.
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
        A connection of somebody's is gone.
        """
        if isServersEnd(reason):
            self.rooms.stop()
        for room in rooms:
            self.rooms.exit(person, room, transport, mayReturn=not person.isClassic)
        released = Deferred.fromCoroutine(self.people.release(person, transport))
        released.addErrback(self._notForgotten)

    def unregistered(self, person: Person, id: str) -> None:
        """
        A classic client of somebody's is gone, which was reached by an id of its own.
        """
        if id:
            gone = Deferred.fromCoroutine(self.people.unregister(person, id))
            gone.addErrback(self._notForgotten)

    def _notForgotten(self, failure: Failure) -> None:
        failure.trap(BrokerError)
        self._log.error("chat: a leaving isn't known: {error}", error=failure.value)


@implementer(IWebSocketApplicationPlugin)
class _ChatPlugin:
    """
    The word for C{--app}.
    """

    name = "chat"
    help = "Rooms for people: names, history, direct messages, and a page."
    options: Sequence[Option] = OPTIONS

    def makeApplication(
        self, options: Mapping[str, Any], services: IServices
    ) -> IWebSocketApplication:
        return ChatApplication(options, services)


chat: Final = _ChatPlugin()


def _host(address: IAddress) -> str:
    """
    What the others are told of a client.
    """
    host: str | None = getattr(address, "host", None)
    return host or "a local client"
