"""
The epoll set for connections.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from tests.transport.kit import Recorder, Wire
from wsplug.transport.direct import watchForEnd
from wsplug.transport.sockets import READ_SIZE


def test_interfaces(wire: Wire) -> None:
    """
    The set is a reactor for its connections, and a descriptor for the real reactor.
    """
    verifyObject(IReactorFDSet, wire.set)
    verifyObject(IReadDescriptor, wire.set)


def test_one_descriptor(wire: Wire) -> None:
    """
    The real reactor has one descriptor for all connections, and none if there are no
    connections. Then the epoll descriptor is closed.
    """
    assert wire.reactor.readers == set()
    _, _, first = wire.connect()
    _, _, second = wire.connect()
    assert wire.reactor.readers == {wire.set}
    fd = wire.set.fileno()
    os.fstat(fd)
    first.abortConnection()
    wire.turn()
    assert wire.reactor.readers == {wire.set}
    second.abortConnection()
    wire.turn()
    assert wire.reactor.readers == set()
    assert wire.set.fileno() == -1
    wire.connect()
    assert wire.reactor.readers == {wire.set}


def test_reads_all_that_are_ready(wire: Wire) -> None:
    """
    One pass serves each connection that is ready, and no other.
    """
    connections = [wire.connect() for _ in range(5)]
    for client, _, _ in connections[:3]:
        client.send(b"hello")
    wire.turn()
    assert [protocol.data for _, protocol, _ in connections] == [
        *(b"hello", b"hello", b"hello", b"", b"")
    ]


def test_fair(wire: Wire) -> None:
    """
    A connection with much input is read once in a pass, up to a limit. The others are
    served in the same pass.
    """
    flood, flooded, _ = wire.connect()
    quiet, other, _ = wire.connect()
    flood.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)
    sent = flood.send(b"x" * 400_000)
    quiet.send(b"y")
    assert sent > READ_SIZE
    wire.turn()
    assert flooded.reads == 1
    assert len(flooded.data) <= READ_SIZE
    assert other.data == b"y"


def test_pass_is_bounded(wire: Wire) -> None:
    """
    A pass serves a limited number of connections, and the next pass serves the others.
    """
    connections = [wire.connect() for _ in range(300)]
    for client, _, _ in connections:
        client.send(b"x")
    wire.turn()
    served = sum(protocol.reads for _, protocol, _ in connections)
    assert served == 256
    wire.turn()
    assert sum(protocol.reads for _, protocol, _ in connections) == 300


def test_closes_another_in_a_pass(wire: Wire) -> None:
    """
    If a callback ends another connection in the same pass, that one isn't served any
    more, and no error occurs.
    """
    connections = [wire.connect() for _ in range(3)]
    transports = [transport for _, _, transport in connections]
    for client, protocol, transport in connections:
        others = [each for each in transports if each is not transport]
        protocol.whenData = lambda others=others: [
            each.abortConnection() for each in others
        ]
        client.send(b"x")
    with capturedLogs() as events:
        wire.turn(3)
    assert sum(protocol.reads for _, protocol, _ in connections) == 1
    assert sum(protocol.lost is not None for _, protocol, _ in connections) == 2
    assert [event for event in events if "log_failure" in event] == []


def test_client_closes(wire: Wire) -> None:
    """
    When the client ends its output, the connection ends with ConnectionDone, after all
    its input.
    """
    client, protocol, _ = wire.connect()
    client.send(b"last words")
    client.close()
    wire.turn(2)
    assert protocol.data == b"last words"
    assert protocol.lost is not None
    assert protocol.lost.check(ConnectionDone)


def test_client_vanishes_while_not_read_from(wire: Wire) -> None:
    """
    A broken connection is noticed even while reading is paused.
    """
    client, protocol, transport = wire.connect()
    transport.pauseProducing()
    transport.write(b"x" * 10_000_000)
    client.close()
    wire.turn(3)
    assert protocol.lost is not None
    assert protocol.lost.check(ConnectionLost)


def test_protocol_raises(wire: Wire) -> None:
    """
    A protocol that raises loses its connection, and the log has one traceback. The
    other connections in the pass are served.
    """
    bad, failing, _ = wire.connect()
    good, fine, _ = wire.connect()
    failing.whenData = lambda: 1 / 0
    bad.send(b"x")
    good.send(b"y")
    with capturedLogs() as events:
        wire.turn(2)
    assert failing.lost is not None
    assert failing.lost.check(ZeroDivisionError)
    assert fine.data == b"y"
    assert fine.lost is None
    assert len([event for event in events if "log_failure" in event]) == 1


def test_protocol_exits(wire: Wire) -> None:
    """
    A protocol that raises SystemExit loses its connection. The other connections in the
    pass are served.
    """
    bad, failing, _ = wire.connect()
    good, fine, _ = wire.connect()

    def leave() -> None:
        raise SystemExit(3)

    failing.whenData = leave
    bad.send(b"x")
    good.send(b"y")
    with capturedLogs() as events:
        wire.turn(2)
    assert failing.lost is not None
    assert fine.data == b"y"
    assert fine.lost is None
    assert len([event for event in events if "log_failure" in event]) == 1


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, GeneratorExit])
@pytest.mark.parametrize("how", ["peer", "reactor"])
def test_protocol_raises_at_its_end(
    wire: Wire, how: str, error: type[BaseException]
) -> None:
    """
    If a protocol's C{connectionLost} raises, the other connections are served, and end
    properly.
    """
    bad, failing, _ = wire.connect()
    good, fine, _ = wire.connect()

    def connectionLost(_: object = None) -> None:
        raise error("secret")

    failing.connectionLost = connectionLost  # type: ignore[method-assign, assignment]
    with capturedLogs() as events:
        if how == "peer":
            bad.close()
            good.send(b"y")
            wire.turn(2)
            assert fine.data == b"y"
            assert fine.lost is None
        else:
            wire.set.connectionLost(Failure(ConnectionLost()))
            assert fine.lost is not None
    assert len([event for event in events if "log_failure" in event]) == 1


def test_pause_and_resume(wire: Wire) -> None:
    """
    A paused connection isn't read until it is resumed.
    """
    client, protocol, transport = wire.connect()
    transport.pauseProducing()
    client.send(b"x")
    wire.turn()
    assert protocol.data == b""
    assert wire.set.getReaders() == []
    transport.resumeProducing()
    assert wire.set.getReaders() == [transport]
    wire.turn()
    assert protocol.data == b"x"


def test_reactor_ends(wire: Wire) -> None:
    """
    When the reactor disconnects its descriptors, all connections end.
    """
    _, first, _ = wire.connect()
    _, second, _ = wire.connect()
    wire.set.connectionLost(Failure(ConnectionLost()))
    assert first.lost is not None
    assert second.lost is not None
    assert wire.reactor.readers == set()


def test_leaves_nothing(wire: Wire) -> None:
    """
    After many connections, no descriptors and no entries remain.
    """
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(200):
        client, _, transport = wire.connect()
        client.send(b"x")
        wire.turn()
        transport.loseConnection()
        wire.turn(2)
        wire.clients.pop().close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert wire.set.getReaders() == []
    assert wire.set.getWriters() == []


def _pausedAndWatched(wire: Wire) -> tuple[socket.socket, Recorder, Any, list[str]]:
    """
    Make a paused connection that has input and is watched for its end.
    """
    told: list[str] = []
    client, protocol, transport = wire.connect()
    transport.pauseProducing()
    watchForEnd(transport, lambda: told.append("ended"))
    client.send(b"unread")
    wire.turn(3)
    assert told == []
    assert protocol.data == b""
    return client, protocol, transport, told


@pytest.mark.skipif(sys.platform != "linux", reason="no epoll")
def test_end_of_one_that_is_not_read_from(wire: Wire) -> None:
    """
    While reading is paused, the peer's end is reported once, without a busy loop,
    although input is left. After resuming, the input is read, and then the end.
    """
    client, protocol, transport, told = _pausedAndWatched(wire)
    client.shutdown(socket.SHUT_WR)
    wire.turn()
    assert told == ["ended"]
    assert select.select([wire.set], [], [], 0)[0] == []
    wire.turn(3)
    assert told == ["ended"]
    assert protocol.lost is None
    transport.resumeProducing()
    wire.turn(3)
    assert protocol.data == b"unread"
    assert protocol.lost is not None
    assert protocol.lost.check(ConnectionDone)
    assert wire.reactor.readers == set()


@pytest.mark.skipif(sys.platform != "linux", reason="no epoll")
@pytest.mark.parametrize("isEnded", [False, True])
def test_break_of_one_that_is_not_read_from(wire: Wire, isEnded: bool) -> None:
    """
    While reading is paused, a broken connection is lost, whether the peer's end was
    reported before or not.
    """
    client, protocol, _, told = _pausedAndWatched(wire)
    if isEnded:
        client.shutdown(socket.SHUT_WR)
        wire.turn()
    client.close()
    wire.turn()
    assert told == ["ended"] * isEnded
    assert protocol.lost is not None
    assert protocol.lost.check(ConnectionLost)
    assert wire.reactor.readers == set()


@pytest.mark.skipif(sys.platform != "linux", reason="no epoll")
def test_watched_no_more(wire: Wire) -> None:
    """
    A connection that is resumed, or has ended, isn't watched any more.
    """
    client, protocol, transport, told = _pausedAndWatched(wire)
    transport.resumeProducing()
    client.shutdown(socket.SHUT_WR)
    wire.turn(3)
    assert protocol.lost is not None
    assert told == []
    _, _, other, _ = _pausedAndWatched(wire)
    other.abortConnection()
    wire.turn()
    assert wire.reactor.readers == set()
