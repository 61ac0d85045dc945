"""
A protocol class that relays each client's messages to the others in its room.

    twistd -n wsplug --app relay.py

The path names the room: the clients of ws://localhost:9000/lobby are in one room.
"""

from typing import ClassVar

from twisted.python.failure import Failure

from wsplug import WebSocketProtocol, application, broadcast
from wsplug.interfaces import IWebSocketTransport


@application("relay", help="Send what a client says to all others in its room.")
class Relay(WebSocketProtocol):
    """
    One connection. All connections share the rooms, which belong to the class.
    """

    rooms: ClassVar[dict[str, set[IWebSocketTransport]]] = {}

    def __init__(self, *, largest: int = 100) -> None:
        self.largest = largest

    def negotiationFinished(self) -> None:
        self.name = "/".join(self.transport.request.segments)
        self.room = self.rooms.setdefault(self.name, set())
        if len(self.room) >= self.largest:
            self.transport.loseConnection(1013, "this room is full")
        else:
            self.room.add(self.transport)

    def textMessageReceived(self, message: str) -> None:
        # The message is framed and compressed only once for all clients.
        broadcast(message, self.room - {self.transport})

    def bytesMessageReceived(self, data: bytes) -> None:
        broadcast(data, self.room - {self.transport})

    def connectionLost(self, reason: Failure) -> None:
        self.room.discard(self.transport)
        if not self.room and self.rooms.get(self.name) is self.room:
            del self.rooms[self.name]
