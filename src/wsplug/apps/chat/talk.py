"""
What is said: through the broker, and to each kind of client in its own words.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from wsplug.apps.chat.addressing import DIRECT, Addressing
from wsplug.apps.chat.messages import (
    ClassicNotice,
    ClassicSaid,
    Event,
    Gap,
    Notice,
    PersonInfo,
    Presence,
    Presences,
    Said,
    Sent,
    Typing,
    encode,
    placeEvent,
    readEvent,
)
from wsplug.apps.chat.moves import CROWD
from wsplug.apps.chat.names import cleanMessage
from wsplug.apps.chat.people import Person
from wsplug.apps.chat.presences import summary
from wsplug.broker import Backlog, Channels, History, Publication
from wsplug.errors import BrokerError
from wsplug.interfaces import IBroker
from wsplug.jsonmessages import RequestRefused
from wsplug.rates import Rate

__all__ = ["RECALLED", "Talk", "recall"]

RECALLED: Final = 500
"""
Messages that somebody who comes back gets of what was missed, at most.
"""

_RECALLED_SIZE: Final = 512 * 1024
"""
Bytes of them, so that the answer is within what may wait for a client.
"""

_REFS: Final = 10_000
"""
Messages whose C{ref} is remembered.
"""

_REFS_AGE: Final = 300.0
"""
Seconds for which it is.
"""

_TYPING_RATE: Final = 0.5
"""
How often a second somebody may tell that they are typing.
"""


@dataclass
class _Saying:
    """
    A message with a C{ref}, and how far it has come.

    @ivar time: when it was last heard of.
    @ivar data: what is published of it.
    @ivar published: by the channel that has it.
    @ivar isGoing: whether it is being published.
    @ivar sent: the answer, once all have it.
    """

    said: Said
    data: bytes
    time: float = 0.0
    published: dict[str, Publication] = field(default_factory=dict)
    isGoing: bool = False
    sent: Sent | None = None


class Talk:
    """
    All that is said in a chat.

    @ivar modern: the connections that speak C{wsplug.chat.v1}, in their channels.
    @ivar classic: those of the tutorials' clients.
    """

    _log = Logger()

    def __init__(
        self,
        broker: IBroker,
        clock: IReactorTime,
        addressing: Addressing,
        *,
        maxLength: int,
        rate: float,
        burst: int,
        backlog: Backlog,
    ) -> None:
        """
        @param maxLength: characters of a message.
        @param rate: messages a second that a person may send.
        @param burst: messages that they may send at once.
        @param backlog: what may wait for somebody who reads too slowly.
        """
        self._broker = broker
        self._clock = clock
        self._addressing = addressing
        self._maxLength = maxLength
        self._rate = Rate(clock, rate, burst)
        self._networkRate = Rate(clock, CROWD * rate, CROWD * burst)
        self._typing = Rate(clock, _TYPING_RATE, 1)
        self._networkTyping = Rate(clock, CROWD * _TYPING_RATE, CROWD)
        self._refs: OrderedDict[tuple[str, ...], _Saying] = OrderedDict()
        # No other server's messages begin with the same.
        self._ids = secrets.token_hex(4)
        self._numbers = count()
        self._latest: tuple[bytes, Event | None] = b"", None
        self.modern = Channels(
            broker, clock, self._encodeModern, self._encodeGap, backlog
        )
        self.classic = Channels(
            broker, clock, self._encodeClassic, self._encodeClassicGap, backlog
        )

    # Saying

    def check(self, person: Person, message: str) -> str:
        """
        Make a message fit to be said, and count it.

        @return: what is said.
        @raise RequestRefused: it can't be, or not now.
        """
        text = cleanMessage(message)
        if not text:
            raise RequestRefused("empty", "there is nothing in it")
        if len(text) > self._maxLength:
            raise RequestRefused(
                "too-long",
                f"message: {len(text)} characters; {self._maxLength} are the most",
            )
        wait = self._rate.take(person.rateKey) or self._networkRate.take(person.network)
        if wait:
            raise RequestRefused(
                "rate-limited",
                f"too many messages; the next can be sent in {wait:.1f} seconds",
                retryAfter=round(wait, 3),
            )
        return text

    async def say(
        self, person: Person, room: str, text: str, ref: str | None = None
    ) -> Sent:
        """
        Say something to a room.

        @param text: from L{check}.
        @param ref: the client's own name for it: with the same, it isn't said again.
        @raise BrokerError: nobody got it.
        """
        said = self._make(person, text, ref)
        return await self._once(said, room, {self._addressing.ofRoom(room): True})

    async def tell(
        self, person: Person, to: PersonInfo, text: str, ref: str | None = None
    ) -> Sent:
        """
        Say something to somebody, and to whom says it, in what is their own.

        @raise BrokerError: they haven't got it; or, with a C{ref}, they have, but it
            isn't in what is the sender's own: said again, it comes there only.
        """
        said = self._make(person, text, ref)
        said.to_id, said.to_name = to.id, to.name
        ids = [to.id] if person.isClassic else [to.id, person.id]
        channels = {self._addressing.ofPerson(id): id.startswith("p-") for id in ids}
        return await self._once(said, DIRECT, channels)

    async def notice(self, room: str, text: str) -> None:
        """
        Tell a room of a classic client.

        @raise BrokerError: nobody got it.
        """
        channel = self._addressing.ofRoom(room)
        await self._broker.publish(channel, encode(Notice(text)), store=False)

    async def typing(self, person: Person, room: str) -> None:
        """
        Tell a room that somebody is typing, unless they have just said so, or too many
        at one place have.

        @raise BrokerError: nobody got it.
        """
        if not (
            self._typing.take(f"{person.id} {room}")
            or self._networkTyping.take(person.network)
        ):
            channel = self._addressing.ofRoom(room)
            event = Typing(id=person.id, name=person.name)
            await self._broker.publish(channel, encode(event), store=False)

    def show(self, room: str, publications: Iterable[Publication]) -> list[msgspec.Raw]:
        """
        Make the messages of what was said in a room.
        """
        events = [self._read(publication, room) for publication in publications]
        return [msgspec.Raw(encode(event)) for event in events if event is not None]

    async def _once(self, said: Said, room: str, channels: Mapping[str, bool]) -> Sent:
        """
        Publish something, unless a message with its C{ref} was a moment ago. Where that
        has come to some of the channels only, it goes to the others.

        @param channels: whether each keeps it.
        """
        if said.ref is None:
            return await self._onceOnly(_Saying(said, encode(said)), room, channels)
        # To somebody else it is another message, whatever its ref.
        key = said.from_id, said.ref, *channels
        saying = self._recallSaying(key)
        if saying is None or not (saying.isGoing or saying.published):
            saying = _Saying(said, encode(said))
        elif saying.sent is not None:
            return Sent(room, saying.sent.id, saying.sent.time)
        elif saying.isGoing:
            raise RequestRefused("unavailable", "it is being sent already")
        saying.isGoing = True
        self._remember(key, saying)
        try:
            await self._publish(saying, channels)
        finally:
            saying.isGoing = False
        saying.sent = _sent(saying, room)
        self._remember(key, saying)
        return saying.sent

    async def _onceOnly(
        self, saying: _Saying, room: str, channels: Mapping[str, bool]
    ) -> Sent:
        """
        Publish what can't be known again, should it come a second time: it is sent once
        those have it whom it is for.
        """
        try:
            await self._publish(saying, channels)
        except BrokerError as error:
            if not saying.published:
                raise
            self._log.error("chat: a sender has no copy: {error}", error=error)
        return _sent(saying, room)

    async def _publish(self, saying: _Saying, channels: Mapping[str, bool]) -> None:
        for channel, isKept in channels.items():
            if channel not in saying.published:
                self._latest = saying.data, saying.said
                saying.published[channel] = await self._broker.publish(
                    channel, saying.data, store=isKept
                )

    def _recallSaying(self, key: tuple[str, ...]) -> _Saying | None:
        oldest = self._clock.seconds() - _REFS_AGE
        while self._refs and next(iter(self._refs.values())).time <= oldest:
            self._refs.popitem(last=False)
        return self._refs.get(key)

    def _remember(self, key: tuple[str, ...], saying: _Saying) -> None:
        saying.time = self._clock.seconds()
        self._refs[key] = saying
        self._refs.move_to_end(key)
        if len(self._refs) > _REFS:
            self._refs.popitem(last=False)

    def _make(self, person: Person, text: str, ref: str | None) -> Said:
        id = f"{self._ids}{next(self._numbers):08x}"
        color, guest = person.color, person.isGuest
        return Said(id, person.id, person.name, color, text, guest=guest, ref=ref)

    # For each kind of client

    def _read(self, publication: Publication, room: str) -> Event | None:
        data, event = self._latest
        if publication.data is data and event is not None:
            # What comes back from the broker at once needn't be decoded.
            return placeEvent(event, publication, room)
        try:
            return readEvent(publication, room)
        except msgspec.MsgspecError as error:
            self._log.warn(
                "chat: what was published in {room} is not the chat's: {error}",
                room=room,
                error=error,
            )
            return None

    def _encodeModern(self, channel: str, publication: Publication) -> str | None:
        event = self._read(publication, self._addressing.shown(channel))
        return None if event is None else encode(event).decode()

    def _encodeGap(self, channel: str, count: int) -> str:
        return encode(Gap(self._addressing.shown(channel), count)).decode()

    def _encodeClassic(self, channel: str, publication: Publication) -> str | None:
        event = self._read(publication, self._addressing.shown(channel))
        if isinstance(event, Said):
            said = ClassicSaid(event.name, event.message, event.color)
            return encode(said).decode()
        if isinstance(event, Notice):
            return encode(ClassicNotice(event.message)).decode()
        if isinstance(event, (Presence, Presences)):
            words = summary(event)
            return encode(ClassicNotice(words)).decode() if words else None
        return None

    def _encodeClassicGap(self, channel: str, count: int) -> str:
        return encode(ClassicNotice(f"{count} messages are missing here")).decode()


def _sent(saying: _Saying, room: str) -> Sent:
    first = next(iter(saying.published.values()))
    return Sent(room, saying.said.id, round(first.time, 3))


def recall(history: History) -> History:
    """
    Take as much of a history as fits into an answer: its end.
    """
    size = 0
    publications = history.publications
    for index in range(len(publications) - 1, -1, -1):
        size += len(publications[index].data)
        if size > _RECALLED_SIZE:
            return replace(
                history, publications=publications[index + 1 :], isComplete=False
            )
    return history
