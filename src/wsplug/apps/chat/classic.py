"""
Connections of classic clients: the browser clients of the WebSocket tutorials.
C{docs/reference/chat.md} describes what they send and get.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from wsplug import WebSocketProtocol, shielded
from wsplug.apps.chat.classicmessages import CLASSIC, ClassicMessage, ClassicNotice
from wsplug.apps.chat.person import Person
from wsplug.apps.chat.sanitizing import checkName, cleanColor, cleanLogin, nameKey
from wsplug.apps.chat.service import ChatService
from wsplug.errors import BrokerError
from wsplug.jsonmessages import RequestRefused, brokerRefused, read, refusal, write

__all__ = ["ClassicProtocol"]


class ClassicProtocol(WebSocketProtocol):
    """
    A connection of a classic client, which is in one room.
    """

    def __init__(
        self,
        chat: ChatService,
        room: str,
        address: str,
        network: str,
        login: str,
    ) -> None:
        """
        @param address: the address that notices name.
        @param network: the network that the client connects from.
        @param login: the name that the person has logged in with; empty if the client
            may choose a name.
        """
        self._chat = chat
        self._room = room
        self._address = address
        name = cleanLogin(login)
        self._login = name
        self._person = (
            chat.people.recognize(None, name, "", network, login)
            if login
            else chat.people.addClassic(network)
        )
        if not login:
            self._person.yieldId = self._yieldId
        self._id = ""
        self._lost = False

    @property
    def clientName(self) -> str:
        """
        The person's name, for operators.
        """
        return self._person.name

    def negotiationFinished(self) -> Deferred[None]:
        return shielded(self._arrive())

    def textMessageReceived(self, message: str) -> Deferred[None] | None:
        try:
            said = read(CLASSIC, message)
        except RequestRefused as error:
            self.transport.sendTextMessage(refusal(error))
            return None
        # Shielded: a message is sent although its sender disconnects meanwhile.
        return shielded(self._answer(said))

    def bytesMessageReceived(self, data: bytes) -> None:
        self.transport.sendTextMessage(
            refusal(RequestRefused("not-json", "binary messages aren't supported"))
        )

    def noticeReceived(self, text: str) -> None:
        self.transport.sendTextMessage(write(ClassicNotice(text)))

    def connectionLost(self, reason: Failure) -> None:
        self._lost = True
        self._chat.delivery.classic.leaveAll(self.transport)
        self._chat.disconnected(self._person, self.transport, [self._room], reason)
        self._chat.unregistered(self._person, self._id)
        network = self._person.network
        self._chat.notices.left(self._room, self._address, network, reason)

    async def _arrive(self) -> None:
        chat = self._chat
        self._person.transports.add(self.transport)
        channel = chat.channelNames.forRoom(self._room)
        try:
            if self._login:
                await self._greet()
            await chat.delivery.classic.join(self.transport, channel, limit=0)
            if not self._lost:
                network = self._person.network
                await chat.notices.came(self._room, self._address, network)
        except RequestRefused as error:
            self._refuse(error)
        except BrokerError as error:
            self._refuse(brokerRefused(error))

    async def _greet(self) -> None:
        """
        Add the connection to the person who has logged in, and subscribe to their
        direct messages.
        """
        chat, person = self._chat, self._person
        await chat.people.greet(person, self.transport)
        if self._lost:
            await chat.people.release(person, self.transport)
            raise RequestRefused("unavailable", "the connection is lost")
        channel = chat.channelNames.forPerson(person.id)
        await chat.delivery.classic.join(self.transport, channel, limit=0)

    async def _answer(self, said: ClassicMessage) -> None:
        try:
            if said.type == "system":
                await self._register(said)
            elif said.type in (None, "user", "usermsg"):
                await self._say(said)
            else:
                raise RequestRefused(
                    "unknown-type",
                    f"type: {said.type!r} is unknown; clients without a subprotocol "
                    "send usermsg or system",
                )
        except RequestRefused as error:
            self._refuse(error, said.request)
        except BrokerError as error:
            self._refuse(brokerRefused(error), said.request)

    def _refuse(self, error: RequestRefused, request: Any = None) -> None:
        self.transport.sendTextMessage(refusal(error, request))

    async def _register(self, said: ClassicMessage) -> None:
        """
        Register the client's id, so that others can send it direct messages.
        """
        self._chat.presenceLimits.check(self._person)
        name = self._nameFrom(said)
        if said.id is not None:
            id = str(said.id)
            if id not in (self._person.id, self._id):
                await self._makeKnown(id)
        if name:
            await self._rename(name)
        answer = ClassicNotice("Initial message received")
        self.transport.sendTextMessage(write(answer))

    async def _say(self, said: ClassicMessage) -> None:
        chat, person = self._chat, self._person
        if said.message is None:
            raise RequestRefused("invalid", "object missing required field `message`")
        name = self._nameFrom(said)
        if not self._login:
            person.rateKey = f"{person.network} {nameKey(name)}"
        text = chat.sender.check(person, str(said.message))
        color = person.color if said.color is None else cleanColor(str(said.color))
        isChanged = color != person.color
        person.color = color
        if name:
            await self._rename(name, isChanged=isChanged)
        if said.to_id in (None, ""):
            await chat.sender.sendToRoom(person, self._room, text)
            return
        to = await chat.people.lookUp(str(said.to_id))
        await chat.sender.sendToPerson(person, to, text)

    def _nameFrom(self, said: ClassicMessage) -> str:
        """
        Return the name of the client; empty if the message has none.
        """
        if self._login or said.name is None:
            return self._login
        return checkName(str(said.name))

    async def _rename(self, name: str, *, isChanged: bool = False) -> None:
        """
        Give the client a unique name. Others see it in the room from now on, and can
        send it direct messages.

        @param isChanged: whether the colour has changed.
        """
        chat, person, room = self._chat, self._person, self._room
        try:
            if not self._login and name != person.wanted:
                await chat.rename(person, name, person.color)
            elif isChanged:
                await chat.rename(person, person.wanted, person.color)
            membership = person.memberships.get(room)
            if membership is None or self.transport not in membership.transports:
                await self._enter(person, room)
        finally:
            if self._lost:
                await chat.people.release(person, self.transport)

    async def _enter(self, person: Person, room: str) -> None:
        chat = self._chat
        membership, isNew = await chat.rooms.enter(person, room, self.transport)
        if not self._lost and not chat.people.has(person):
            await self._makeKnown(person.id)
        if self._lost:
            await chat.rooms.exit(person, room, self.transport, mayReturn=False)
            raise RequestRefused("unavailable", "the connection is lost")
        if isNew:
            await chat.rooms.joined(person, room, membership)

    async def _yieldId(self) -> None:
        """
        Go back to the first id, because another client takes the registered one.

        @raise BrokerError: the broker failed.
        """
        with suppress(RequestRefused):  # disconnected meanwhile
            await self._makeKnown(self._person.uid)
        if not self._lost:
            notice = ClassicNotice("Another page has taken over this id")
            self.transport.sendTextMessage(write(notice))

    async def _makeKnown(self, id: str) -> None:
        """
        Make the client known by an id.
        """
        chat, person, transport = self._chat, self._person, self.transport
        before = person.id
        isKnown = chat.people.find(before) is person
        await chat.people.register(person, id)
        if self._lost:
            await chat.people.unregister(person, id)
            raise RequestRefused("unavailable", "the connection is lost")
        if self._login:
            # Direct messages come by the channel of the person who has logged in.
            former, self._id = self._id, id
            await chat.people.unregister(person, former)
            return
        if isKnown:
            chat.delivery.classic.leave(transport, chat.channelNames.forPerson(before))
        channel = chat.channelNames.forPerson(id)
        await chat.delivery.classic.join(transport, channel, limit=0)
        if self._room in person.memberships and before != id:
            await chat.rooms.identify(person)
