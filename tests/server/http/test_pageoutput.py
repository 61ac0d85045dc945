"""
Clients of pages that read slowly or never, and bodies that arrive slowly or never
(DESIGN section 4, plain HTTP: each response and body has a deadline).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from tests.server.http.test_pages import get
from tests.server.kit import App, Logs, handshake, parseResponse, raw
from wsplug import Settings
from wsplug.server.deadlines import Deadlines
from wsplug.server.http.pageoutput import PageOutput
from wsplug.testing import MemoryServer, MemoryTransport
from wsplug.transport.memorybudget import MemoryBudget

SIZE = 3_000_000
BODY = bytes(range(250)) * (SIZE // 250)


class Whole(Resource):
    """Answers with a large body at once."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return BODY


class Pieces(Resource):
    """Answers with a large body in small pieces, all at once."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        request.setHeader(b"content-length", b"%d" % SIZE)
        for start in range(0, SIZE, 10_000):
            request.write(BODY[start : start + 10_000])
        return b""


def folder(path: Path) -> str:
    (path / "file").write_bytes(BODY)
    return str(path)


PAGES: list[Any] = [
    pytest.param(lambda path: Whole(), id="whole"),  # type: ignore[no-untyped-call]
    pytest.param(lambda path: Pieces(), id="pieces"),  # type: ignore[no-untyped-call]
    pytest.param(folder, id="file"),
]


@pytest.fixture(params=PAGES)
def server(request: Any, tmp_path: Path) -> MemoryServer:
    make: Callable[[Path], Any] = request.param
    return MemoryServer(App(pages=make(tmp_path)))


def test_never_reads(server: MemoryServer, logs: Logs) -> None:
    """DESIGN section 5: a client that doesn't read its page is disconnected after the
    send timeout. One line in the log says so and names the setting. Nothing is left
    behind."""
    transport = raw(server, get("/file"))
    server.advance(29)
    assert not transport.lost
    server.advance(2)
    assert transport.aborted
    assert transport.lost
    (event,) = logs.events("cut off")
    assert event["setting"] == "send-timeout"
    assert server.factory.opening == 0
    assert server.factory.sendBuffers.used == 0
    assert len(server.factory.deadlines) == 0
    assert not server.clock.getDelayedCalls()


def test_reads_slowly(server: MemoryServer, logs: Logs) -> None:
    """A client that reads the transport's buffer within the send timeout gets the whole
    response, however long that takes."""
    transport = raw(server, get("/file"))
    data = b""
    while part := transport.take():
        data += part
        server.advance(25)
    assert parseResponse(data).body == BODY
    assert server.factory.opening == 1
    assert not logs.events("cut off")


def test_order(server: MemoryServer) -> None:
    """What comes after a request waits until the response is sent, and is answered
    then: another page, and a handshake."""
    transport = raw(server, get("/file"))
    transport.put(get("/nothing/there") + get("/file") + handshake())
    data = b""
    for _ in range(500):
        data += transport.take()
        server.advance(0.01)
    # Only a folder has nothing at the second path.
    assert data.count(BODY) + data.count(b"HTTP/1.1 404 ") == 3
    assert data.count(b"HTTP/1.1 ") == 4
    assert b"HTTP/1.1 101 " in data[-400:]
    assert server.factory.sendBuffers.used == 0


def test_close_behind_a_large_page(server: MemoryServer) -> None:
    """A connection that closes after its response closes once the response is sent."""
    transport = raw(server, get("/file", "GET", "Connection: close"))
    data = b""
    while part := transport.take():
        assert not transport.lost
        data += part
        server.advance(5)
    assert parseResponse(data).body == BODY
    assert transport.lost


def test_never_reads_the_end(server: MemoryServer) -> None:
    """The last piece has the same timeout as the first."""
    transport = raw(server, get("/file", "GET", "Connection: close"))
    while not transport.disconnecting:
        transport.take()
        server.advance(0.1)
    server.advance(31)
    assert transport.lost
    assert len(server.factory.deadlines) == 0


def test_all_together() -> None:
    """Output that waits for clients of pages counts towards max-send-buffer-total, like
    all other output. The client with the largest buffer is disconnected."""
    settings = Settings(max_send_buffer_total=5_000_000)
    page = Whole()  # type: ignore[no-untyped-call]
    server = MemoryServer(App(pages=page), settings=settings)
    clients = [raw(server, get("/")) for _ in range(2)]
    server.run()
    assert [each.lost for each in clients].count(True) == 1
    assert 0 < server.factory.sendBuffers.used < 5_000_000
    for each in clients:
        each.abortConnection()
    server.run()
    assert server.factory.sendBuffers.used == 0


def test_leaves_in_the_midst(server: MemoryServer) -> None:
    """A client that leaves during a response leaves nothing behind."""
    transport = raw(server, get("/file"))
    transport.abortConnection()
    server.advance(1)
    assert server.factory.sendBuffers.used == 0
    assert len(server.factory.deadlines) == 0


class Reentrant:
    """A transport that calls a function in the middle of a write."""

    def __init__(self, during: Callable[[PageOutput], object], times: int) -> None:
        self.data = b""
        self.budget = MemoryBudget(10**9)
        self.times = times
        self._during = during
        clock = Clock()
        self.output = PageOutput(
            self, Deadlines(clock), 30, self.budget, lambda *_: self.output.stop()
        )

    def write(self, data: bytes) -> None:
        self.data += data
        self.times -= 1
        if not self.times:
            self._during(self.output)


@pytest.mark.parametrize("times", [1, 2, 5])
def test_ends_in_the_midst_of_a_write(times: int) -> None:
    """A connection that ends during a write returns exactly what it had reserved of the
    shared budget."""
    transport = Reentrant(PageOutput.stop, times)
    output = transport.output
    output.pause()
    for _ in range(3):
        output.write(BODY[:150_000])
    assert transport.budget.used == 450_000
    output.resume()
    assert (transport.budget.used, len(transport.budget)) == (0, 0)
    assert len(transport.data) <= times * 65_536
    output.write(b"late")
    assert (transport.budget.used, len(transport.budget)) == (0, 0)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_more_in_the_midst_of_a_write(times: int) -> None:
    """What is written during a write comes after everything that already waits."""

    def during(output: PageOutput) -> None:
        output.pause()
        output.write(b"more")

    transport = Reentrant(during, times)
    transport.output.write(BODY[:150_000])
    assert transport.budget.used == max(0, 150_000 - times * 65_536) + 4
    transport.output.resume()
    assert transport.data == BODY[:150_000] + b"more"
    assert transport.budget.used == 0


# Bodies


class Taker(Resource):
    """Accepts a body of any size."""

    isLeaf = True
    maxBodySize = 10_000_000

    def render_POST(self, request: Any) -> bytes:
        return b"%d" % len(request.content.read())


def begin(chunked: bool, size: int) -> tuple[MemoryServer, MemoryTransport]:
    server = MemoryServer(App(pages=Taker()))  # type: ignore[no-untyped-call]
    how = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    transport = raw(server, get("/", "POST", how))
    return server, transport


def encode(chunked: bool, data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if chunked else data


@pytest.mark.parametrize("step", [0, 1, 9.5])
@pytest.mark.parametrize("chunked", [False, True])
def test_slow_body(chunked: bool, step: float, logs: Logs) -> None:
    """A body that arrives byte by byte, or not at all, is refused with 408 after the
    time that a head has (RFC 9110 section 15.5.9)."""
    server, transport = begin(chunked, 1000)
    for _ in range(int(9.75 // step) if step else 0):
        transport.put(encode(chunked, b"x"))
        server.advance(step)
    server.advance(9.75 - (9.75 // step * step if step else 0))
    assert transport.take() == b""
    server.advance(0.5)
    assert parseResponse(transport.take()).status == 408
    (event,) = logs.events("refused")
    assert event["setting"] == "open-timeout"
    server.advance(6)
    assert transport.lost
    assert len(server.factory.deadlines) == 0


@pytest.mark.parametrize("chunked", [False, True])
def test_steady_body(chunked: bool) -> None:
    """A large body over a slow line is accepted, as long as it keeps coming."""
    server, transport = begin(chunked, 20 * 20_000)
    for _ in range(20):
        transport.put(encode(chunked, bytes(20_000)))
        server.advance(9)
    if chunked:
        transport.put(b"0\r\n\r\n")
    server.run()
    assert parseResponse(transport.take()).body == b"400000"
    server.advance(30)
    assert not transport.lost


def test_idle_is_not_logged(logs: Logs) -> None:
    """The end of an idle kept connection isn't logged."""
    server = MemoryServer(App(pages=Whole()))  # type: ignore[no-untyped-call]
    transport = raw(server, get("/"))
    while transport.take():
        server.advance(0.1)
    lines = len(logs.lines())
    server.advance(61)
    assert transport.lost
    assert len(logs.lines()) == lines
