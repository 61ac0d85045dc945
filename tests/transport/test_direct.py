"""
The transport that writes directly to the socket.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest
from twisted.internet import tcp, unix
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from tests.server.kit import App, frame, handshake
from tests.server.kit import Recorder as ServedRecorder
from tests.transport.kit import FakeReactor, Wire
from wsplug.codec.masking import PayloadBuffer
from wsplug.server import Mount, WebSocketFactory
from wsplug.transport.direct import DirectTransport, useDirectTransport


def _read(client: socket.socket) -> bytes:
    data = b""
    while True:
        try:
            piece = client.recv(1 << 20)
        except BlockingIOError:
            return data
        if not piece:
            return data
        data += piece


def test_straight(wire: Wire) -> None:
    """
    If the kernel accepts all bytes, they are sent at once, without a turn of the
    reactor or a writer.
    """
    client, _, transport = wire.connect()
    transport.write(b"hello")
    assert client.recv(100) == b"hello"
    assert wire.set.getWriters() == []


def test_order(wire: Wire) -> None:
    """
    Bytes that the kernel doesn't accept wait, and no later bytes overtake them.
    """
    client, _, transport = wire.connect()
    pieces = [bytes([number]) * 100_000 for number in range(20)]
    for piece in pieces:
        transport.write(piece)
    assert wire.set.getWriters() == [transport]
    transport.write(b"the end")
    received = b""
    for _ in range(200):
        received += _read(client)
        wire.turn()
    assert received == b"".join(pieces) + b"the end"
    assert wire.set.getWriters() == []
    transport.write(b"straight again")
    assert client.recv(100) == b"straight again"


def test_sequences(wire: Wire) -> None:
    """
    Bytes written by writeSequence keep their order among bytes written by write.
    """
    client, _, transport = wire.connect()
    transport.writeSequence([b"a", b"b"])
    transport.write(b"c")
    transport.writeSequence([b"d" * 10_000_000])
    transport.writeSequence([b"e", b"f"])
    transport.write(b"g")
    received = b""
    for _ in range(500):
        received += _read(client)
        wire.turn()
    assert received == b"abc" + b"d" * 10_000_000 + b"efg"


def test_producer(wire: Wire) -> None:
    """
    A streaming producer is paused while over 64 KiB wait, and resumed when none wait.
    """
    client, protocol, transport = wire.connect()
    transport.registerProducer(protocol, True)
    transport.write(b"x")
    assert protocol.paused == 0
    transport.write(b"x" * 10_000_000)
    assert protocol.paused == 1
    for _ in range(500):
        _read(client)
        wire.turn()
    assert protocol.resumed == 1


def test_lose_after_write(wire: Wire) -> None:
    """
    C{loseConnection} ends the connection after all bytes have been sent.
    """
    client, protocol, transport = wire.connect()
    transport.write(b"x" * 5_000_000)
    transport.loseConnection()
    received = b""
    for _ in range(500):
        received += _read(client)
        wire.turn()
    assert len(received) == 5_000_000
    assert protocol.lost is not None
    assert protocol.lost.check(ConnectionDone)


def test_half_close(wire: Wire) -> None:
    """
    C{loseWriteConnection} ends our half after all bytes have been sent. The client's
    half continues until the client ends it.
    """
    client, protocol, transport = wire.connect()
    transport.write(b"bye")
    transport.loseWriteConnection()
    wire.turn()
    assert client.recv(100) == b"bye"
    assert client.recv(100) == b""
    client.send(b"still here")
    wire.turn()
    assert protocol.data == b"still here"
    assert protocol.lost is None
    transport.write(b"too late")
    client.close()
    wire.turn(2)
    assert protocol.lost is not None


def test_abort_in_mid_flush(wire: Wire) -> None:
    """
    C{abortConnection} ends the connection at once, even if bytes wait.
    """
    _, protocol, transport = wire.connect()
    transport.write(b"x" * 5_000_000)
    transport.abortConnection()
    wire.turn()
    assert protocol.lost is not None
    assert protocol.lost.check(ConnectionAborted)
    transport.write(b"x")
    assert wire.set.getWriters() == []


def test_peer_is_gone(wire: Wire) -> None:
    """
    Writing to a peer that has disconnected doesn't raise. The connection ends in the
    next pass.
    """
    client, protocol, transport = wire.connect()
    client.close()
    transport.write(b"x")
    transport.write(b"y")
    wire.turn(2)
    assert protocol.lost is not None


def test_ports() -> None:
    """
    TCP ports get the direct transport; other ports aren't changed.
    """
    reactor = FakeReactor()
    port = tcp.Port(0, Factory(), reactor=reactor)
    useDirectTransport(port, None)
    ours, theirs = socket.socketpair()
    make: Any = port.transport
    transport = make(ours, None, ("127.0.0.1", 1), None, 0, reactor)
    assert isinstance(transport, DirectTransport)
    watcher: Any = transport.reactor
    assert watcher is reactor
    ours.close()
    theirs.close()
    other: Any = unix.Port(b"nowhere", Factory(), reactor=reactor)
    useDirectTransport(other, None)
    assert other.transport is unix.Server


def test_lose_at_once(wire: Wire) -> None:
    """
    If no bytes wait, C{loseConnection} ends the connection in the same turn, and no
    descriptor is armed for it.
    """
    client, protocol, transport = wire.connect()
    transport.loseConnection()
    assert protocol.lost is None
    assert wire.set.getWriters() == []
    wire.reactor.advance(0)
    assert protocol.lost is not None
    assert protocol.lost.check(ConnectionDone)
    assert client.recv(10) == b""


def test_lose_while_served(wire: Wire) -> None:
    """
    Within a pass, C{loseConnection} ends the connection at the end of the pass.
    """
    client, protocol, transport = wire.connect()
    client.send(b"bye")
    protocol.whenData = transport.loseConnection
    wire.set.doRead()
    assert protocol.lost is not None
    assert wire.reactor.getDelayedCalls() == []
    assert client.recv(10) == b""


def test_lose_and_abort(wire: Wire) -> None:
    """
    C{abortConnection} aborts, whether it is called before or after C{loseConnection}.
    """
    for first, second in (
        ("loseConnection", "abortConnection"),
        ("abortConnection", "loseConnection"),
    ):
        client, protocol, transport = wire.connect()
        getattr(transport, first)()
        getattr(transport, second)()
        wire.turn(2)
        assert protocol.lost is not None
        assert protocol.lost.check(ConnectionAborted)
        client.close()


def test_lose_and_lost(wire: Wire) -> None:
    """
    A connection that is lost before C{loseConnection} completes ends only once.
    """
    client, protocol, transport = wire.connect()
    transport.loseConnection()
    transport.connectionLost(Failure(ConnectionLost()))
    first = protocol.lost
    assert first is not None
    wire.turn(2)
    assert protocol.lost is first
    client.close()


def test_lose_after_half_close(wire: Wire) -> None:
    """
    After our half has ended, C{loseConnection} ends the other half.
    """
    client, protocol, transport = wire.connect()
    transport.loseWriteConnection()
    wire.turn(2)
    assert protocol.lost is None
    transport.loseConnection()
    wire.turn(2)
    assert protocol.lost is not None
    client.close()


class _Large:
    """
    A connection that receives a large message: its input goes to a buffer.
    """

    def __init__(self, size: int) -> None:
        self.payload: PayloadBuffer | None = PayloadBuffer(size)
        self.filledBy: list[int] = []
        self.fed = b""
        self.lost: Failure | None = None

    def getBuffer(self) -> PayloadBuffer | None:
        return self.payload

    def bufferUpdated(self, size: int) -> None:
        assert self.payload is not None
        self.payload.accept(size, b"")
        self.filledBy.append(size)

    def dataReceived(self, data: bytes) -> None:
        self.fed += data

    def connectionLost(self, reason: Failure) -> None:
        self.lost = reason


def test_read_into_buffer(wire: Wire) -> None:
    """
    While a connection has a buffer for its input, the input is read into it. Before and
    after, it is read the usual way.
    """
    client, _, transport = wire.connect()
    connection = _Large(5)
    transport.upgrade(connection)
    client.send(b"hello, world")
    wire.turn()
    assert connection.filledBy == [5]
    assert connection.payload is not None
    assert connection.payload.take() == b"hello"
    assert connection.fed == b""
    connection.payload = None
    wire.turn()
    assert connection.fed == b", world"


def test_nothing_to_read_into_buffer(wire: Wire) -> None:
    """
    An event without data does nothing.
    """
    _, _, transport = wire.connect()
    connection = _Large(5)
    transport.upgrade(connection)
    assert transport.doRead() is None
    assert connection.filledBy == []


@pytest.mark.parametrize("reset", [False, True])
def test_lost_in_a_large_message(wire: Wire, reset: bool) -> None:
    """
    A peer that disconnects within a large message is noticed, however it disconnects.
    """
    client, _, transport = wire.connect()
    connection = _Large(5)
    transport.upgrade(connection)
    if reset:
        transport.socket.close()
        assert transport.doRead() is CONNECTION_LOST
        return
    client.close()
    wire.turn(2)
    assert connection.lost is not None
    assert connection.lost.check(ConnectionDone)


def test_methods_taken_before(wire: Wire) -> None:
    """
    If code has kept a method of the protocol from before the handshake, the method
    still works afterwards, although the transport has another protocol.
    """
    recorder = ServedRecorder()
    app = App(lambda _: recorder)
    factory = WebSocketFactory([Mount("/", app)], clock=wire.reactor)
    client, _, transport = wire.connect()
    transport.setTcpNoDelay = lambda _: None  # it isn't TCP
    protocol = factory.buildProtocol(None)
    received = protocol.dataReceived
    transport.protocol = protocol
    protocol.makeConnection(transport)
    client.send(handshake())
    wire.turn()
    assert client.recv(1000).startswith(b"HTTP/1.1 101 ")
    assert transport.protocol is not protocol
    received(frame(b"hello"))
    assert recorder.got("text") == ["hello"]
