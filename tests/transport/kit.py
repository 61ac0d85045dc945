"""
A reactor that the tests turn by hand, and connections over socket pairs.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from wsplug.transport.direct import DirectTransport
from wsplug.transport.epollset import EpollSet
from wsplug.transport.flusher import Flusher

__all__ = ["FakeReactor", "Recorder", "Wire"]


class FakeReactor(Clock):
    """
    Knows which descriptors it watches.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.discard(reader)


class Recorder(Protocol):
    """
    Keeps what it receives, and calls a function if one is set.
    """

    def __init__(self) -> None:
        self.data = b""
        self.reads = 0
        self.lost: Failure | None = None
        self.whenData: Any = None
        self.paused = 0
        self.resumed = 0
        self.stopped = 0

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self.reads += 1
        if self.whenData is not None:
            self.whenData()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason

    def pauseProducing(self) -> None:
        self.paused += 1

    def resumeProducing(self) -> None:
        self.resumed += 1

    def stopProducing(self) -> None:
        self.stopped += 1


class Wire:
    """
    Several connections in one set.
    """

    def __init__(self) -> None:
        self.reactor = FakeReactor()
        self.flusher = Flusher(self.reactor)
        self.set = EpollSet(self.reactor, self.flusher)
        self.clients: list[socket.socket] = []

    def connect(self) -> tuple[socket.socket, Recorder, Any]:
        """
        Make a connection: the client's end, the protocol and the transport.
        """
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        protocol = Recorder()
        peer = ("127.0.0.1", len(self.clients))
        transport: Any = DirectTransport(ours, protocol, peer, None, 0, self.set)
        protocol.makeConnection(transport)  # type: ignore[no-untyped-call]
        self.clients.append(theirs)
        return theirs, protocol, transport

    def turn(self, times: int = 1) -> None:
        """
        Do what a reactor does when the set is readable.
        """
        for _ in range(times):
            if self.set in self.reactor.readers:
                self.set.doRead()
            self.reactor.advance(0)

    def close(self) -> None:
        """
        Close the remaining connections.
        """
        for descriptor in self.set.removeAll():
            descriptor.connectionLost(Failure(ConnectionError()))
        for client in self.clients:
            client.close()
