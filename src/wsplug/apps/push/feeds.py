"""
The channels that clients publish to and subscribe to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from wsplug.apps.push.messages import Gap, encodeBare, encodeMessage
from wsplug.broker import Backlog, Channels, Publication
from wsplug.interfaces import IBroker
from wsplug.jsonmessages import write

__all__ = ["Feeds", "Limits", "Published"]


@dataclass(frozen=True)
class Limits:
    """
    The limits for subscribers.

    @ivar history: latest messages that a subscriber gets by default.
    @ivar maxHistory: latest messages that it gets at most.
    @ivar maxChannels: channels that a connection may be subscribed to.
    @ivar maxChannelLength: characters that a channel's name may have.
    """

    history: int
    maxHistory: int
    maxChannels: int
    maxChannelLength: int


class Published(NamedTuple):
    """
    The result of publishing.

    @ivar subscribers: the number of this server's connections that it was sent to.
    """

    publication: Publication
    subscribers: int


class Feeds:
    """
    The channels of one application.

    @ivar limits: what a subscriber may ask for.
    @ivar backlog: what may wait for a subscriber that reads too slowly.
    @ivar messages: the L{Channels} of subscribers that get JSON.
    @ivar bare: the L{Channels} of subscribers that get the bare data.
    """

    def __init__(
        self,
        broker: IBroker,
        clock: IReactorTime,
        prefix: str,
        limits: Limits,
        backlog: Backlog,
    ) -> None:
        """
        @param prefix: the prefix of the broker's channels, without the slash after it.
        """
        self.limits = limits
        self.backlog = backlog
        self._broker = broker
        self._prefix = f"{prefix}/"
        self.messages = Channels(
            broker,
            clock,
            lambda channel, publication: encodeMessage(
                self._nameOf(channel), publication
            ).decode("utf-8"),
            lambda channel, count: write(Gap(self._nameOf(channel), count)),
            backlog,
        )
        self.bare = Channels(
            broker,
            clock,
            lambda _, publication: encodeBare(publication),
            lambda channel, count: None,
            backlog,
        )

    def channelOf(self, name: str) -> str:
        """
        Return the broker's channel for a client's channel.
        """
        return self._prefix + name

    def _nameOf(self, channel: str) -> str:
        return channel[len(self._prefix) :]

    def publish(self, name: str, data: bytes, store: bool) -> Deferred[Published]:
        """
        Publish to a channel.

        @return: fires when it is published; fails with L{wsplug.errors.BrokerError}.
        """
        channel = self.channelOf(name)

        def published(publication: Publication) -> Published:
            subscribers = self.messages.count(channel) + self.bare.count(channel)
            return Published(publication, subscribers)

        return self._broker.publish(channel, data, store).addCallback(published)
