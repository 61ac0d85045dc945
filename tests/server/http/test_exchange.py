"""
Plain requests that the server answers itself: one response for each, in order, whatever
happens to the body, the file, the client or the code that answers (DESIGN section 4,
plain HTTP; RFC 9110, RFC 9112).
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from tests.server.http.test_pages import CHUNKED, SIZED, get
from tests.server.kit import App, Logs, handshake, parseResponse, parseResponses, raw
from wsplug import HandshakeRefused, Settings
from wsplug.interfaces import IPlainRequest, IPlainResource
from wsplug.plain import FileBody, PlainResource, Response
from wsplug.server.http.responses import encodeResponse
from wsplug.staticfiles import StaticFiles
from wsplug.testing import MemoryServer

Respond = Callable[[IPlainRequest], Any]


class Own(PlainResource):
    """Calls the test's function; without one, answers with what it got."""

    methods = (b"GET", b"HEAD", b"POST")

    def __init__(self, respond: Respond | None = None, maxBodySize: int = 1000) -> None:
        self.maxBodySize = maxBodySize
        self.requests: list[IPlainRequest] = []
        self._respond = respond

    def find(self, request: IPlainRequest) -> IPlainResource | None:
        return self

    def respond(self, request: IPlainRequest) -> Any:
        self.requests.append(request)
        if self._respond is not None:
            return self._respond(request)
        return Response(200, [], request.path + b":" + request.content)


def serve(own: Any, **settings: Any) -> MemoryServer:
    return MemoryServer(App(pages=own), settings=Settings(**settings))


def isClean(server: MemoryServer) -> bool:
    """Say whether no connection has left anything behind."""
    factory = server.factory
    return (
        factory.opening == 0
        and factory.sendBuffers.used == 0
        and factory.incompleteMessages.used == 0
        and len(factory.deadlines) == 0
        and not server.clock.getDelayedCalls()
    )


# One connection, many requests


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_kept_connection(step: int) -> None:
    """Responses come in the order of the requests. Some requests have bodies of both
    kinds, and the input is split in many ways. A handshake after the requests
    succeeds."""
    server = serve(own := Own())
    data = (
        get("/a") + SIZED + CHUNKED + get("/head?c", "HEAD") + get("/d") + handshake()
    )
    transport = server.connectTransport()
    output = b""
    for start in range(0, len(data), step):
        transport.put(data[start : start + step])
        server.run()
        output += transport.take()
    head = output.index(b"Content-Length: 6\r\n")
    # The response to HEAD has the length and no body (RFC 9110 section 9.3.2).
    whole = output[:head] + output[head:].replace(b"gth: 6", b"gth: 0", 1)
    responses = parseResponses(whole)
    bodies = [each.body for each in responses]
    assert bodies == [b"/a:", b"/post:abcde", b"/post:abcde", b"", b"/d:", b""]
    assert [each.status for each in responses] == [200] * 5 + [101]
    assert [each.content for each in own.requests][:3] == [b"", b"abcde", b"abcde"]


@pytest.mark.parametrize(
    "data",
    [
        get("/a", "GET", "Connection: close"),
        get("/a", "GET", "Connection: x", "Connection: Close, TE"),
        b"GET /a HTTP/1.0\r\n\r\n",
        b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ],
)
def test_last_request(data: bytes) -> None:
    """RFC 9112 section 9.6: after a request that closes the connection, no other
    request is answered."""
    server = serve(own := Own())
    transport = raw(server, data + get("/b"))
    response = parseResponse(transport.take())
    assert (response.status, response.body) == (200, b"/a:")
    assert response.all("connection") == ["close"]
    server.run()
    assert transport.lost
    assert len(own.requests) == 1
    assert isClean(server)


def test_idle(logs: Logs) -> None:
    """A connection that is idle for a minute is closed without a response."""
    server = serve(Own())
    transport = raw(server, get("/a"))
    server.advance(40)
    transport.put(get("/b"))
    server.advance(59)
    transport.take()
    assert not transport.lost
    count = len(logs.lines())
    server.advance(2)
    assert transport.lost
    assert len(logs.lines()) == count
    assert isClean(server)


class Foreign(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return b"foreign"


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize("goesOn", [False, True])
def test_not_idle(foreign: bool, goesOn: bool, logs: Logs) -> None:
    """A connection on which the head of a request has begun isn't idle. The head has
    its own timeout, and the next minute begins with the response."""
    pages = Foreign() if foreign else Own()  # type: ignore[no-untyped-call]
    server = serve(pages, open_timeout=10)
    transport = raw(server, get("/a"))
    server.advance(58)
    transport.put(get("/b")[:20])
    server.advance(9)
    parseResponse(transport.take())
    assert not transport.lost
    if not goesOn:
        server.advance(2)
        assert parseResponse(transport.take()).status == 408
        return
    transport.put(get("/b")[20:])
    server.advance(59)
    assert parseResponse(transport.take()).status == 200
    assert not transport.lost
    count = len(logs.lines())
    server.advance(2)
    assert transport.lost
    assert len(logs.lines()) == count
    assert isClean(server)


def test_own_and_foreign() -> None:
    """Both kinds of resources answer on one connection, and a WebSocket follows."""
    app = App(pages=Foreign())  # type: ignore[no-untyped-call]
    server = MemoryServer(app, path="/foreign")
    own, foreign = get("/-/nothing"), get("/foreign/x")
    data = own + foreign * 2 + own * 2 + foreign + handshake("GET /foreign HTTP/1.1")
    responses = parseResponses(raw(server, data).take())
    statuses = [each.status for each in responses]
    assert statuses == [404, 200, 200, 404, 404, 200, 101]


def test_head_and_date() -> None:
    """Each response has a Date (RFC 9110 section 6.6.1)."""
    server = serve(Own())
    server.clock.advance(784111777)
    response = parseResponse(raw(server, get("/a")).take())
    assert response.all("date") == ["Sun, 06 Nov 1994 08:49:37 GMT"]
    assert response.all("content-length") == ["3"]
    assert response.all("connection") == []


def test_response_that_is_used_again() -> None:
    """A resource may return the same response again: the server doesn't modify it."""
    answer = Response(200, [(b"X-A", b"b")], b"hello")
    clock = Clock()
    for name, count in ((b"X-C", 2), (b"X-E", 2), (b"x-a", 1)):
        data, _ = encodeResponse(clock, b"GET", answer, [(name, b"d")], False)
        assert data.count(b"\r\nX-") == count
        assert answer.headers == [(b"X-A", b"b")]


def test_pipelined_requests_take_turns() -> None:
    """A client that sends many requests at once gets one answer in each turn of the
    reactor, and other clients are served in between. The server reads no more from this
    client until it has used up its input. A handshake after all requests is served."""
    server = serve(own := Own())
    busy, other = server.connectTransport(), server.connectTransport()
    busy.put(get("/a") * 400)
    busy.put(get("/a") * 400 + handshake())
    other.put(get("/b") * 2)
    busy.step()
    other.step()
    assert [each.path for each in own.requests] == [b"/a", b"/b"]
    server.clock.advance(0)
    assert [each.path for each in own.requests][:4] == [b"/a", b"/b"] * 2
    assert not busy.reading
    data = b""
    server.run()
    while part := busy.take():
        data += part
        server.run()
    responses = parseResponses(data)
    assert [each.status for each in responses] == [200] * 800 + [101]
    assert busy.reading
    assert len(parseResponses(other.take())) == 2


def test_empty_line_behind_a_body() -> None:
    """RFC 9112 section 2.2: an empty line after a body begins no request, and the
    server doesn't wait for one."""
    server = serve(own := Own())
    transport = raw(server, SIZED + b"\r\n")
    assert parseResponse(transport.take()).status == 200
    server.advance(30)
    assert transport.take() == b""
    assert not transport.lost
    transport.put(get("/b"))
    server.run()
    assert parseResponse(transport.take()).status == 200
    assert len(own.requests) == 2


@pytest.mark.parametrize("end", ["drain", "close"])
def test_stop_while_a_response_is_sent(end: str) -> None:
    """When the server stops while it sends a response, the connection closes once the
    client has that response. The server waits for nothing else."""
    server = serve(Own(lambda _: Response(200, [], b"x" * 3_000_000)))
    transport = raw(server, get("/a"))
    stopping = server.factory.closeConnections(patience=5.0 if end == "drain" else 0.0)
    data = b""
    while part := transport.take():
        data += part
        server.run()
    assert len(parseResponse(data).body) == 3_000_000
    server.advance(0.1)
    assert transport.lost
    assert stopping.called
    assert isClean(server)


# Unwanted bodies


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (get("/a", "PUT", "Content-Length: 500"), 405),
        (get("/a", "X", "Content-Length: 500"), 501),
        (get("/a", "PUT", "Transfer-Encoding: chunked"), 405),
        (get("/a", "POST", "Content-Length: 1001"), 413),
    ],
)
@pytest.mark.parametrize("expects", [False, True])
def test_unwanted(data: bytes, status: int, expects: bool, logs: Logs) -> None:
    """An unwanted body isn't read. The client gets an answer at once and no 100
    (Continue), and the connection closes. No part of the body is taken for a
    request."""
    server = serve(own := Own())
    if expects:
        data = data[:-2] + b"Expect: 100-continue\r\n\r\n"
    transport = raw(server, data + get("/b"))
    response = parseResponse(transport.take())
    assert response.status == status
    assert "close" in response.all("connection")[0]
    assert transport.closedForWriting
    transport.put(get("/c") * 1000)
    server.advance(1)
    assert transport.take() == b""
    assert own.requests == []
    assert len(logs.lines(str(status))) == 1
    server.advance(5)
    assert transport.lost
    assert isClean(server)


@pytest.mark.parametrize("expects", [False, True])
def test_unwanted_but_here(expects: bool) -> None:
    """If all of an unwanted body has arrived already, it is dropped and the connection
    is kept. The connection closes if the client may have left the body out, as the
    bytes may then be a request."""
    server = serve(own := Own())
    header = "\r\nExpect: 100-continue" if expects else ""
    data = get("/a", "PUT", "Content-Length: 5" + header) + b"12345" + get("/b")
    responses = parseResponses(raw(server, data).take())
    assert [each.status for each in responses] == ([405] if expects else [405, 200])
    assert len(own.requests) == (not expects)


def test_unwanted_everywhere() -> None:
    """A resource can declare that it accepts no bodies."""
    for data in (SIZED, CHUNKED):
        response = parseResponse(raw(serve(Own(maxBodySize=0)), data).take())
        assert response.status == 413
        assert response.body == b"no request body is allowed\n"


EMPTY = [b"0\r\n\r\n", b"000;a=b\r\n\r\n", b"0\r\nTrailer: value\r\n\r\n"]


@pytest.mark.parametrize("step", [1, 10_000])
@pytest.mark.parametrize("chunks", EMPTY)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_empty_chunks(tmp_path: Path, method: str, chunks: bytes, step: int) -> None:
    """A chunked body without content is an empty body (RFC 9112 section 7.1), so a
    resource that accepts no bodies answers the request. The connection is kept."""
    (tmp_path / "a.txt").write_text("content", "ascii")
    (tmp_path / "b.txt").write_text("other", "ascii")
    for path in (b"a.txt", b"-/wsplug.js"):
        server = serve(str(tmp_path))
        data = get("/PATH", method, "Transfer-Encoding: chunked") + chunks
        data = data.replace(b"PATH", path) + get("/b.txt")
        transport = server.connectTransport()
        for start in range(0, len(data), step):
            transport.put(data[start : start + step])
            server.run()
        output = transport.take()
        assert output.startswith(b"HTTP/1.1 200 ")
        assert output.endswith(b"\r\n\r\nother")
        assert output.count(b"HTTP/1.1 ") == 2
        assert not transport.lost


@pytest.mark.parametrize(
    ("behind", "status"), [(b"", 408), (b"0\r\n", 408), (b"1", 408), (b"1\r\n", 413)]
)
def test_chunks_that_nobody_wants(behind: bytes, status: int) -> None:
    """Where no body is accepted, a chunked body is refused at its first chunk. It has
    as much time as a head to turn out to be empty."""
    server = serve(own := Own(maxBodySize=0))
    head = get("/a", "GET", "Transfer-Encoding: chunked")
    transport = raw(server, head + behind)
    if status == 408:
        server.advance(9)
        assert transport.take() == b""
        server.advance(2)
    assert parseResponse(transport.take()).status == status
    assert own.requests == []
    server.advance(6)
    assert transport.lost
    assert isClean(server)


def test_expected_chunks() -> None:
    """A client that waits for 100 (Continue) has a body (RFC 9110 section 10.1.1).
    Where no body is accepted, it is refused at once."""
    server = serve(Own(maxBodySize=0))
    lines = ("Transfer-Encoding: chunked", "Expect: 100-continue")
    transport = raw(server, get("/a", "POST", *lines))
    assert parseResponse(transport.take()).status == 413


def test_judged_first() -> None:
    """A client without permission is refused before its body has arrived."""

    class Judging(Own):
        def judge(self, request: IPlainRequest) -> Response | None:
            raise HandshakeRefused(403, "not you", headers=[(b"X-A", b"b")])

    server = serve(own := Judging())
    response = parseResponse(raw(server, get("/", "POST", "Content-Length: 9")).take())
    assert (response.status, response.body) == (403, b"not you\n")
    assert response.all("x-a") == ["b"]
    assert own.requests == []


@pytest.mark.parametrize(
    ("version", "value", "asked"),
    [
        ("1.1", "100-continue", True),
        ("1.1", "a, 100-Continue", True),
        ("1.1", "200-ok", False),
        ("1.0", "100-continue", False),
    ],
)
def test_expect(version: str, value: str, asked: bool) -> None:
    """RFC 9110 section 10.1.1: a client that expects 100 (Continue) gets it once, if
    its body is wanted."""
    server = serve(Own())
    head = get("/a", "POST", "Content-Length: 2", f"Expect: {value}")
    transport = raw(server, head.replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
    asking = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert transport.take() == (asking if asked else b"")
    transport.put(b"x")
    server.run()
    assert transport.take() == b""
    transport.put(b"y")
    server.run()
    assert parseResponse(transport.take()).body == b"/a:xy"


@pytest.mark.parametrize("chunked", [False, True])
def test_slow_body(chunked: bool, logs: Logs) -> None:
    """A body that doesn't arrive is refused as for a twisted.web resource."""
    server = serve(Own(), open_timeout=10)
    how = "Transfer-Encoding: chunked" if chunked else "Content-Length: 100"
    transport = raw(server, get("/", "POST", how))
    for _ in range(9):
        transport.put(b"1\r\nx\r\n" if chunked else b"x")
        server.advance(1)
    assert transport.take() == b""
    server.advance(1.5)
    assert parseResponse(transport.take()).status == 408
    (event,) = logs.events("refused")
    assert event["setting"] == "open-timeout"
    server.advance(6)
    assert transport.lost
    assert isClean(server)


# Answers that take time, or never come


@pytest.mark.parametrize("kind", ["deferred", "coroutine"])
def test_later(kind: str) -> None:
    """The server waits for a late answer, and keeps the requests after it until
    then."""
    waiting: list[Deferred[Response]] = []

    def respond(_: IPlainRequest) -> Any:
        later: Deferred[Response] = Deferred()
        waiting.append(later)

        async def wait() -> Response:
            return await later

        return later if kind == "deferred" else wait()

    server = serve(Own(respond))
    transport = raw(server, get("/a") + get("/b"))
    transport.put(get("/c", "GET", "X: " + "x" * 10_000) * 3)
    server.run()
    assert len(waiting) == 1
    assert not transport.reading
    for number in range(5):
        waiting[number].callback(Response(200, [], b"%d" % number))
        server.run()
    responses = parseResponses(transport.take())
    assert [each.body for each in responses] == [b"0", b"1", b"2", b"3", b"4"]
    assert transport.reading


def test_gone_meanwhile() -> None:
    """A client that has disconnected in the meantime gets nothing, and the file for it
    is closed."""
    later: Deferred[Response] = Deferred()
    server = serve(Own(lambda _: later))
    transport = raw(server, SIZED)
    assert server.factory.incompleteMessages.used == 5
    transport.abortConnection()
    file = io.BytesIO(b"x")
    later.callback(Response(200, [], FileBody(file, 1)))
    assert file.closed
    assert isClean(server)


@pytest.mark.parametrize("leaves", [False, True])
def test_never(leaves: bool) -> None:
    """A request that is never answered is refused in the end and its body is freed,
    even if the client has left. An answer that comes later is dropped."""
    later: Deferred[Response] = Deferred()
    server = serve(Own(lambda _: later))
    transport = raw(server, SIZED)
    if leaves:
        transport.abortConnection()
    server.advance(299)
    assert transport.take() == b""
    assert server.factory.incompleteMessages.used == 5
    server.advance(2)
    response = transport.take()
    assert response.startswith(b"HTTP/1.1 503 ") is not leaves
    assert server.factory.incompleteMessages.used == 0
    file = io.BytesIO(b"x")
    later.callback(Response(200, [], FileBody(file, 1)))
    assert file.closed
    server.advance(6)
    assert isClean(server)


def test_no_file_can_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    """If the process has reached its limit of open files, clients are asked to retry.
    The log has no traceback for each of them."""
    (tmp_path / "a.txt").write_text("a", "utf-8")
    server = serve(StaticFiles(tmp_path))

    def fail(*_: Any) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", fail)
    response = parseResponse(raw(server, get("/a.txt")).take())
    assert response.status == 503
    assert response.all("retry-after") == ["1"]
    assert logs.failures() == []


def _raises(_: IPlainRequest) -> Any:
    raise SystemExit(2)


async def _failsLater(_: IPlainRequest) -> Any:
    raise KeyError("broken")


async def _answersNothingLater(_: IPlainRequest) -> Any:
    return None


def _injects(_: IPlainRequest) -> Response:
    return Response(200, [(b"A", b"b\r\nInjected: yes")])


async def _injectsLater(request: IPlainRequest) -> Response:
    return _injects(request)


FAILING: list[Respond] = [
    _raises,
    _failsLater,
    lambda _: None,
    _answersNothingLater,
    _injects,
    _injectsLater,
]


@pytest.mark.parametrize("respond", FAILING)
def test_fails(respond: Respond, logs: Logs) -> None:
    """A resource that fails causes a 500 for its client and a traceback in the log.
    Other clients are unaffected, and a header's value can't inject another header."""
    server = serve(Own(respond))
    transport = raw(server, get("/a"))
    response = parseResponse(transport.take())
    assert response.status == 500
    assert response.all("injected") == []
    assert len(logs.failures()) == 1
    transport.shut()
    server.advance(6)
    assert isClean(server)
    assert server.request("GET", "/-/wsplug.js").status == 200


@pytest.mark.parametrize(
    "respond", [_raises, _answersNothingLater, _injects, _injectsLater]
)
def test_failures_fill_no_log(respond: Respond, logs: Logs) -> None:
    """If a client makes a resource fail again and again, the log gets no more
    tracebacks than lines of another kind."""
    server = MemoryServer(
        App(pages=Own(respond)), settings=Settings(max_address_log_rate=1), exempt=()
    )
    for _ in range(50):
        response = parseResponse(raw(server, get("/a")).take())
        assert response.status == 500
    assert 0 < len(logs.failures()) <= 10


def test_half_closed() -> None:
    """A client that has closed its side for writing gets the late answer, and then the
    connection closes."""
    later: Deferred[Response] = Deferred()
    server = serve(Own(lambda _: later))
    transport = raw(server, SIZED)
    transport.shut()
    server.advance(5)
    later.callback(Response(200, [], b"late"))
    server.run()
    assert parseResponse(transport.take()).body == b"late"
    server.run()
    assert transport.lost
    assert isClean(server)


# Files


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(bytes(range(250)) * 4000)
    return path


def test_file_in_turns(large: Path) -> None:
    """A large file is sent in pieces, one in each turn of the reactor. The server reads
    no more of the file than the client reads."""
    server = serve(str(large.parent))
    transport = raw(server, get("/file.bin"))
    assert 65_536 <= len(transport._out) <= 4 * 65_536
    data = b""
    while part := transport.take():
        data += part
        server.run()
    assert parseResponse(data).body == large.read_bytes()
    transport.put(get("/file.bin", "HEAD"))
    server.run()
    assert b"Content-Length: 1000000\r\n" in transport.take()


def test_file_that_ends_early(logs: Logs) -> None:
    """If a response has fewer bytes than it declares, the connection is aborted, so
    that no client takes the part for the whole or the next response for the rest (RFC
    9112 section 8)."""
    file = io.BytesIO(bytes(300_000))
    server = serve(Own(lambda _: Response(200, [], FileBody(file, 1_000_000))))
    transport = raw(server, get("/a") + get("/b"))
    data = b""
    while part := transport.take():
        data += part
        server.run()
    assert data.count(b"HTTP/1.1 ") == 1
    assert len(data) < 400_000
    assert transport.aborted
    (line,) = logs.lines("cut off")
    assert "the file became shorter" in line
    assert isClean(server)


class Broken(io.BytesIO):
    def read(self, *_: Any) -> bytes:
        raise OSError("input/output error")


@pytest.mark.parametrize("size", [5, 500_000])
def test_file_that_cannot_be_read(size: int, logs: Logs) -> None:
    """The server doesn't wait for a file that can't be read. For a small file, the
    answer is a 500; for a large file, the connection ends. The log has one line."""
    file = Broken()
    server = serve(Own(lambda _: Response(200, [], FileBody(file, size))))
    transport = raw(server, get("/a"))
    server.run()
    if size == 5:
        assert parseResponse(transport.take()).status == 500
    else:
        assert transport.aborted
    assert file.closed
    assert len(logs.failures()) == (1 if size == 5 else 0)
    assert len(logs.lines("cut off")) == (0 if size == 5 else 1)
    transport.shut()
    server.advance(6)
    assert isClean(server)


def test_leaves_in_the_midst_of_a_file() -> None:
    """When a client leaves during a file, the file is closed."""
    file = io.BytesIO(bytes(1_000_000))
    server = serve(Own(lambda _: Response(200, [], FileBody(file, 1_000_000))))
    transport = raw(server, get("/a"))
    assert not file.closed
    transport.abortConnection()
    assert file.closed
    assert isClean(server)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_descriptors(large: Path, method: str) -> None:
    """No answer of any kind leaves a descriptor open."""
    large.with_name("small").write_bytes(b"small")
    server = serve(StaticFiles(large.parent))
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self") else 0
    for headers in ([], [("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT")]):
        for value in ("bytes=0-1", "bytes=9999999-", "bytes=5-"):
            for name in ("small", "file.bin"):
                ranges = [*headers, ("Range", value)]
                response = server.request(method, f"/{name}", headers=ranges)
                assert response.status in (200, 206, 304, 416)
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self") else 0
    assert after == before
