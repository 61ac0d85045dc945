"""
Bodies of plain requests: the server reads them strictly, within its memory budget, and
without a file (DESIGN section 4; RFC 9112 section 7.1).
"""

from __future__ import annotations

import tempfile
from io import BytesIO
from itertools import pairwise
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from tests.server.http.test_pages import get
from tests.server.kit import App, Logs, frame, parseResponse, parseResponses, raw
from wsplug import Settings
from wsplug.codec import OP_TEXT
from wsplug.interfaces import IPlainRequest
from wsplug.plain import PlainResource, Response
from wsplug.testing import MemoryServer, MemoryTransport

CHUNKED = "Transfer-Encoding: chunked"


class Size(Resource):
    """Answers with the size of the body, its content, and the headers that describe
    it."""

    isLeaf = True
    maxBodySize = 1_000_000

    def render_POST(self, request: Any) -> bytes:
        self.headers = request.requestHeaders
        self.content = request.content
        return b"%d" % len(request.content.read())


class Never(Resource):
    """Accepts each request and never answers."""

    isLeaf = True
    maxBodySize = 1_000_000

    def render(self, request: Any) -> int:
        self.request = request
        return 1  # NOT_DONE_YET


def make(resource: Any, **settings: Any) -> MemoryServer:
    return MemoryServer(App(pages=resource), settings=Settings(**settings))


def chunks(*sizes: int) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (size, b"x" * size) for size in sizes)


BAD = {
    b"x\r\n": "400 malformed chunk in the request's body",
    b"5\r\nabcdefg": "400 malformed chunk in the request's body",
    b"1;" + b"secret" * 999: "400 a chunk's first line is too long",
    b"0\r\n" + b"secret: x\r\n" * 999: "400 over 8192 bytes of trailers",
    b"f" * 15 + b"\r\n": "413 the request's body is over 1000000 bytes",
}


@pytest.mark.parametrize("data", BAD)
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_malformed_chunks(data: bytes, step: int, logs: Logs) -> None:
    """A body that can't be read is refused like any other bad request: with its reason,
    one line in the log without any of its content, and the end of the connection."""
    size = Size()  # type: ignore[no-untyped-call]
    server = make(size)
    transport = raw(server, get("/", "POST", CHUNKED))
    for start in range(0, len(data), step):
        transport.put(data[start : start + step])
        server.run()
    response = parseResponse(transport.take())
    status, reason = BAD[data].split(" ", 1)
    assert response.status == int(status)
    assert reason in response.body.decode("ascii")
    assert transport.closedForWriting
    assert not hasattr(size, "content")
    (line,) = logs.lines("refused")
    assert BAD[data] in line
    assert "secret" not in line
    assert logs.failures() == []
    transport.shut()
    server.run()
    assert transport.lost
    assert server.factory.incompleteMessages.used == 0
    assert len(server.factory.deadlines) == 0


@pytest.mark.parametrize("value", ["chunked,", ", chunked", ",,Chunked ,"])
def test_empty_elements(value: str) -> None:
    """RFC 9110 section 5.6.1.2: empty elements of a list are ignored. The resource sees
    the body's size instead of a coding (RFC 9112 section 7.1.3)."""
    size = Size()  # type: ignore[no-untyped-call]
    body = chunks(3, 2) + b"0\r\nX: y\r\n\r\n"
    server = make(size)
    transport = raw(server, get("/", "POST", f"Transfer-Encoding: {value}") + body)
    assert parseResponse(transport.take()).body == b"5"
    assert size.headers.getRawHeaders(b"content-length") == [b"5"]
    assert not size.headers.hasHeader(b"transfer-encoding")


@pytest.mark.parametrize("chunked", [False, True])
def test_no_file(chunked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body opens no file descriptor, however large it is."""

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("too many open files")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    size = Size()  # type: ignore[no-untyped-call]
    data = get("/", "POST", CHUNKED) + chunks(500_000, 500_000) + b"0\r\n\r\n"
    if not chunked:
        data = get("/", "POST", "Content-Length: 1000000") + b"x" * 1_000_000
    assert parseResponse(raw(make(size), data).take()).body == b"1000000"


class Kept(BytesIO):
    """A custom file for the body."""

    def __init__(self, length: int | None) -> None:
        super().__init__()


def test_own_content() -> None:
    """A custom site whose requests store bodies elsewhere still works."""
    from twisted.web.server import Request, Site

    lengths: list[int | None] = []

    class Elsewhere(Request):
        def gotLength(self, length: int | None) -> None:
            lengths.append(length)
            super().gotLength(length)  # type: ignore[no-untyped-call]

    server = MemoryServer(App())
    size: Any = Size()  # type: ignore[no-untyped-call]
    site: Any = Site(size, requestFactory=Elsewhere, reactor=server.clock)
    server.factory.site = site
    data = get("/", "POST", CHUNKED) + chunks(3) + b"0\r\n\r\n"
    assert parseResponse(raw(server, data).take()).body == b"3"
    assert lengths == [3]
    site = server.factory.site = Site(size, reactor=server.clock)
    site.getContentFile = Kept
    assert parseResponse(raw(server, data).take()).body == b"3"
    assert isinstance(size.content, Kept)


def begin(server: MemoryServer, size: int, chunked: bool) -> MemoryTransport:
    """Send part of a body."""
    if chunked:
        return raw(server, get("/", "POST", CHUNKED) + chunks(size))
    return raw(server, get("/", "POST", "Content-Length: 1000000") + b"x" * size)


@pytest.mark.parametrize("chunked", [False, True])
def test_all_together(chunked: bool, logs: Logs) -> None:
    """Incomplete bodies count towards max-incomplete-total, as incomplete messages do.
    Over the limit, the largest is refused with a 503."""
    server = make(Size(), max_incomplete_total=250_000)  # type: ignore[no-untyped-call]
    small = begin(server, 50_000, chunked)
    large = begin(server, 150_000, chunked)
    assert server.factory.incompleteMessages.used == 200_000
    last = begin(server, 90_000, chunked)
    assert [each.take() for each in (small, last)] == [b"", b""]
    response = parseResponse(large.take())
    assert response.status == 503
    assert response.all("retry-after") == ["10"]
    (event,) = logs.events("refused")
    assert event["setting"] == "max-incomplete-total"
    assert server.factory.incompleteMessages.used == 140_000
    for each in (small, last, large):
        each.abortConnection()
    server.run()
    assert server.factory.incompleteMessages.used == 0
    assert len(server.factory.deadlines) == 0


@pytest.mark.parametrize("leaves", [False, True])
def test_held_until_it_is_answered(leaves: bool) -> None:
    """A complete body also counts, for as long as an application has it."""
    never = Never()  # type: ignore[no-untyped-call]
    server = make(never)
    transport = raw(server, get("/", "POST", "Content-Length: 9") + b"x" * 9)
    assert server.factory.incompleteMessages.used == 9
    if leaves:
        transport.abortConnection()
    else:
        never.request.finish()
    server.run()
    assert server.factory.incompleteMessages.used == 0


class Late(PlainResource):
    """Answers when the test says so; answers small bodies at once."""

    methods = (b"POST",)
    maxBodySize = 1_000_000

    def __init__(self) -> None:
        self.waiting: list[Deferred[Response]] = []

    def respond(self, request: IPlainRequest) -> Any:
        if request.getHeader(b"x-now") is not None:
            return Response(200, [], b"%d" % len(request.content))
        self.waiting.append(Deferred())
        return self.waiting[-1]


def post(size: int, *headers: str) -> bytes:
    return get("/", "POST", f"Content-Length: {size}", *headers) + b"x" * size


@pytest.mark.parametrize("foreign", [False, True])
def test_what_applications_have(foreign: bool, logs: Logs) -> None:
    """Unanswered bodies that arrived in one read use at most half of
    max-incomplete-total. The others get a 503 before the application is called. The
    other half is left for messages that are still arriving."""
    never, late = Never(), Late()  # type: ignore[no-untyped-call]
    server = make(never if foreign else late, max_incomplete_total=100_000)
    incomplete = server.factory.incompleteMessages
    transports = [raw(server, post(8000)) for _ in range(60)]
    assert incomplete.used == 48_000
    outputs = [each.take() for each in transports]
    assert outputs[:6] == [b""] * 6
    for output in outputs[6:]:
        response = parseResponse(output)
        assert response.status == 503
        assert response.all("retry-after") == ["10"]
    if not foreign:
        assert len(late.waiting) == 6
    event = logs.events("refused")[0]
    assert event["setting"] == "max-incomplete-total"
    client = server.connect()
    client.transport.put(frame(b"x" * 40_000, OP_TEXT))
    server.run()
    assert incomplete.used == 88_000
    assert client.closed is None
    for each in transports[:6]:
        each.abortConnection()
    server.run()
    for waiting in late.waiting:
        waiting.callback(Response(200, [], b""))
    assert incomplete.used == 40_000
    assert raw(server, post(8000)).take() == b""
    assert incomplete.used == 48_000


def test_message_gives_way() -> None:
    """Incomplete messages don't keep requests from being answered: the largest one is
    dropped to make room."""
    server = make(late := Late(), max_incomplete_total=100_000)
    begin(server, 60_000, False)
    large = begin(server, 38_000, True)
    assert raw(server, post(8000)).take() == b""
    assert len(late.waiting) == 1
    assert server.factory.incompleteMessages.used <= 100_000
    assert large.take() == b""


def test_body_over_half() -> None:
    """A body larger than half of the budget is accepted if it is the only one. A body
    larger than the whole budget is never accepted, even if it arrived in one read."""
    server = make(late := Late(), max_incomplete_total=10_000)
    assert parseResponse(raw(server, post(10_001)).take()).status == 503
    assert raw(server, post(9_000)).take() == b""
    assert parseResponse(raw(server, post(1)).take()).status == 503
    assert parseResponse(raw(server, post(1, "X-Now: 1")).take()).status == 503
    assert parseResponse(raw(server, post(0, "X-Now: 1")).take()).body == b"0"
    late.waiting[0].callback(Response(200, [], b""))
    assert parseResponse(raw(server, post(9_000, "X-Now: 1")).take()).body == b"9000"
    assert server.factory.incompleteMessages.used == 0


def test_requests_that_wait(logs: Logs) -> None:
    """Requests that are pipelined after an unanswered one also count. Over the limit,
    the connection with most of them is closed after its answer."""
    server = make(late := Late(), max_incomplete_total=100_000)
    incomplete = server.factory.incompleteMessages
    behind = get("/", "POST", "Content-Length: 0", "X-Now: 1", "X: " + "x" * 9000)
    transports = [raw(server, post(1) + behind * count) for count in (3, 5, 0)]
    size = 8 * len(behind)
    assert incomplete.used == size + 3
    late.waiting[2].callback(Response(200, [], b""))
    transports[2].put(post(1) + behind * 4)
    server.run()
    assert incomplete.used == 7 * len(behind) + 3
    for each in late.waiting:
        if not each.called:
            each.callback(Response(200, [], b"late"))
    server.advance(0)
    answers = [parseResponses(each.take()) for each in transports]
    assert [len(each) for each in answers] == [4, 1, 6]
    server.run()
    assert [each.lost for each in transports] == [False, True, False]
    assert incomplete.used == 0
    assert logs.lines("refused") == []


class Watch:
    """Takes turns like a connection with much work, and records how much memory all
    bodies use at each turn."""

    def __init__(self, server: MemoryServer) -> None:
        self.server = server
        self.used: list[int] = []
        server.factory.context.scheduler.add(self)

    def resume(self) -> None:
        factory = self.server.factory
        self.used.append(factory.incompleteMessages.used)
        if len(factory.context.scheduler) > 1:
            factory.context.scheduler.add(self)


def test_small_chunks_take_turns() -> None:
    """Clients that send one-byte chunks take turns with each other and with everything
    else. In one turn of the reactor, only so many chunks of each are read. The server
    reads no more from the network until these are used up."""
    server = make(late := Late())
    transports = [server.connectTransport() for _ in range(10)]
    data = get("/", "POST", CHUNKED, "X-Now: 1") + chunks(1) * 5000
    for each in transports:
        each.put(data)
        each.step()
    incomplete = server.factory.incompleteMessages
    assert not any(each.reading for each in transports)
    # The input is kept. Each chunk that is read takes up five bytes less.
    used = [10 * 30_000, incomplete.used]
    watch = Watch(server)
    server.clock.advance(0)
    used += watch.used
    assert used[-1] == 50_000
    assert all(0 < before - after <= 5 * 10_240 for before, after in pairwise(used))
    transports[0].put(chunks(1) + b"0\r\n\r\n" + post(1, "X-Now: 1"))
    server.run()
    responses = parseResponses(transports[0].take())
    assert [each.body for each in responses] == [b"5001", b"1"]
    assert all(each.reading for each in transports)
    transports[1].put(b"x")
    server.run()
    assert parseResponse(transports[1].take()).status == 400
    for each in transports:
        each.abortConnection()
    server.advance(6)
    assert incomplete.used == 0
    assert late.waiting == []
    assert len(server.factory.deadlines) == 0


@pytest.mark.parametrize("ends", [False, True])
def test_small_chunks_of_one_who_goes(ends: bool) -> None:
    """A client that has disconnected before its turn is forgotten. A client that has
    only closed its side for writing still gets its answer."""
    server = make(Late())
    transport = server.connectTransport()
    body = chunks(1) * 5000 + b"0\r\n\r\n"
    transport.put(get("/", "POST", CHUNKED, "X-Now: 1") + body)
    transport.step()
    if ends:
        transport.shut()
    else:
        transport.abortConnection()
    server.run()
    output = transport.take()
    assert parseResponse(output).body == b"5000" if ends else output == b""
    server.advance(6)
    assert transport.lost
    assert server.factory.incompleteMessages.used == 0
