"""
A connection of a tutorial's client: C{docs/reference/chat.md} has what it sends and
gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from wsplug import WebSocketProtocol, shielded
from wsplug.apps.chat.messages import CLASSIC, ClassicMessage, ClassicNotice, encode
from wsplug.apps.chat.names import MAX_NAME, cleanColor, nameKey, nameOfLogin
from wsplug.apps.chat.people import Person
from wsplug.displaynames import cleanName
from wsplug.errors import BrokerError
from wsplug.jsonmessages import RequestRefused, brokerRefused, read, refusal

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
        name = nameOfLogin(login)
        self._login = name
        self._person = (
            chat.people.recognize(None, name, "", network, login)
            if login
            else chat.people.addClassic(network)
        )
        self._id = ""
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
        self._chat.unregistered(self._person, self._id)
        network = self._person.network
        self._chat.notices.left(self._room, self._address, network, reason)

    async def _arrive(self) -> None:
        chat = self._chat
        self._person.transports.add(self.transport)
        channel = chat.addressing.ofRoom(self._room)
        try:
            if self._login:
                await self._greet()
            await chat.talk.classic.join(self.transport, channel, limit=0)
            if not self._lost:
                network = self._person.network
                await chat.notices.came(self._room, self._address, network)
        except RequestRefused as error:
            self._refuse(error)
        except BrokerError as error:
            self._refuse(brokerRefused(error))

    async def _greet(self) -> None:
        """
        Be one more connection of whom it has logged in as, and get what is for them.
        """
        chat, person = self._chat, self._person
        await chat.people.greet(person, self.transport)
        if self._lost:
            await chat.people.release(person, self.transport)
            raise RequestRefused("unavailable", "the connection is lost")
        channel = chat.addressing.ofPerson(person.id)
        await chat.talk.classic.join(self.transport, channel, limit=0)

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
            if id not in (self._person.id, self._id):
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
        if not self._login:
            person.rateKey = f"{person.network} {nameKey(name)}"
        text = chat.talk.check(person, str(said.message))
        color = person.color if said.color is None else cleanColor(str(said.color))
        isChanged = color != person.color
        person.color = color
        if name:
            await self._call(name, isChanged=isChanged)
        if said.to_id in (None, ""):
            await chat.talk.say(person, self._room, text)
            return
        to = await chat.people.look(str(said.to_id))
        await chat.talk.tell(person, to, text)

    def _nameFrom(self, said: ClassicMessage) -> str:
        """
        @return: what the client is called; empty where it doesn't say.
        """
        if self._login or said.name is None:
            return self._login
        return _checkName(said.name)

    async def _call(self, name: str, *, isChanged: bool = False) -> None:
        """
        Have the client called by a name that nobody else has; others see it among those
        who are here from then on, and can reach it.

        @param isChanged: whether something else about it is new, too.
        """
        chat, person, room = self._chat, self._person, self._room
        try:
            if not self._login and name != person.wanted:
                await chat.rename(person, name, person.color)
            elif isChanged:
                await chat.rename(person, person.wanted, person.color)
            place = person.places.get(room)
            if place is None or self.transport not in place.transports:
                await self._enter(person, room)
        finally:
            if self._lost:
                await chat.people.release(person, self.transport)

    async def _enter(self, person: Person, room: str) -> None:
        chat = self._chat
        place, isNew = await chat.rooms.enter(person, room, self.transport)
        if not self._lost and not chat.people.has(person):
            await self._known(person.id)
        if self._lost:
            await chat.rooms.exit(person, room, self.transport, mayReturn=False)
            raise RequestRefused("unavailable", "the connection is lost")
        if isNew:
            await chat.rooms.came(person, room, place)

    async def _known(self, id: str) -> None:
        """
        Have it reached by an id.
        """
        chat, person, transport = self._chat, self._person, self.transport
        before = person.id
        isKnown = chat.people.find(before) is person
        await chat.people.register(person, id)
        if self._lost:
            await chat.people.unregister(person, id)
            raise RequestRefused("unavailable", "the connection is lost")
        if self._login:
            # It is reached as whom it is a client of.
            former, self._id = self._id, id
            await chat.people.unregister(person, former)
            return
        if isKnown:
            chat.talk.classic.leave(transport, chat.addressing.ofPerson(before))
        channel = chat.addressing.ofPerson(id)
        await chat.talk.classic.join(transport, channel, limit=0)
        if self._room in person.places and before != id:
            await chat.rooms.identify(person)


def _checkName(name: str | int | float) -> str:
    clean = cleanName(str(name))
    if len(clean) > MAX_NAME:
        raise RequestRefused(
            "too-long", f"name: {len(clean)} characters; {MAX_NAME} are the most"
        )
    return clean
