"""
C{--app relay}: sends every message to all clients of the same path, the sender too,
without reading it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug import CloseCode, Option, WebSocketApplication, WebSocketProtocol
from wsplug.broker import (
    Backlog,
    Channels,
    Publication,
    backlogOptions,
    makeBacklog,
)
from wsplug.errors import BrokerError
from wsplug.interfaces import (
    IBroker,
    IHandshakeRequest,
    IServices,
    IWebSocketApplicationPlugin,
)

__all__ = ["relay"]

_PAGES: Final = Path(__file__).with_name("pages")

_TEXT: Final = b"t"
_BINARY: Final = b"b"
"""
The first byte of a publication, which says what kind of message the rest is.
"""


class _Relayed(WebSocketProtocol):
    """
    A connection.
    """

    def __init__(self, application: _Relay, channel: str) -> None:
        self._application = application
        self._channel = channel

    def negotiationFinished(self) -> Deferred[Any]:
        channels = self._application.channels
        joined = channels.join(self.transport, self._channel, limit=0)
        return joined.addErrback(self._failed)

    def textMessageReceived(self, message: str) -> Deferred[Any]:
        return self._relay(_TEXT + message.encode("utf-8"))

    def bytesMessageReceived(self, data: bytes) -> Deferred[Any]:
        return self._relay(_BINARY + data)

    def noticeReceived(self, text: str) -> None:
        self.transport.sendTextMessage(text)

    def connectionLost(self, reason: Failure) -> None:
        self._application.channels.leaveAll(self.transport)

    def _relay(self, data: bytes) -> Deferred[Any]:
        """
        Send a message to all, and read the next one then.
        """
        published = self._application.broker.publish(self._channel, data, store=False)
        return published.addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        """
        Close the connection: there is no format in which to say that nobody got a
        message.
        """
        failure.trap(BrokerError)
        self.transport.loseConnection(
            CloseCode.TRY_AGAIN_LATER, "can't be relayed; try again later"
        )


class _Relay(WebSocketApplication):
    """
    The application.
    """

    pages = str(_PAGES)
    # The clients of tutorials offer "chat", and browsers close what takes nothing.
    subprotocols = ("*",)

    def __init__(self, broker: IBroker, clock: IReactorTime, backlog: Backlog) -> None:
        self.broker = broker
        self.channels = Channels(
            broker, clock, _encode, lambda channel, count: None, backlog
        )

    def buildProtocol(self, request: IHandshakeRequest) -> _Relayed:
        mounted = [part.decode("utf-8", "replace") for part in request.prepath]
        return _Relayed(self, "/".join(["relay", *mounted, "", *request.segments]))


def _encode(channel: str, publication: Publication) -> str | bytes:
    kind, message = publication.data[:1], publication.data[1:]
    return message if kind == _BINARY else message.decode("utf-8", "replace")


@implementer(IWebSocketApplicationPlugin)
class _RelayPlugin:
    """
    Makes relays.
    """

    name = "relay"
    help = "Send every message to all clients of the same path, unread."
    options: Sequence[Option] = backlogOptions(
        "bytes that may wait for a client that reads too slowly"
    )

    def makeApplication(
        self, options: Mapping[str, Any], services: IServices
    ) -> _Relay:
        return _Relay(services.broker, services.clock, makeBacklog(options))


relay: Final = _RelayPlugin()
