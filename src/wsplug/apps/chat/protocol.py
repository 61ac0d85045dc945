"""
Connections that speak the subprotocol C{wsplug.chat.v1}, which
C{docs/reference/chat.md} describes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from wsplug import WebSocketProtocol, shielded
from wsplug.apps.chat.channelnames import DIRECT
from wsplug.apps.chat.delivery import MAX_RECOVERED, fitHistory
from wsplug.apps.chat.person import Membership, Person
from wsplug.apps.chat.requests import (
    REQUEST,
    Changed,
    Delete,
    Edit,
    Find,
    Found,
    Hello,
    Join,
    Joined,
    Leave,
    Left,
    Named,
    Older,
    OlderMessages,
    OperatorNotice,
    Ping,
    Pong,
    Rename,
    Say,
    Sent,
    Typing,
    Welcome,
)
from wsplug.apps.chat.sanitizing import checkName, cleanColor, cleanLogin, cleanRoom
from wsplug.apps.chat.service import ChatService
from wsplug.broker import History
from wsplug.errors import BrokerError
from wsplug.jsonmessages import (
    RequestRefused,
    WirePosition,
    read,
    refusal,
    write,
)

__all__ = ["SUBPROTOCOL", "ChatProtocol"]

SUBPROTOCOL: Final = "wsplug.chat.v1"


class ChatProtocol(WebSocketProtocol):
    """
    A connection of a person.
    """

    def __init__(self, chat: ChatService, room: str, network: str, login: str) -> None:
        """
        @param room: the room of the path.
        @param network: the network that the client connects from.
        @param login: the name that the person has logged in with; empty if they may
            choose a name.
        """
        self._chat = chat
        self._room = room
        self._network = network
        self._login = login
        self._person: Person | None = None
        self._memberships: dict[str, Membership | None] = {}
        self._lost = False

    @property
    def clientName(self) -> str:
        """
        The person's name, for operators.
        """
        return self._person.name if self._person is not None else ""

    def textMessageReceived(self, message: str) -> Deferred[None] | None:
        try:
            asked = read(REQUEST, message)
        except RequestRefused as error:
            self.transport.sendTextMessage(refusal(error))
            return None
        # Shielded: a message is sent although its sender disconnects meanwhile.
        return shielded(self._answer(asked))

    def bytesMessageReceived(self, data: bytes) -> None:
        self.transport.sendTextMessage(
            refusal(RequestRefused("not-json", "binary messages aren't supported"))
        )

    def noticeReceived(self, text: str) -> None:
        self._send(OperatorNotice(text))

    def connectionLost(self, reason: Failure) -> None:
        self._lost = True
        self._chat.delivery.modern.leaveAll(self.transport)
        person = self._person
        if person is not None:
            self._chat.disconnected(
                person, self.transport, list(self._memberships), reason
            )

    async def _answer(self, asked: Any) -> None:
        request = getattr(asked, "request", None)
        try:
            answer = await self._HANDLERS[type(asked)](self, asked)
        except (RequestRefused, BrokerError) as error:
            self.transport.sendTextMessage(refusal(error, request))
            return
        if answer is not None:
            answer.request = request
            self._send(answer)

    def _send(self, message: msgspec.Struct) -> None:
        self.transport.sendTextMessage(write(message))

    # People

    async def _hello(self, asked: Hello) -> Welcome:
        login = self._login
        name = cleanLogin(login) if login else _checkName(asked.name)
        color = cleanColor(asked.color or "")
        if self._person is not None:
            raise RequestRefused(
                "invalid", "hello was already sent; use name to change the name"
            )
        chat, people = self._chat, self._chat.people
        person = people.recognize(asked.key, name, color, self._network, login)
        if people.find(person.id) is not person:
            chat.presenceLimits.checkNew(person)
        elif (person.wanted, person.color) != (name, color):
            chat.presenceLimits.check(person)
        await people.greet(person, self.transport)
        try:
            if (person.wanted, person.color) != (name, color):
                await chat.rename(person, name, color)
            if self._lost:
                raise RequestRefused("unavailable", "the connection is lost")
        except BaseException:
            await people.release(person, self.transport)
            raise
        self._person = person
        return Welcome(
            person.id,
            person.name,
            person.color,
            self._room,
            chat.offered,
            chat.otherRooms,
            chat.maxLength,
            bool(login),
        )

    async def _name(self, asked: Rename) -> Named:
        person = self._known()
        self._chat.presenceLimits.check(person)
        color = person.color if asked.color is None else cleanColor(asked.color)
        name = _checkName(asked.name)
        if self._login and name == person.name:
            name = person.wanted
        if self._login and name != person.wanted:
            raise RequestRefused(
                "name-fixed", "your name is the one that you have logged in with"
            )
        await self._chat.rename(person, name, color)
        names = dict.fromkeys(person.memberships, person.name)
        return Named(person.name, person.color, names)

    def _known(self) -> Person:
        if self._person is None:
            raise RequestRefused("hello-first", "send hello first")
        return self._person

    # Rooms

    async def _join(self, asked: Join) -> Joined | None:
        person = self._known()
        chat, transport = self._chat, self.transport
        room = DIRECT if asked.room == DIRECT else chat.findRoom(asked.room)
        chat.presenceLimits.check(person)
        if room in self._memberships:
            raise RequestRefused("invalid", f"this connection is already in {room}")
        if len(self._memberships) >= chat.maxRooms + (DIRECT in self._memberships):
            raise RequestRefused(
                "too-many-rooms",
                f"a connection can be in at most {chat.maxRooms} rooms",
            )
        self._memberships[room] = None
        try:
            if room == DIRECT:
                await self._enter(asked, room, chat.channelNames.forPerson(person.id))
                return None
            membership, isNew = await chat.rooms.enter(person, room, transport)
            self._memberships[room] = membership
            try:
                await self._enter(asked, room, chat.channelNames.forRoom(room))
            except BaseException:
                await chat.rooms.exit(person, room, transport, mayReturn=False)
                raise
        except BaseException:
            self._memberships.pop(room, None)
            raise
        if isNew:
            quiet = asked.since is not None
            await chat.rooms.joined(person, room, membership, quiet=quiet)
        return None

    async def _enter(self, asked: Join, room: str, channel: str) -> None:
        """
        Subscribe to a room's channel, and answer with its history.
        """
        chat, membership = self._chat, self._memberships[room]
        here = await chat.rooms.here(room) if membership is not None else None
        if self._lost:
            raise RequestRefused("unavailable", "the connection is lost")
        since = None if asked.since is None else asked.since.position()
        maxLimit = chat.history if since is None else MAX_RECOVERED
        limit = maxLimit if asked.limit is None else min(asked.limit, maxLimit)

        def answer(history: History) -> None:
            past = fitHistory(history)
            self._send(
                Joined(
                    room,
                    self._known().name,
                    WirePosition.of(history.position),
                    past.isComplete,
                    chat.delivery.encodeHistory(room, past.publications),
                    [] if here is None else here.people,
                    0 if here is None else here.count,
                    asked.request,
                )
            )

        joined = chat.delivery.modern.join(self.transport, channel, since, limit)
        await joined.addCallback(answer)

    async def _leave(self, asked: Leave) -> Left:
        person = self._known()
        room = self._here(asked.room)
        del self._memberships[room]
        chat = self._chat
        channel = self._channelOf(person, room)
        chat.delivery.modern.leave(self.transport, channel)
        await chat.rooms.exit(person, room, self.transport, mayReturn=False)
        return Left(room)

    async def _find(self, asked: Find) -> Found:
        self._known()
        return Found(self._chat.findRoom(asked.room))

    def _here(self, name: str | None) -> str:
        """
        Return the room of a name.

        @raise RequestRefused: this connection isn't in the room.
        """
        room = DIRECT if name == DIRECT else cleanRoom(name or "")
        if room is None or room not in self._memberships:
            raise _notIn(room or name)
        return room

    # Messages

    async def _say(self, asked: Say) -> Sent:
        person = self._known()
        sender = self._chat.sender
        if asked.to_id is not None:
            text = sender.check(person, asked.message)
            to = await self._chat.people.lookUp(str(asked.to_id))
            return await sender.sendToPerson(
                person, to, text, asked.ref, asked.reply_to
            )
        room = self._here(asked.room)
        if self._memberships[room] is None:
            raise _notIn(room)
        text = sender.check(person, asked.message)
        return await sender.sendToRoom(person, room, text, asked.ref, asked.reply_to)

    async def _edit(self, asked: Edit) -> Changed:
        person, room = self._known(), self._here(asked.room)
        text = self._chat.sender.check(person, asked.message)
        channel = self._channelOf(person, room)
        await self._chat.changes.edit(person, channel, asked.id, text)
        return Changed(room, asked.id)

    async def _delete(self, asked: Delete) -> Changed:
        person, room = self._known(), self._here(asked.room)
        self._chat.sender.checkRate(person)
        channel = self._channelOf(person, room)
        await self._chat.changes.delete(person, channel, asked.id)
        return Changed(room, asked.id)

    async def _older(self, asked: Older) -> OlderMessages:
        person, room = self._known(), self._here(asked.room)
        channel, before = self._channelOf(person, room), asked.before.position()
        return await self._chat.changes.older(
            person, room, channel, before, asked.limit
        )

    def _channelOf(self, person: Person, room: str) -> str:
        """
        Return the channel of a room that this connection is in.
        """
        names = self._chat.channelNames
        return names.forPerson(person.id) if room == DIRECT else names.forRoom(room)

    async def _typing(self, asked: Typing) -> None:
        room = cleanRoom(asked.room or "")
        if room is not None and self._memberships.get(room) is not None:
            await self._chat.sender.sendTyping(self._known(), room)

    async def _ping(self, asked: Ping) -> Pong:
        return Pong()

    _HANDLERS: Final[dict[type, Callable[[Any, Any], Awaitable[Any]]]] = {
        Hello: _hello,
        Join: _join,
        Leave: _leave,
        Find: _find,
        Say: _say,
        Edit: _edit,
        Delete: _delete,
        Older: _older,
        Typing: _typing,
        Rename: _name,
        Ping: _ping,
    }


def _checkName(name: str) -> str:
    clean = checkName(name)
    if not clean:
        raise RequestRefused("empty", "name: it has no visible characters")
    return clean


def _notIn(room: str | None) -> RequestRefused:
    where = "any room" if room is None else room
    return RequestRefused(
        "not-in-room", f"this connection isn't in {where}; join it first"
    )
