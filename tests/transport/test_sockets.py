"""
The system calls of the compiled build and of plain Python.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from typing import Any

import pytest

from wsplug.codec.masking import PayloadBuffer
from wsplug.transport import sockets

Pair = tuple[socket.socket, socket.socket]


def _plain() -> Any:
    found = find_spec("wsplug.transport.sockets")
    assert found is not None
    assert found.origin is not None
    spec = spec_from_file_location("plain_sockets", found.origin)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wsplug.build.COMPILED", False)
        spec.loader.exec_module(module)
    return module


pytestmark = pytest.mark.parametrize(
    "calls", [pytest.param(sockets, id="chosen"), pytest.param(_plain(), id="plain")]
)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """
    Two ends of a nonblocking connection.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def _drain(end: socket.socket) -> bytes:
    data = bytearray()
    while True:
        try:
            piece = end.recv(1 << 20)
        except BlockingIOError:
            return bytes(data)
        if not piece:
            return bytes(data)
        data += piece


def test_receive(calls: Any, pair: Pair) -> None:
    """
    Reading returns None without data, the data, a limited amount of much data, and
    nothing at the end.
    """
    ours, theirs = pair
    assert calls.receive(ours) is None
    theirs.send(b"hello")
    assert calls.receive(ours) == b"hello"
    sent = theirs.send(bytes(sockets.READ_SIZE + 10_000))
    received = calls.receive(ours)
    assert len(received) == min(sent, sockets.READ_SIZE)
    _drain(ours)
    theirs.close()
    assert calls.receive(ours) == b""
    ours.close()
    with pytest.raises(OSError, match="descriptor"):
        calls.receive(ours)


def test_receive_from_a_broken_connection(calls: Any) -> None:
    """
    A reset raises an error with its name.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    with ours:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        with pytest.raises(ConnectionResetError):
            calls.receive(ours)


def test_receive_into(calls: Any, pair: Pair) -> None:
    """
    Likewise, for reading into a payload's buffer.
    """
    ours, theirs = pair
    payload = PayloadBuffer(8)
    assert calls.receive_into(ours, payload) is None
    theirs.send(b"12345678behind")
    assert calls.receive_into(ours, payload) == 8
    payload.accept(8, b"")
    assert payload.take() == b"12345678"
    assert calls.receive(ours) == b"behind"
    theirs.close()
    assert calls.receive_into(ours, PayloadBuffer(8)) == 0


def test_send(calls: Any, pair: Pair) -> None:
    """
    Sending accepts as much as there is room for, and nothing if there is no room or no
    connection.
    """
    ours, theirs = pair
    assert calls.send(ours, b"hello") == 5
    assert theirs.recv(10) == b"hello"
    data = bytes(range(256)) * 40_000
    sent = calls.send(ours, data)
    assert 0 < sent < len(data)
    assert calls.send(ours, b"more") == 0
    assert _drain(theirs) == data[:sent]
    theirs.close()
    assert calls.send(ours, b"to nobody") == 0
    ours.close()
    assert calls.send(ours, b"from nobody") == 0


@pytest.mark.parametrize("count", [1, 2, 64, 1024, 1025, 3000])
@pytest.mark.parametrize("size", [1, 40])
def test_send_pieces(calls: Any, pair: Pair, count: int, size: int) -> None:
    """
    Pieces can be bytes and views, few, or more than the kernel accepts in one call.
    """
    ours, theirs = pair
    pieces: list[bytes | memoryview] = []
    for number in range(count):
        piece = bytes([number & 0xFF]) * (size + number % 7)
        pieces.append(memoryview(b"(" + piece + b")")[1:-1] if number % 3 else piece)
    data = b"".join(pieces)
    assert calls.send_pieces(ours, pieces) == len(data)
    assert _drain(theirs) == data


def test_send_many_large_pieces(calls: Any, pair: Pair) -> None:
    """
    If the room ends between pieces, the result says how many bytes were sent.
    """
    ours, theirs = pair
    pieces: list[bytes | memoryview] = [bytes([n]) * 100_000 for n in range(40)]
    data = b"".join(pieces)
    sent = calls.send_pieces(ours, pieces)
    assert 0 < sent < len(data)
    assert calls.send_pieces(ours, pieces) == 0
    assert _drain(theirs) == data[:sent]
    ours.close()
    assert calls.send_pieces(ours, pieces) == 0


def test_what_is_sent_must_be_bytes(calls: Any, pair: Pair) -> None:
    """
    A piece that isn't bytes raises, and does no other harm.
    """
    ours, theirs = pair
    wrong: Any = ["text", b"bytes"]
    with pytest.raises(TypeError):
        calls.send_pieces(ours, wrong)
    assert calls.send_pieces(ours, [b"a", b"b"]) == 2
    assert theirs.recv(10) == b"ab"


@pytest.mark.parametrize("room", [100, 30_000, 1 << 30])
def test_pieces_one_by_one(calls: Any, room: int) -> None:
    """
    If the system accepts only one piece per call, the accepted bytes are counted
    properly, and nothing is sent after a piece that wasn't accepted completely.
    """
    taken = bytearray()

    class Narrow:
        def send(self, data: bytes | memoryview) -> int:
            if len(taken) == room:
                raise BlockingIOError
            part = bytes(data[: room - len(taken)])
            taken.extend(part)
            return len(part)

    pieces: list[Any] = [
        b"head",
        memoryview(b"x" * 20_000),
        b"tail",
        memoryview(b"y" * 20_000),
    ]
    sent = calls._gather(Narrow(), pieces)
    assert sent == len(taken) == min(room, 40_008)
    assert taken == b"".join(pieces)[:room]
