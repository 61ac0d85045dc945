"""
Twisted's own C{twisted.web.websocket}. It has no compression, and nothing for fan-out
and chat but a loop.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import Any, ClassVar

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from twisted.web.websocket import (  # type: ignore[import-not-found,unused-ignore]
    WebSocketResource,
)
from wsproto.utilities import (  # type: ignore[import-not-found,unused-ignore]
    LocalProtocolError,
)

from benchmarks.peers.chat import answer, notice
from benchmarks.peers.command import CHAT, ECHO, FANOUT, read_command


class Echo:
    """
    Sends back.
    """

    def __init__(self, request: Request) -> None:
        pass

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

    # By identity: these transports compare by their contents, and have no hash.
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


class Chat(Echo):
    """
    Sends to the room of the path.
    """

    # By identity, as above.
    rooms: ClassVar[defaultdict[bytes, dict[int, Any]]] = defaultdict(dict)

    def __init__(self, request: Request) -> None:
        self.address = request.getClientAddress().host
        self.room = self.rooms[request.path]

    def negotiationFinished(self) -> None:
        self.room[id(self.transport)] = self.transport
        self.say(notice(self.address, "connected"))

    def textMessageReceived(self, message: str) -> None:
        self.say(answer(message))

    def bytesMessageReceived(self, data: bytes) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        self.room.pop(id(self.transport), None)
        self.say(notice(self.address, "disconnected"))

    def say(self, text: str) -> None:
        """
        Send to all in the room.
        """
        for transport in list(self.room.values()):
            # Skip clients that are closing.
            with suppress(LocalProtocolError):
                transport.sendTextMessage(text)


APPLICATIONS: dict[str, type[Echo]] = {ECHO: Echo, FANOUT: Fanout, CHAT: Chat}


class Protocols:
    """
    Makes a protocol for each connection.
    """

    def __init__(self, protocol: type[Echo]) -> None:
        self._protocol = protocol

    def buildProtocol(self, request: Request) -> Echo:
        transport: Any = request.transport
        transport.setTcpNoDelay(True)
        return self._protocol(request)


def main() -> None:
    """
    Run the server.
    """
    command = read_command()
    protocols: Any = Protocols(APPLICATIONS[command.application])
    resource: Resource = WebSocketResource(protocols)
    # On any path: these are the chat's rooms.
    resource.isLeaf = True
    serverFromString(reactor, command.endpoint()).listen(Site(resource))
    reactor.run()  # type: ignore[attr-defined,unused-ignore]


if __name__ == "__main__":
    main()
