"""
Publishes messages, each C{ref} of a sender once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from wsplug.apps.chat.delivery import Delivery
from wsplug.apps.chat.events import Said
from wsplug.apps.chat.messages import encode
from wsplug.apps.chat.requests import Sent
from wsplug.broker import Publication
from wsplug.errors import BrokerError
from wsplug.interfaces import IBroker
from wsplug.jsonmessages import RequestRefused

__all__ = ["Publisher"]

_MAX_REFS: Final = 10_000
"""
Messages with a C{ref} that are remembered, at most.
"""

_REF_AGE: Final = 300.0
"""
Seconds for which they are remembered.
"""


@dataclass
class _Sending:
    """
    A message that is being sent.

    @ivar time: when it was last sent.
    @ivar data: the encoded message.
    @ivar published: the publications so far, by channel.
    @ivar isRunning: whether it is being published.
    @ivar sent: the answer, once it is published in all channels.
    """

    said: Said
    data: bytes
    time: float = 0.0
    published: dict[str, Publication] = field(default_factory=dict)
    isRunning: bool = False
    sent: Sent | None = None


class Publisher:
    """
    Publishes messages. Clients send a message again, with the same C{ref}, if they got
    no answer. Such a message is published once.
    """

    _log = Logger()

    def __init__(
        self, broker: IBroker, clock: IReactorTime, delivery: Delivery
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._delivery = delivery
        self._sendings: OrderedDict[tuple[str, ...], _Sending] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sendings)

    async def publish(
        self, said: Said, room: str, channels: Mapping[str, bool]
    ) -> Sent:
        """
        Publish a message, unless one with the same C{ref} was published recently. If
        that one was published in some of the channels only, publish it in the others.

        @param room: the room to name in the answer.
        @param channels: the channels, and whether each stores the message.
        @raise RequestRefused: the message is being published.
        @raise BrokerError: the message couldn't be published in all channels.
        """
        if said.ref is None:
            return await self._publishOnce(_Sending(said, encode(said)), room, channels)
        # The same ref to another recipient is another message.
        key = said.from_id, said.ref, *channels
        sending = self._find(key)
        if sending is None or not (sending.isRunning or sending.published):
            sending = _Sending(said, encode(said))
        elif sending.sent is not None:
            return Sent(room, sending.sent.id, sending.sent.time)
        elif sending.isRunning:
            raise RequestRefused("unavailable", "this message is already being sent")
        sending.isRunning = True
        self._remember(key, sending)
        try:
            await self._publish(sending, channels)
        finally:
            sending.isRunning = False
        sending.sent = _sent(sending, room)
        self._remember(key, sending)
        return sending.sent

    async def _publishOnce(
        self, sending: _Sending, room: str, channels: Mapping[str, bool]
    ) -> Sent:
        """
        Publish a message without a C{ref}, which couldn't be recognized if it were sent
        again. It counts as sent once the recipients' channel, the first one, has it.
        """
        try:
            await self._publish(sending, channels)
        except BrokerError as error:
            if not sending.published:
                raise
            self._log.error("chat: the sender's copy is missing: {error}", error=error)
        return _sent(sending, room)

    async def _publish(self, sending: _Sending, channels: Mapping[str, bool]) -> None:
        for channel, isStored in channels.items():
            if channel not in sending.published:
                self._delivery.expect(sending.data, sending.said)
                sending.published[channel] = await self._broker.publish(
                    channel, sending.data, store=isStored
                )

    def _find(self, key: tuple[str, ...]) -> _Sending | None:
        oldest = self._clock.seconds() - _REF_AGE
        while self._sendings and next(iter(self._sendings.values())).time <= oldest:
            self._sendings.popitem(last=False)
        return self._sendings.get(key)

    def _remember(self, key: tuple[str, ...], sending: _Sending) -> None:
        sending.time = self._clock.seconds()
        self._sendings[key] = sending
        self._sendings.move_to_end(key)
        if len(self._sendings) > _MAX_REFS:
            self._sendings.popitem(last=False)


def _sent(sending: _Sending, room: str) -> Sent:
    first = next(iter(sending.published.values()))
    return Sent(room, sending.said.id, round(first.time, 3))
