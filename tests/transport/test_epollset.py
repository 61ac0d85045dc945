"""
The connections' own epoll set.
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
    It is a reactor to its connections, and a descriptor to the reactor.
    """
    verifyObject(IReactorFDSet, wire.set)
    verifyObject(IReadDescriptor, wire.set)


def test_one_descriptor(wire: Wire) -> None:
    """
    The reactor sees one descriptor for all connections, and none without any; the
    epoll descriptor is closed then.
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
    One pass serves each connection that has something, and no other.
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
    One that floods is read from once in a pass, and no more than a bound; the others
    have their turn in the same pass.
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
    A pass takes a bounded number of connections, and the next pass the others.
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
    A connection that another one's callback ends in the same pass is not served any
    more, and nothing goes wrong.
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
    The end of the client's stream is a ConnectionDone, after all that it sent.
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
    A connection that isn't read from learns all the same that it is gone.
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
    A protocol that raises loses its connection, with one traceback in the log; the
    others in the pass are served.
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
    A protocol that wants to end the process ends its connection; the others in the
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
    A protocol that raises when it is told of its end costs the others neither their
    turn nor their own end.
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
    A paused connection isn't read from until it is resumed.
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
    When the reactor disconnects its descriptors, the connections learn of it.
    """
    _, first, _ = wire.connect()
    _, second, _ = wire.connect()
    wire.set.connectionLost(Failure(ConnectionLost()))
    assert first.lost is not None
    assert second.lost is not None
    assert wire.reactor.readers == set()


def test_leaves_nothing(wire: Wire) -> None:
    """
    After many connections, neither descriptors nor entries are left.
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
    Make a connection that isn't read from, with something to read.
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
    The peer's end is told of once, though something is left to be read, and nothing
    goes round and round; then that is read, and the end behind it.
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
    One that breaks is lost, before or after the peer's end was told of.
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
    One that is read from again, or has ended here, isn't watched.
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
