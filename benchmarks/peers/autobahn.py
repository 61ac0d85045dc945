"""
Autobahn on Twisted.

Fan-out and chat are by C{prepareMessage} and C{sendPreparedMessage}, which frame a
message once. Its native code is on unless C{AUTOBAHN_USE_NVX=0} is in the environment.
"""

from __future__ import annotations

from collections import defaultdict
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

from benchmarks.peers.chat import answer, notice
from benchmarks.peers.command import CHAT, ECHO, FANOUT, read_command

# Autobahn has no type hints.
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


class Chat(WebSocketServerProtocol):  # type: ignore[misc,unused-ignore]
    """
    Sends to the room of the path.
    """

    rooms: ClassVar[defaultdict[str, set[Any]]] = defaultdict(set)

    def onOpen(self) -> None:
        transport: Any = self.transport
        self.address = transport.getPeer().host
        self.room = self.rooms[self.http_request_path]
        self.room.add(self)
        self.say(notice(self.address, "connected"))

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.say(answer(payload))

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        # Also called after an incomplete handshake.
        if hasattr(self, "room"):
            self.room.discard(self)
            self.say(notice(self.address, "disconnected"))

    def say(self, text: str) -> None:
        """
        Send to all in the room.
        """
        prepared = self.factory.prepareMessage(text.encode())
        for connection in list(self.room):
            connection.sendPreparedMessage(prepared)


APPLICATIONS: dict[str, type[Any]] = {ECHO: Echo, FANOUT: Fanout, CHAT: Chat}


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
    factory.protocol = APPLICATIONS[command.application]
    factory.setProtocolOptions(tcpNoDelay=True)
    if command.deflate:
        factory.setProtocolOptions(perMessageCompressionAccept=accept)
    serverFromString(reactor, command.endpoint()).listen(factory)
    reactor.run()  # type: ignore[attr-defined,unused-ignore]


if __name__ == "__main__":
    main()
