"""
A connection that speaks C{wsplug.chat.v1}; C{docs/reference/chat.md} describes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from wsplug import WebSocketProtocol, shielded
from wsplug.apps.chat.addressing import DIRECT
from wsplug.apps.chat.messages import (
    REQUEST,
    Find,
    Found,
    Hello,
    Join,
    Joined,
    Leave,
    Left,
    Named,
    OperatorNotice,
    Ping,
    Pong,
    Rename,
    Say,
    Sent,
    Typing,
    Welcome,
    encode,
)
from wsplug.apps.chat.names import MAX_NAME, cleanColor, nameOfLogin, roomOf
from wsplug.apps.chat.people import Person, Place
from wsplug.apps.chat.talk import RECALLED, recall
from wsplug.broker import History
from wsplug.displaynames import cleanName
from wsplug.errors import BrokerError
from wsplug.jsonmessages import (
    RequestRefused,
    WirePosition,
    brokerRefused,
    read,
    refusal,
)

if TYPE_CHECKING:
    from wsplug.apps.chat.application import ChatApplication

__all__ = ["SUBPROTOCOL", "ChatProtocol"]

SUBPROTOCOL: Final = "wsplug.chat.v1"


class ChatProtocol(WebSocketProtocol):
    """
    One connection of somebody.
    """

    def __init__(
        self, chat: ChatApplication, room: str, network: str, login: str
    ) -> None:
        """
        @param room: that of the path.
        @param network: where they come from.
        @param login: what they have logged in as, and are called; empty where they may
            choose.
        """
        self._chat = chat
        self._room = room
        self._network = network
        self._login = login
        self._person: Person | None = None
        self._places: dict[str, Place | None] = {}
        self._lost = False

    def textMessageReceived(self, message: str) -> Deferred[None] | None:
        try:
            asked = read(REQUEST, message)
        except RequestRefused as error:
            self.transport.sendTextMessage(refusal(error))
            return None
        # What was said is said, though who said it is gone meanwhile.
        return shielded(self._answer(asked))

    def bytesMessageReceived(self, data: bytes) -> None:
        self.transport.sendTextMessage(
            refusal(RequestRefused("not-json", "this is no text message"))
        )

    def noticeReceived(self, text: str) -> None:
        self._send(OperatorNotice(text))

    def connectionLost(self, reason: Failure) -> None:
        self._lost = True
        self._chat.talk.modern.leaveAll(self.transport)
        person = self._person
        if person is not None:
            self._chat.disconnected(person, self.transport, list(self._places), reason)

    async def _answer(self, asked: Any) -> None:
        request = getattr(asked, "request", None)
        try:
            answer = await self._DO[type(asked)](self, asked)
        except RequestRefused as error:
            self.transport.sendTextMessage(refusal(error, request))
            return
        except BrokerError as error:
            self.transport.sendTextMessage(refusal(brokerRefused(error, request)))
            return
        if answer is not None:
            answer.request = request
            self._send(answer)

    def _send(self, message: msgspec.Struct) -> None:
        self.transport.sendTextMessage(encode(message).decode())

    # Who

    async def _hello(self, asked: Hello) -> Welcome:
        login = self._login
        name = nameOfLogin(login) if login else _checkName(asked.name)
        color = cleanColor(asked.color or "")
        if self._person is not None:
            raise RequestRefused("invalid", "hello was said already; see name")
        chat, people = self._chat, self._chat.people
        person = people.recognize(asked.key, name, color, self._network, login)
        if people.find(person.id) is not person:
            chat.moves.checkNew(person)
        elif (person.wanted, person.color) != (name, color):
            chat.moves.check(person)
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
        self._chat.moves.check(person)
        color = person.color if asked.color is None else cleanColor(asked.color)
        name = _checkName(asked.name)
        if self._login and name == person.name:
            name = person.wanted
        if self._login and name != person.wanted:
            raise RequestRefused(
                "name-fixed", "who has logged in is called by that name"
            )
        await self._chat.rename(person, name, color)
        names = dict.fromkeys(person.places, person.name)
        return Named(person.name, person.color, names)

    def _known(self) -> Person:
        if self._person is None:
            raise RequestRefused("hello-first", "say who you are with hello first")
        return self._person

    # Where

    async def _join(self, asked: Join) -> Joined | None:
        person = self._known()
        chat, transport = self._chat, self.transport
        room = DIRECT if asked.room == DIRECT else chat.findRoom(asked.room)
        chat.moves.check(person)
        if room in self._places:
            raise RequestRefused("invalid", f"this connection is in {room} already")
        if len(self._places) >= chat.maxRooms + (DIRECT in self._places):
            raise RequestRefused(
                "too-many-rooms", f"a connection can be in {chat.maxRooms} rooms"
            )
        self._places[room] = None
        try:
            if room == DIRECT:
                await self._enter(asked, room, chat.addressing.ofPerson(person.id))
                return None
            place, isNew = await chat.rooms.enter(person, room, transport)
            self._places[room] = place
            try:
                await self._enter(asked, room, chat.addressing.ofRoom(room))
            except BaseException:
                await chat.rooms.exit(person, room, transport, mayReturn=False)
                raise
        except BaseException:
            self._places.pop(room, None)
            raise
        if isNew:
            quiet = asked.since is not None
            await chat.rooms.came(person, room, place, quiet=quiet)
        return None

    async def _enter(self, asked: Join, room: str, channel: str) -> None:
        """
        Have what is said in a room from now on, and answer with what was said before.
        """
        chat, place = self._chat, self._places[room]
        here = await chat.rooms.here(room) if place is not None else None
        if self._lost:
            raise RequestRefused("unavailable", "the connection is lost")
        since = None if asked.since is None else asked.since.position()
        most = chat.history if since is None else RECALLED
        limit = most if asked.limit is None else min(asked.limit, most)

        def answer(history: History) -> None:
            past = recall(history)
            self._send(
                Joined(
                    room,
                    self._known().name,
                    WirePosition.of(history.position),
                    past.isComplete,
                    chat.talk.show(room, past.publications),
                    [] if here is None else here.people,
                    0 if here is None else here.count,
                    asked.request,
                )
            )

        joined = chat.talk.modern.join(self.transport, channel, since, limit)
        await joined.addCallback(answer)

    async def _leave(self, asked: Leave) -> Left:
        person = self._known()
        room = self._here(asked.room)
        del self._places[room]
        chat = self._chat
        if room == DIRECT:
            channel = chat.addressing.ofPerson(person.id)
        else:
            channel = chat.addressing.ofRoom(room)
        chat.talk.modern.leave(self.transport, channel)
        await chat.rooms.exit(person, room, self.transport, mayReturn=False)
        return Left(room)

    async def _find(self, asked: Find) -> Found:
        self._known()
        return Found(self._chat.findRoom(asked.room))

    def _here(self, name: str | None) -> str:
        """
        @return: the room of a name.
        @raise RequestRefused: this connection isn't there.
        """
        room = DIRECT if name == DIRECT else roomOf(name or "")
        if room is None or room not in self._places:
            raise _notIn(room or name)
        return room

    # What

    async def _say(self, asked: Say) -> Sent:
        person = self._known()
        talk = self._chat.talk
        if asked.to_id is not None:
            text = talk.check(person, asked.message)
            to = await self._chat.people.look(str(asked.to_id))
            return await talk.tell(person, to, text, asked.ref)
        room = self._here(asked.room)
        if self._places[room] is None:
            raise _notIn(room)
        text = talk.check(person, asked.message)
        return await talk.say(person, room, text, asked.ref)

    async def _typing(self, asked: Typing) -> None:
        room = roomOf(asked.room or "")
        if room is not None and self._places.get(room) is not None:
            await self._chat.talk.typing(self._known(), room)

    async def _ping(self, asked: Ping) -> Pong:
        return Pong()

    _DO: Final[dict[type, Callable[[Any, Any], Awaitable[Any]]]] = {
        Hello: _hello,
        Join: _join,
        Leave: _leave,
        Find: _find,
        Say: _say,
        Typing: _typing,
        Rename: _name,
        Ping: _ping,
    }


def _checkName(name: str) -> str:
    clean = cleanName(name)
    if not clean:
        raise RequestRefused("empty", "name: there is nothing to be seen in it")
    if len(clean) > MAX_NAME:
        raise RequestRefused(
            "too-long", f"name: {len(clean)} characters; {MAX_NAME} are the most"
        )
    return clean


def _notIn(room: str | None) -> RequestRefused:
    where = "any room" if room is None else room
    return RequestRefused("not-in-room", f"this connection is not in {where}; join it")
