"""
The push application: makes the subscribers' protocols.
"""

from __future__ import annotations

from collections.abc import Mapping

from wsplug import WebSocketApplication
from wsplug.apps.push.feeds import Feeds
from wsplug.apps.push.messages import Subscribe
from wsplug.apps.push.names import checkName
from wsplug.apps.push.subscriber import BareSubscriber, Subscriber
from wsplug.errors import HandshakeRefused
from wsplug.interfaces import IHandshakeRequest, IPlainResource
from wsplug.jsonmessages import RequestRefused, WirePosition

__all__ = ["Push"]


class Push(WebSocketApplication):
    """
    The application.

    @ivar feeds: the channels that it serves.
    """

    # Pages offer any, and browsers close what takes nothing.
    subprotocols = ("*",)

    def __init__(self, feeds: Feeds, pages: IPlainResource) -> None:
        """
        @param pages: the page and the resource that takes publications.
        """
        self.pages = pages
        self.feeds = feeds

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
                return Subscriber(self.feeds, wanted)
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
        return BareSubscriber(self.feeds, wanted)

    def _readWanted(
        self, path: str, arguments: Mapping[str, list[str]]
    ) -> list[Subscribe]:
        """
        Read the subscriptions of a URL.

        @raise RequestRefused: the URL is malformed, or has too many channels.
        """
        limits = self.feeds.limits
        names = dict.fromkeys([path] if path else [])
        names.update(dict.fromkeys(arguments.get("channel", ())))
        if len(names) > limits.maxChannels:
            raise RequestRefused(
                "too-many", f"channel: at most {limits.maxChannels} are allowed"
            )
        since, limit = _only(arguments, "since"), _only(arguments, "limit")
        if since is not None and len(names) != 1:
            raise RequestRefused("invalid", "since: allowed only for a single channel")
        if limit is not None and not (limit.isdecimal() and len(limit) < 10):
            raise RequestRefused("invalid", "limit: a number of messages")
        return [
            Subscribe(
                checkName(name, limits.maxChannelLength),
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
