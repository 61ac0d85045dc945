"""
Autobahn on Twisted.

Fan-out is by C{prepareMessage} and C{sendPreparedMessage}, which frame a message once.
Its native code is on unless C{AUTOBAHN_USE_NVX=0} is in the environment.
"""

from __future__ import annotations

from typing import Any, ClassVar

from autobahn.twisted.websocket import (  # type: ignore[import-untyped,unused-ignore]
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket.compress import (  # type: ignore[import-untyped,unused-ignore]
    PerMessageDeflateOffer,
    PerMessageDeflateOfferAccept,
)
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString

from benchmarks.peers.command import read_command

# Autobahn has no types to check with.
makeAccept: Any = PerMessageDeflateOfferAccept
makeFactory: Any = WebSocketServerFactory


class Echo(WebSocketServerProtocol):  # type: ignore[misc,unused-ignore]
    """
    Sends back.
    """

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)  # type: ignore[no-untyped-call,unused-ignore]


class Fanout(WebSocketServerProtocol):  # type: ignore[misc,unused-ignore]
    """
    Sends to everyone.
    """

    everyone: ClassVar[set[Any]] = set()

    def onOpen(self) -> None:
        self.everyone.add(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        prepared = self.factory.prepareMessage(payload, isBinary)
        for connection in list(self.everyone):
            connection.sendPreparedMessage(prepared)

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        self.everyone.discard(self)


def accept(offers: list[Any]) -> Any:
    """
    Agree on compression, as Autobahn's documentation shows.
    """
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            return makeAccept(offer)
    return None


def main() -> None:
    """
    Run the server.
    """
    command = read_command()
    factory = makeFactory()
    factory.protocol = Fanout if command.fanout else Echo
    factory.setProtocolOptions(tcpNoDelay=True)
    if command.deflate:
        factory.setProtocolOptions(perMessageCompressionAccept=accept)
    serverFromString(reactor, command.endpoint()).listen(factory)
    reactor.run()  # type: ignore[attr-defined,unused-ignore]


if __name__ == "__main__":
    main()
