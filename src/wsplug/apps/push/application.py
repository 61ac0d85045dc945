"""
The push application: publishes to channels, and makes the subscribers' protocols.
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
    The limits for subscribers.

    @ivar history: messages of the past that a subscriber gets by default.
    @ivar maxHistory: messages of the past that it gets at most.
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


class Push(WebSocketApplication):
    """
    The application.

    @ivar pages: the page and the resource that takes publications, set by the plugin.
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

    def buildProtocol(self, request: IHandshakeRequest) -> Subscriber | BareSubscriber:
        """
        Make the protocol for the format and the channels in the URL.

        @raise HandshakeRefused: the URL is malformed, or asks for too much.
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
            raise RequestRefused("invalid", "format=raw: name a channel in the URL")
        if wanted[0].since is not None:
            raise RequestRefused("invalid", "since: allowed only with format=json")
        return BareSubscriber(self, wanted)

    def _readWanted(
        self, path: str, arguments: Mapping[str, list[str]]
    ) -> list[Subscribe]:
        """
        Read the subscriptions of a URL.

        @raise RequestRefused: the URL is malformed, or has too many channels.
        """
        names = dict.fromkeys([path] if path else [])
        names.update(dict.fromkeys(arguments.get("channel", ())))
        if len(names) > self.limits.maxChannels:
            raise RequestRefused(
                "too-many", f"channel: at most {self.limits.maxChannels} are allowed"
            )
        since, limit = _only(arguments, "since"), _only(arguments, "limit")
        if since is not None and len(names) != 1:
            raise RequestRefused("invalid", "since: allowed only for a single channel")
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
        raise RequestRefused("invalid", f"{name}: allowed only once")
    return values[0] if values else None


def _readPosition(text: str) -> WirePosition:
    offset, dash, epoch = text.partition("-")
    if offset.isdecimal() and len(offset) < 16 and dash and 0 < len(epoch) <= 64:
        return WirePosition(int(offset), epoch)
    raise RequestRefused("invalid", "since: an offset and an epoch, like 5-1f0c24ab")
