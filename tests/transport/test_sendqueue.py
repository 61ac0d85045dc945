"""
The send queue over a transport that writes directly to the socket.
"""

from __future__ import annotations

import socket
from typing import Any

from tests.transport.kit import Wire
from wsplug.codec import FIN, OP_BINARY, OP_TEXT, encode_frame
from wsplug.transport.memorybudget import MemoryBudget
from wsplug.transport.sendqueue import SendQueue
from wsplug.transport.traffic import Traffic


class Owner:
    """
    Counts the calls.
    """

    def __init__(self) -> None:
        self.blocked = 0
        self.moved = 0
        self.resumed = 0
        self.drained = 0
        self.ended = 0

    def outputBlocked(self) -> None:
        self.blocked += 1

    def outputMoved(self) -> None:
        self.moved += 1

    def outputResumed(self) -> None:
        self.resumed += 1

    def outputDrained(self) -> None:
        self.drained += 1

    def outputEnded(self) -> None:
        self.ended += 1

    def outputShed(self, waiting: int) -> None:
        raise NotImplementedError("nothing is shed here")


def _open(wire: Wire) -> tuple[socket.socket, SendQueue, Owner, Any]:
    client, _, transport = wire.connect()
    owner = Owner()
    queue = SendQueue(transport, wire.flusher, owner, Traffic(), MemoryBudget(1 << 30))
    transport.registerProducer(queue, True)
    return client, queue, owner, transport


def _read_all(wire: Wire, client: socket.socket) -> bytes:
    data = bytearray()
    for _ in range(500):
        try:
            data += client.recv(1 << 20)
        except BlockingIOError:
            if not wire.set.getWriters():
                break
        wire.turn()
    return bytes(data)


def test_straight(wire: Wire) -> None:
    """
    If the kernel accepts all bytes, they are sent in the same turn, and none wait.
    """
    client, queue, owner, _ = _open(wire)
    queue.text(FIN | OP_TEXT, "hello")
    queue.frame(FIN | OP_BINARY, b"world")
    assert queue.waiting == 0
    wire.reactor.advance(0)
    assert client.recv(100) == b"\x81\x05hello\x82\x05world"
    assert owner.blocked == 0
    assert wire.set.getWriters() == []


def test_what_the_kernel_does_not_take_stays_here(wire: Wire) -> None:
    """
    Bytes that the kernel doesn't accept are counted exactly, and none are in the
    transport's buffer. They are sent in order, before later ones, when there is room.
    """
    client, queue, owner, transport = _open(wire)
    large = bytes(range(256)) * 8192
    expected = b""
    for number in range(4):
        queue.frame(FIN | OP_BINARY, large)
        queue.text(FIN | OP_TEXT, f"message {number}")
        expected += encode_frame(FIN | OP_BINARY, large)
        expected += encode_frame(FIN | OP_TEXT, b"message %d" % number)
    assert owner.blocked == 1
    assert wire.set.getWriters() == [transport]
    assert transport.dataBuffer == b""
    first = client.recv(1 << 20)
    assert 0 < queue.waiting < len(expected)
    taken = len(expected) - queue.waiting
    assert first == expected[: len(first)]
    assert taken >= len(first)
    received = first + _read_all(wire, client)
    assert received == expected
    assert queue.waiting == 0
    assert owner.resumed == 1
    assert owner.moved >= 1
    queue.text(FIN | OP_TEXT, "straight again")
    wire.reactor.advance(0)
    assert client.recv(100) == encode_frame(FIN | OP_TEXT, b"straight again")


def test_drained(wire: Wire) -> None:
    """
    The owner is notified once, when the kernel has all bytes, and only if it has asked.
    """
    client, queue, owner, _ = _open(wire)
    assert not queue.tellDrained()
    queue.frame(FIN | OP_BINARY, bytes(8_000_000))
    assert queue.tellDrained()
    client.recv(1 << 20)
    assert owner.drained == 0
    assert len(_read_all(wire, client)) > 7_000_000 - (1 << 20)
    assert owner.drained == 1
    queue.text(FIN | OP_TEXT, "hello")
    wire.reactor.advance(0)
    assert owner.drained == 1


def test_many_small_frames_wait(wire: Wire) -> None:
    """
    Thousands of waiting frames are sent in order.
    """
    client, queue, _, _ = _open(wire)
    expected = b""
    for number in range(40_000):
        queue.text(FIN | OP_TEXT, f"message number {number}")
        expected += encode_frame(FIN | OP_TEXT, b"message number %d" % number)
    assert queue.waiting > 0
    assert _read_all(wire, client) == expected


def test_nothing_is_overtaken(wire: Wire) -> None:
    """
    Bytes that were written to the transport before, and wait in its buffer, are sent
    first.
    """
    client, _, transport = wire.connect()
    page = b"page" * 500_000
    transport.write(page)
    queue = SendQueue(
        transport, wire.flusher, Owner(), Traffic(), MemoryBudget(1 << 30)
    )
    transport.registerProducer(queue, True)
    queue.text(FIN | OP_TEXT, "behind it")
    wire.reactor.advance(0)
    expected = page + encode_frame(FIN | OP_TEXT, b"behind it")
    assert _read_all(wire, client) == expected


def test_drop_unsent(wire: Wire) -> None:
    """
    Dropping keeps only the rest of the frame that is partly sent.
    """
    client, queue, _, _ = _open(wire)
    large = b"x" * 4_000_000
    queue.frame(FIN | OP_BINARY, large)
    queue.text(FIN | OP_TEXT, "dropped")
    queue.frame(FIN | OP_BINARY, large)
    queue.dropUnsent()
    queue.text(FIN | OP_TEXT, "last words")
    expected = encode_frame(FIN | OP_BINARY, large)
    expected += encode_frame(FIN | OP_TEXT, b"last words")
    assert _read_all(wire, client) == expected
    queue.dropUnsent()
    assert queue.waiting == 0


def test_discard(wire: Wire) -> None:
    """
    After C{discard}, nothing is sent, and the owner isn't notified.
    """
    client, queue, owner, transport = _open(wire)
    queue.frame(FIN | OP_BINARY, b"x" * 4_000_000)
    queue.discard()
    transport.abortConnection()
    queue.text(FIN | OP_TEXT, "too late")
    blocked = owner.blocked
    wire.turn(3)
    while True:
        try:
            piece = client.recv(1 << 20)
        except (BlockingIOError, ConnectionResetError):
            break
        assert b"too late" not in piece
        if not piece:
            break
    assert queue.waiting == 0
    assert (owner.blocked, owner.resumed, owner.ended) == (blocked, 0, 0)


def test_peer_goes_while_it_waits(wire: Wire) -> None:
    """
    If a peer disconnects while output waits, the connection ends.
    """
    client, protocol, transport = wire.connect()
    owner = Owner()
    queue = SendQueue(transport, wire.flusher, owner, Traffic(), MemoryBudget(1 << 30))
    transport.registerProducer(queue, True)
    queue.frame(FIN | OP_BINARY, b"x" * 4_000_000)
    transport.pauseProducing()
    client.close()
    wire.turn(3)
    assert protocol.lost is not None
    assert owner.ended == 1
