"""
The application: the channels that clients subscribe to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from wsplug import WebSocketApplication
from wsplug.apps.push.messages import Gap, Subscribe, encodeBare, encodeMessage
from wsplug.apps.push.names import checkName
from wsplug.apps.push.subscriber import BareSubscriber, Subscriber
from wsplug.broker import Backlog, Channels, Publication
from wsplug.errors import HandshakeRefused
from wsplug.interfaces import IBroker, IHandshakeRequest
from wsplug.jsonmessages import RequestRefused, WirePosition, write

__all__ = ["Limits", "Published", "Push"]


@dataclass(frozen=True)
class Limits:
    """
    What subscribers may ask for.

    @ivar history: messages of the past that one gets who doesn't say.
    @ivar maxHistory: those that it gets at most.
    @ivar maxChannels: that it may be subscribed to at one time.
    @ivar maxChannelLength: characters of a channel's name.
    """

    history: int
    maxHistory: int
    maxChannels: int
    maxChannelLength: int


class Published(NamedTuple):
    """
    What has become of a publication.

    @ivar subscribers: how many of this server's connections it went to.
    """

    publication: Publication
    subscribers: int


class Push(WebSocketApplication):
    """
    Makes the protocols, and publishes.

    @ivar pages: the resource with the page and what takes publications; whoever makes
        the application sets it.
    @ivar messages: the L{Channels} of those who get JSON.
    @ivar bare: the L{Channels} of those who get nothing but what was published.
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
        @param prefix: what the broker's channels begin with, before a slash.
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
        Give the broker's channel for one of the clients'.
        """
        return self._prefix + name

    def _nameOf(self, channel: str) -> str:
        return channel[len(self._prefix) :]

    def publish(self, name: str, data: bytes, store: bool) -> Deferred[Published]:
        """
        Publish in a channel.

        @return: fires once it is stored; fails with L{wsplug.errors.BrokerError}.
        """
        channel = self.channelOf(name)

        def published(publication: Publication) -> Published:
            subscribers = self.messages.count(channel) + self.bare.count(channel)
            return Published(publication, subscribers)

        return self._broker.publish(channel, data, store).addCallback(published)

    # IWebSocketApplication

    def buildProtocol(self, request: IHandshakeRequest) -> Subscriber | BareSubscriber:
        """
        Make the protocol that the URL asks for.

        @raise HandshakeRefused: what it asks for isn't to be had.
        """
        try:
            arguments = {
                _text(name): [_text(value) for value in values]
                for name, values in request.args.items()
            }
            wanted = self._readWanted("/".join(request.segments), arguments)
            format = _only(arguments, "format") or "json"
            if format == "json":
                return Subscriber(self, wanted)
            if format != "raw":
                raise RequestRefused("invalid", "format: json or raw")
            return self._buildBare(wanted)
        except RequestRefused as error:
            raise HandshakeRefused(400, error.message) from None

    def _buildBare(self, wanted: list[Subscribe]) -> BareSubscriber:
        if not wanted:
            raise RequestRefused("invalid", "format=raw: name a channel in the path")
        if wanted[0].since is not None:
            raise RequestRefused("invalid", "since: only with format=json")
        return BareSubscriber(self, wanted)

    def _readWanted(
        self, path: str, arguments: Mapping[str, list[str]]
    ) -> list[Subscribe]:
        """
        Read what a URL subscribes to.

        @raise RequestRefused: it is malformed, or too much.
        """
        names = dict.fromkeys([path] if path else [])
        names.update(dict.fromkeys(arguments.get("channel", ())))
        if len(names) > self.limits.maxChannels:
            raise RequestRefused(
                "too-many", f"channel: {self.limits.maxChannels} of them at most"
            )
        since, limit = _only(arguments, "since"), _only(arguments, "limit")
        if since is not None and len(names) != 1:
            raise RequestRefused("invalid", "since: only for a single channel")
        if limit is not None and not (limit.isdecimal() and len(limit) < 10):
            raise RequestRefused("invalid", "limit: a number of messages")
        return [
            Subscribe(
                checkName(name, self.limits.maxChannelLength),
                None if since is None else _readPosition(since),
                None if limit is None else int(limit),
            )
            for name in names
        ]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _only(arguments: Mapping[str, list[str]], name: str) -> str | None:
    values = arguments.get(name, [])
    if len(values) > 1:
        raise RequestRefused("invalid", f"{name}: only once")
    return values[0] if values else None


def _readPosition(text: str) -> WirePosition:
    offset, dash, epoch = text.partition("-")
    if offset.isdecimal() and len(offset) < 16 and dash and 0 < len(epoch) <= 64:
        return WirePosition(int(offset), epoch)
    raise RequestRefused("invalid", "since: an offset and an epoch, as 5-1f0c24ab")
