"""
A connection of a tutorial's client: C{docs/chat.md} has what it sends and gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from wsplug import WebSocketProtocol, shielded
from wsplug.apps.chat.messages import CLASSIC, ClassicMessage, ClassicNotice, encode
from wsplug.apps.chat.names import MAX_NAME, cleanColor, nameKey, nameOfLogin
from wsplug.apps.names import cleanName
from wsplug.apps.wire import RequestRefused, brokerRefused, read, refusal
from wsplug.errors import BrokerError

if TYPE_CHECKING:
    from wsplug.apps.chat.application import ChatApplication

__all__ = ["ClassicProtocol"]


class ClassicProtocol(WebSocketProtocol):
    """
    One connection, in one room.
    """

    def __init__(
        self,
        chat: ChatApplication,
        room: str,
        address: str,
        network: str,
        login: str,
    ) -> None:
        """
        @param address: what the others are told of it.
        @param network: where it comes from.
        @param login: what its user has logged in as, and is called, whatever it says;
            empty where it may choose.
        """
        self._chat = chat
        self._room = room
        self._address = address
        self._person = chat.people.addClassic(network)
        self._login = nameOfLogin(login)
        self._lost = False

    def negotiationFinished(self) -> Deferred[None]:
        return shielded(self._arrive())

    def textMessageReceived(self, message: str) -> Deferred[None] | None:
        try:
            said = read(CLASSIC, message)
        except RequestRefused as error:
            self.transport.sendTextMessage(refusal(error))
            return None
        # What was said is said, though who said it is gone meanwhile.
        return shielded(self._answer(said))

    def bytesMessageReceived(self, data: bytes) -> None:
        self.transport.sendTextMessage(
            refusal(RequestRefused("not-json", "this is no text message"))
        )

    def noticeReceived(self, text: str) -> None:
        self.transport.sendTextMessage(encode(ClassicNotice(text)).decode())

    def connectionLost(self, reason: Failure) -> None:
        self._lost = True
        self._chat.talk.classic.leaveAll(self.transport)
        self._chat.disconnected(self._person, self.transport, [self._room], reason)
        self._chat.notices.left(self._room, self._address, reason)

    async def _arrive(self) -> None:
        chat = self._chat
        self._person.transports.add(self.transport)
        channel = chat.addressing.ofRoom(self._room)
        try:
            await chat.talk.classic.join(self.transport, channel, limit=0)
            if not self._lost:
                await chat.notices.came(self._room, self._address)
        except BrokerError as error:
            self._refuse(brokerRefused(error))

    async def _answer(self, said: ClassicMessage) -> None:
        try:
            if said.type == "system":
                await self._register(said)
            elif said.type in (None, "user", "usermsg"):
                await self._say(said)
            else:
                raise RequestRefused(
                    "unknown-type",
                    f"type: {said.type!r} is none of a client's that offers no "
                    "subprotocol",
                )
        except RequestRefused as error:
            self._refuse(error, said.request)
        except BrokerError as error:
            self._refuse(brokerRefused(error), said.request)

    def _refuse(self, error: RequestRefused, request: Any = None) -> None:
        self.transport.sendTextMessage(refusal(error, request))

    async def _register(self, said: ClassicMessage) -> None:
        """
        Let others reach the client by its own id.
        """
        self._chat.moves.check(self._person)
        name = self._nameFrom(said)
        if said.id is not None:
            id = str(said.id)
            if id != self._person.id:
                await self._known(id)
        if name:
            await self._call(name)
        answer = ClassicNotice("Initial message received")
        self.transport.sendTextMessage(encode(answer).decode())

    async def _say(self, said: ClassicMessage) -> None:
        chat, person = self._chat, self._person
        if said.message is None:
            raise RequestRefused("invalid", "object missing required field `message`")
        name = self._nameFrom(said)
        person.rateKey = f"{person.network} {nameKey(name)}"
        text = chat.talk.check(person, str(said.message))
        color = person.color if said.color is None else cleanColor(str(said.color))
        isChanged = color != person.color
        person.color = color
        if name:
            name = await self._call(name, isChanged=isChanged)
        if said.to_id in (None, ""):
            await chat.talk.say(person, name, self._room, text)
            return
        to = str(said.to_id)
        toName = await chat.people.nameOf(to)
        if toName is None:
            raise RequestRefused("not-here", f"nobody here has the id {to}")
        await chat.talk.tell(person, to, toName, text)

    def _nameFrom(self, said: ClassicMessage) -> str:
        """
        @return: what the client is called; empty where it doesn't say.
        """
        if self._login or said.name is None:
            return self._login
        return _checkName(said.name)

    async def _call(self, name: str, *, isChanged: bool = False) -> str:
        """
        Have the client called by a name that nobody else in the room has; others see
        it among those who are here from then on, and can reach it.

        @param isChanged: whether something else about it is new, too.
        @return: the name.
        """
        chat, person, room = self._chat, self._person, self._room
        place = person.places.get(room)
        if place is None:
            person.name = name
            place, _ = await chat.rooms.enter(person, room, self.transport)
            if self._lost:
                await chat.rooms.exit(person, room, self.transport, mayReturn=False)
                raise RequestRefused("unavailable", "the connection is lost")
            if chat.people.find(person.id) is not person:
                await self._known(person.id)
            await chat.rooms.came(person, room, place)
        elif name != person.name or isChanged:
            await chat.rename(person, name, person.color)
        return place.name

    async def _known(self, id: str) -> None:
        """
        Have it reached by an id.
        """
        chat, person, transport = self._chat, self._person, self.transport
        before = person.id
        isKnown = chat.people.find(before) is person
        await chat.people.register(person, id)
        if self._lost:
            await chat.people.forget(person)
            raise RequestRefused("unavailable", "the connection is lost")
        if isKnown:
            chat.talk.classic.leave(transport, chat.addressing.ofPerson(before))
        channel = chat.addressing.ofPerson(id)
        await chat.talk.classic.join(transport, channel, limit=0)
        if self._room in person.places and before != id:
            # Those who see it among themselves see the new id.
            await chat.rename(person, person.name, person.color)


def _checkName(name: str | int | float) -> str:
    clean = cleanName(str(name))
    if len(clean) > MAX_NAME:
        raise RequestRefused(
            "too-long", f"name: {len(clean)} characters; {MAX_NAME} are the most"
        )
    return clean
