"""
Sends messages and typing notices, within the limits of the chat.
"""

from __future__ import annotations

import secrets
from itertools import count
from typing import Final

from twisted.internet.interfaces import IReactorTime

from wsplug.apps.chat.channelnames import DIRECT, ChannelNames
from wsplug.apps.chat.events import Notice, Said
from wsplug.apps.chat.messages import PersonInfo, encode
from wsplug.apps.chat.person import Person
from wsplug.apps.chat.presencelimits import MAX_PEOPLE
from wsplug.apps.chat.publishing import Publisher
from wsplug.apps.chat.requests import Sent, Typing
from wsplug.apps.chat.sanitizing import cleanMessage
from wsplug.interfaces import IBroker
from wsplug.jsonmessages import RequestRefused
from wsplug.rates import RateLimiter

__all__ = ["Sender"]

_TYPING_RATE: Final = 0.5
"""
Typing notices a second that a person may send to a room.
"""


class Sender:
    """
    Sends what people write, to rooms and to each other.
    """

    def __init__(
        self,
        broker: IBroker,
        clock: IReactorTime,
        channelNames: ChannelNames,
        publisher: Publisher,
        *,
        maxLength: int,
        rate: float,
        burst: int,
    ) -> None:
        """
        @param maxLength: characters that a message may have.
        @param rate: messages a second that a person may send in the long run.
        @param burst: messages that a person may send at once.
        """
        self._broker = broker
        self._channelNames = channelNames
        self._publisher = publisher
        self._maxLength = maxLength
        self._rate = RateLimiter(clock, rate, burst)
        self._networkRate = RateLimiter(clock, MAX_PEOPLE * rate, MAX_PEOPLE * burst)
        self._typing = RateLimiter(clock, _TYPING_RATE, 1)
        self._networkTyping = RateLimiter(clock, MAX_PEOPLE * _TYPING_RATE, MAX_PEOPLE)
        # A prefix that no other server's messages have.
        self._ids = secrets.token_hex(4)
        self._numbers = count()

    def check(self, person: Person, message: str) -> str:
        """
        Clean a message, and count it against the sender's rate.

        @return: the text to send.
        @raise RequestRefused: the message is empty or too long, or the rate is
            exceeded.
        """
        text = cleanMessage(message)
        if not text:
            raise RequestRefused("empty", "message: it has no visible characters")
        if len(text) > self._maxLength:
            raise RequestRefused(
                "too-long",
                f"message: {len(text)} characters; at most {self._maxLength} are "
                "allowed",
            )
        self.checkRate(person)
        return text

    def checkRate(self, person: Person) -> None:
        """
        Count an event that all people in a room get against a person's rate.

        @raise RequestRefused: the rate is exceeded.
        """
        wait = self._rate.take(person.rateKey) or self._networkRate.take(person.network)
        if wait:
            raise RequestRefused(
                "rate-limited",
                f"too many messages; try again in {wait:.1f} seconds",
                retryAfter=round(wait, 3),
            )

    async def sendToRoom(
        self,
        person: Person,
        room: str,
        text: str,
        ref: str | None = None,
        replyTo: str | None = None,
    ) -> Sent:
        """
        Send a message to a room.

        @param text: from L{check}.
        @param ref: the client's identifier for the message; it is sent once for each.
        @param replyTo: the id of the message that it answers.
        @raise BrokerError: it reached no one.
        """
        said = self._make(person, text, ref, replyTo)
        channels = {self._channelNames.forRoom(room): True}
        return await self._publisher.publish(said, room, channels)

    async def sendToPerson(
        self,
        person: Person,
        to: PersonInfo,
        text: str,
        ref: str | None = None,
        replyTo: str | None = None,
    ) -> Sent:
        """
        Send a message to a person, and a copy to the sender's other connections.

        @param text: from L{check}.
        @param ref: as for L{sendToRoom}.
        @param replyTo: as for L{sendToRoom}.
        @raise BrokerError: the recipient hasn't got it. With a C{ref}, the recipient
            may have got it, but not the sender's own connections; if it is sent again,
            it is published for those only.
        """
        said = self._make(person, text, ref, replyTo)
        said.to_id, said.to_name = to.id, to.name
        ids = [to.id] if person.isClassic else [to.id, person.id]
        channels = {self._channelNames.forPerson(id): id.startswith("p-") for id in ids}
        return await self._publisher.publish(said, DIRECT, channels)

    async def sendNotice(self, room: str, text: str) -> None:
        """
        Send a room a notice about a classic client.

        @raise BrokerError: it reached no one.
        """
        channel = self._channelNames.forRoom(room)
        await self._broker.publish(channel, encode(Notice(text)), store=False)

    async def sendTyping(self, person: Person, room: str) -> None:
        """
        Tell a room that a person is typing, unless their rate or that of their network
        is exceeded.

        @raise BrokerError: it reached no one.
        """
        if not (
            self._typing.take(f"{person.id} {room}")
            or self._networkTyping.take(person.network)
        ):
            channel = self._channelNames.forRoom(room)
            event = Typing(id=person.id, name=person.name)
            await self._broker.publish(channel, encode(event), store=False)

    def _make(
        self, person: Person, text: str, ref: str | None, replyTo: str | None
    ) -> Said:
        id = f"{self._ids}{next(self._numbers):08x}"
        color, guest = person.color, person.isGuest
        return Said(
            id,
            person.id,
            person.name,
            color,
            text,
            guest=guest,
            ref=ref,
            reply_to=replyTo,
        )
