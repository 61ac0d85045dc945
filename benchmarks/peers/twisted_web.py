"""
Twisted's own C{twisted.web.websocket}. It has no compression, and nothing for fan-out
but a loop.
"""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from twisted.web.websocket import (  # type: ignore[import-not-found,unused-ignore]
    WebSocketResource,
)

from benchmarks.peers.command import read_command


class Echo:
    """
    Sends back.
    """

    def negotiationStarted(self, transport: Any) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        pass

    def textMessageReceived(self, message: str) -> None:
        self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        self.transport.sendBytesMessage(data)

    def pongReceived(self, payload: bytes) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        pass


class Fanout(Echo):
    """
    Sends to everyone.
    """

    # By identity: these transports are equal by what they hold, and have no hash.
    everyone: ClassVar[dict[int, Any]] = {}

    def negotiationFinished(self) -> None:
        self.everyone[id(self.transport)] = self.transport

    def textMessageReceived(self, message: str) -> None:
        for transport in list(self.everyone.values()):
            transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        for transport in list(self.everyone.values()):
            transport.sendBytesMessage(data)

    def connectionLost(self, reason: Failure) -> None:
        self.everyone.pop(id(self.transport), None)


class Protocols:
    """
    Makes a protocol for each connection.
    """

    def __init__(self, protocol: type[Echo]) -> None:
        self._protocol = protocol

    def buildProtocol(self, request: Request) -> Echo:
        transport: Any = request.transport
        transport.setTcpNoDelay(True)
        return self._protocol()


def main() -> None:
    """
    Run the server.
    """
    command = read_command()
    root = Resource()
    protocols: Any = Protocols(Fanout if command.fanout else Echo)
    root.putChild(b"", WebSocketResource(protocols))
    serverFromString(reactor, command.endpoint()).listen(Site(root))
    reactor.run()  # type: ignore[attr-defined,unused-ignore]


if __name__ == "__main__":
    main()
