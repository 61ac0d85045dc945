"""
Clients that come and go by the thousand.
"""

from __future__ import annotations

import selectors
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import pytest

from tests.processes import (
    HANDSHAKE,
    HOST,
    PATIENCE,
    TCP,
    checkEcho,
    serve,
    waitUntil,
)
from wsplug.codec import FIN, OP_CLOSE, OP_TEXT, RSV1, Deflater, encode_frame

pytestmark = pytest.mark.costly

APPLICATION: Final = Path(__file__).with_name("application.py")

MASK: Final = b"\x37\xfa\x21\x3d"

TOGETHER: Final = 100
"""
Connections at one time: with more or less of them from time to time, the most that the
server ever needed at once would count as growth.
"""

WARMUP: Final = 4000
"""
Connections after which the allocator has seen every kind often enough.
"""

CONNECTIONS: Final = 8000
"""
Connections that must leave nothing behind.
"""

GROWTH: Final = 768 * 1024
"""
Bytes that the server may have grown by all the same: 96 for each connection. The least
that leaks, an entry in a dict with a small object in it, is 140 bytes or more; what the
allocator takes for itself is about 200 KiB, however many connections there were.
"""


@dataclass(frozen=True)
class Visit:
    """
    What a client does from the connecting to the end.

    @ivar says: what it sends.
    @ivar awaits: what it then waits to read; the connection's end where that is
        C{None}.
    @ivar more: what it sends after that.
    @ivar resets: whether it breaks the connection, and doesn't close it.
    """

    says: bytes
    awaits: bytes | None
    more: bytes = b""
    resets: bool = False


def frame(payload: bytes, first: int = FIN | OP_TEXT) -> bytes:
    return encode_frame(first, payload, MASK)


def _handshake(path: bytes, *headers: bytes) -> bytes:
    head = HANDSHAKE % path
    return head[:-2] + b"".join(header + b"\r\n" for header in headers) + b"\r\n"


def _visits() -> Iterator[Visit]:
    """
    Give each kind of visit.
    """
    opening = _handshake(b"/live")
    deflating = _handshake(b"/live", b"Sec-WebSocket-Extensions: permessage-deflate")
    deflated = Deflater(15, 6, takes_over=False).deflate(b"compressible " * 50)
    page = b"GET /live/%s HTTP/1.1\r\nHost: example.org\r\n\r\n"
    close = frame(struct.pack("!H", 1000), FIN | OP_CLOSE)
    for resets in (False, True):
        yield Visit(b"", b"", resets=resets)
        yield Visit(opening[:60], b"", resets=resets)
        yield Visit(opening, b"\r\n\r\n", resets=resets)
        yield Visit(opening + frame(b"hello"), b"hello", resets=resets)
        yield Visit(opening + frame(b"half")[:-2], b"\r\n\r\n", resets=resets)
        yield Visit(page % b"", b"A page.</p>", resets=resets)
    yield Visit(opening + frame(b"hello") + close, None)
    yield Visit(opening + frame(b"hello"), b"hello", close + frame(b"too late"))
    yield Visit(opening + frame(b"close 4000 so"), b"so", close)
    yield Visit(opening + frame(b"abort"), None)
    yield Visit(opening + b"\xff\xff", None)
    yield Visit(deflating + frame(deflated, FIN | RSV1 | OP_TEXT), deflated, close)
    yield Visit(deflating + frame(b"\xff\xff", FIN | RSV1 | OP_TEXT), None)
    yield Visit(page % b"none", b"404", opening)
    yield Visit(page % b"", b"A page.</p>", opening + close)
    yield Visit(HANDSHAKE % b"/none", None)
    yield Visit(b"\0\r\n\r\n", None)


class Client:
    """
    A client on its visit.
    """

    def __init__(self, port: int, visit: Visit) -> None:
        """
        Connect, and say it.
        """
        self.socket = socket.create_connection((HOST, port), PATIENCE)
        self.socket.setblocking(False)
        self._visit = visit
        self._read = b""
        self.socket.send(visit.says)

    def hear(self) -> bool:
        """
        Read what there is.

        @return: whether the visit is over.
        """
        visit = self._visit
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self._read += data
        if visit.awaits is None:
            return not data
        assert data, f"{visit} was cut short: {self._read!r}"
        return visit.awaits in self._read

    def leave(self) -> None:
        """
        End the connection.
        """
        if self._visit.more:
            self.socket.send(self._visit.more)
        if self._visit.resets:
            linger = struct.pack("ii", 1, 0)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()


def visit(port: int, count: int) -> None:
    """
    Have many clients come and go, some at a time.
    """
    visits = islice(cycle(_visits()), count)
    with selectors.DefaultSelector() as selector:
        while True:
            for each in islice(visits, TOGETHER - len(selector.get_map())):
                client = Client(port, each)
                if each.awaits == b"":
                    client.leave()
                else:
                    selector.register(client.socket, selectors.EVENT_READ, client)
            if not selector.get_map():
                return
            ready = selector.select(PATIENCE)
            assert ready, [key.data._visit for key in selector.get_map().values()]
            for key, _ in ready:
                if key.data.hear():
                    selector.unregister(key.fileobj)
                    key.data.leave()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_leaveNothingBehind(tmp_path: Path) -> None:
    """
    Thousands of clients come and leave in every way, in and after the handshake, in
    order and not: no descriptor of theirs stays open, and the server's memory stays
    as it is.
    """
    # Those that have left again wait to be accepted, too. What doesn't fit in tries
    # again after seconds.
    listen = [f"{TCP}:backlog={10 * TOGETHER}"]
    application = f"--app={APPLICATION}:path=/live"
    with serve(tmp_path, application, listen=listen) as server:
        # It listens before its reactor has all its own descriptors.
        checkEcho(server.port, "/live")
        server.waitForLog("closed by the peer")
        idle = server.descriptors()
        visit(server.port, WARMUP)
        waitUntil(lambda: server.descriptors() == idle, "all have gone")
        before = server.memory()
        visit(server.port, CONNECTIONS)
        waitUntil(lambda: server.descriptors() == idle, "all have gone again")
        assert server.memory() - before < GROWTH
        assert "Traceback" not in server.log
