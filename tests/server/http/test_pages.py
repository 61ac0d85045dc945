"""Plain HTTP on the WebSocket's port, and handshakes after plain requests (DESIGN
section 5: no ``Upgrade: websocket``; RFC 9110, RFC 9112)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IPullProducer
from twisted.internet.task import Clock
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

import wsplug.web
from tests.server.kit import (
    HOST,
    App,
    Logs,
    Response,
    frame,
    handshake,
    parseResponse,
    parseResponses,
    raw,
)
from wsplug import Settings, WebSocketService
from wsplug.server import Mount, WebSocketFactory
from wsplug.testing import MemoryServer, MemoryTransport

STATIC = Path(wsplug.web.__file__).with_name("static")


def get(target: str = "/", method: str = "GET", *headers: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {HOST}", *headers, "", ""]
    return "\r\n".join(lines).encode("ascii")


# Folders


@pytest.fixture
def folder(tmp_path: Path) -> str:
    pages = tmp_path / "pages"
    (pages / "sub" / "deep").mkdir(parents=True)
    (pages / "index.html").write_text("<p>index")
    (pages / "style.css").write_text("p {}")
    (pages / "sub" / "index.html").write_text("<p>sub")
    (pages / "large.bin").write_bytes(b"x" * 300_000)
    (tmp_path / "secret").write_text("secret")
    return str(pages)


@pytest.mark.parametrize(
    ("target", "kind", "body"),
    [
        ("/", "text/html", b"<p>index"),
        ("/?x=1", "text/html", b"<p>index"),
        ("/index.html", "text/html", b"<p>index"),
        ("/style.css", "text/css", b"p {}"),
        ("/sub/", "text/html", b"<p>sub"),
        ("/large.bin", "application/octet-stream", b"x" * 300_000),
    ],
)
def test_folder(folder: str, target: str, kind: str, body: bytes) -> None:
    """An application's folder of pages is at its path."""
    response = MemoryServer(App(pages=folder)).request("GET", target)
    assert (response.status, response.body) == (200, body)
    assert response.headers["content-type"] == kind


@pytest.mark.parametrize("target", ["/chat/", "/chat/index.html", "/chat/?x=1"])
def test_folder_at_a_path(folder: str, target: str) -> None:
    """The mount's path is not part of the folder's."""
    server = MemoryServer(App(pages=folder), path="/chat")
    assert server.request("GET", target).body == b"<p>index"
    response = server.request("GET", "/chat")
    assert response.status in (301, 302)  # or relative links would lead elsewhere
    assert response.headers["location"] == "/chat/"


@pytest.mark.parametrize(
    "target",
    [
        "/missing",
        "/sub/deep/",
        "/../secret",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/%2e%2e%2fsecret",
        "/..%5csecret",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/index.html%00",
        "/index.html/more",
    ],
)
def test_folder_and_nothing_else(folder: str, target: str) -> None:
    """Whatever isn't a page in the folder is a 404: there is no listing and no way
    out."""
    response = MemoryServer(App(pages=folder)).request("GET", target)
    assert response.status in (404, 403)
    assert b"secret" not in response.body
    assert b"root:" not in response.body
    assert b"index.html" not in response.body


def test_folder_and_websocket(folder: str) -> None:
    """One path serves a page to a browser and a WebSocket to that page."""
    server = MemoryServer(App(pages=folder))
    assert server.request("GET").status == 200
    assert server.connect("/", origin=f"http://{HOST}").opened


def test_head(folder: str) -> None:
    """The response to HEAD has no body (RFC 9110 section 9.3.2), and the next request
    is answered."""
    server = MemoryServer(App(pages=folder))
    output = raw(server, get("/", "HEAD") + handshake()).take()
    first, _, rest = output.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200 ")
    assert b"content-length: 8" in first.lower()
    assert parseResponse(rest).status == 101


# No pages


def test_no_pages() -> None:
    """Without pages: 426, with the protocol to upgrade to (RFC 9110 section
    15.5.22)."""
    response = MemoryServer(App()).request("GET", "/chat")
    assert response.status == 426
    assert response.body == b"this is a WebSocket server\n"
    assert response.headers["upgrade"] == "websocket"
    assert response.headers["connection"] == "Upgrade"


def test_nothing_mounted() -> None:
    """Where nothing is mounted: 404."""
    server = MemoryServer(App(), path="/chat")
    assert server.request("GET").status == 404
    assert server.request("GET", "/chat/x").status == 426


@pytest.mark.parametrize(("target", "status"), [("/chat", 426), ("/", 404)])
def test_no_site(target: str, status: int, logs: Logs) -> None:
    """A factory without a site answers the same and closes the connection."""
    server = MemoryServer(App(), path="/chat")
    server.factory.site = None
    transport = raw(server, get(target) + get(target))
    assert parseResponse(transport.take()).status == status
    assert transport.closedForWriting
    assert len(logs.events("refused")) == 1


def test_other_upgrade() -> None:
    """An upgrade to another protocol is a request for a page (RFC 9110 section 7.8)."""
    headers = [("Connection", "Upgrade"), ("Upgrade", "h2c")]
    assert MemoryServer(App()).request("GET", headers=headers).status == 426


# The server's own files, below /-/


OWN = ["wsplug.js", "page.js", "wsplug.css", "favicon.svg"]


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("path", ["/", "/chat", "/team/chat"])
def test_own_files(path: str, name: str, folder: str) -> None:
    """The files are at the root and below each mount, whatever pages the mount has.
    Clients don't guess their type, and keep no old version."""
    content = (STATIC / name).read_bytes()
    resources: list[Any] = [None, folder, Page()]
    for pages in resources:
        server = MemoryServer(App(pages=pages), path=path)
        for place in {"", path.rstrip("/")}:
            response = server.request("GET", f"{place}/-/{name}")
            assert (response.status, response.body) == (200, content)
            assert response.headers["x-content-type-options"] == "nosniff"
            assert response.headers["cache-control"] == "no-cache"
            kind = response.headers["content-type"]
            assert kind in ("text/javascript", "text/css", "image/svg+xml")


def test_own_files_unchanged() -> None:
    """A client that already has the file gets a 304 (RFC 9110 section 15.4.5)."""
    server = MemoryServer(App())
    when = server.request("GET", "/-/wsplug.js").headers["last-modified"]
    headers = [("If-Modified-Since", when)]
    response = server.request("GET", "/-/wsplug.js", headers=headers)
    assert (response.status, response.body) == (304, b"")
    assert response.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "target",
    [
        "/-",
        "/-/",
        "/-/missing.js",
        "/-/-/wsplug.js",
        "/-/../site.py",
        "/-/%2e%2e/site.py",
        "/-/..%2fsite.py",
        "/-/%2e%2e%2fsite.py",
        "/-//etc/passwd",
        "/-/%2fetc/passwd",
        "/-/wsplug.js%00",
        "/-/wsplug.js/more",
        "/other/-/wsplug.js",
    ],
)
def test_own_files_and_nothing_else(target: str) -> None:
    """There is no listing, and no way out of the folder."""
    response = MemoryServer(App(), path="/chat").request("GET", target)
    assert response.status in (301, 302, 403, 404)
    for inside in (b"import", b"root:", b"wsplug.css"):
        assert inside not in response.body


def test_resource_for_pages() -> None:
    """An application's pages can be a resource. It gets all requests below its mount,
    except those for the server's own files."""
    server = MemoryServer(App(pages=Page()), path="/chat")
    assert server.request("GET", "/chat/a/b").body == b"page /chat/a/b"
    assert server.request("GET", "/chat").body == b"page /chat"
    posted = server.request("POST", "/chat/a", body=b"hello")
    assert posted.body == b"body hello"
    assert server.request("GET", "/elsewhere").status == 404
    assert server.connect("/chat").opened


# A custom site


NOT_YET: int = NOT_DONE_YET


class Page(Resource):
    """Answers with the request; ``/later`` waits until the test says so."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.later: list[Request] = []

    def render_GET(self, request: Request) -> bytes | int:
        if request.path == b"/later":
            self.later.append(request)
            return NOT_YET
        return b"page " + request.path

    def render_POST(self, request: Request) -> bytes | int:
        assert request.content is not None
        if request.path == b"/later":
            self.later.append(request)
            return NOT_YET
        content: bytes = request.content.read()
        return b"body " + content

    def finish(self) -> None:
        request = self.later.pop(0)
        request.setHeader(b"Content-Length", b"4")
        request.write(b"late")
        request.finish()


class Serving:
    """A server with the test's own site."""

    def __init__(self, **settings: float) -> None:
        self.app = App()
        self.server = MemoryServer(self.app, settings=Settings(**settings))  # type: ignore[arg-type]
        self.page = Page()
        self.server.factory.site = Site(self.page, reactor=self.server.clock)

    def texts(self) -> list[str]:
        return self.app.recorders[0].got("text")


CHUNKED = get("/post", "POST", "Transfer-Encoding: chunked") + (
    b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
)
SIZED = get("/post", "POST", "Content-Length: 5") + b"abcde"

BEFORE = [
    pytest.param(get("/a"), [b"page /a"], id="a page"),
    pytest.param(get("/a") + get("/b"), [b"page /a", b"page /b"], id="two pages"),
    pytest.param(SIZED, [b"body abcde"], id="a body"),
    pytest.param(CHUNKED, [b"body abcde"], id="chunks"),
    pytest.param(
        CHUNKED + get("/a") + SIZED,
        [b"body abcde", b"page /a", b"body abcde"],
        id="all of it",
    ),
]


@pytest.mark.parametrize(("data", "bodies"), BEFORE)
@pytest.mark.parametrize("step", [0, 1, 7, 50])
def test_upgrade_behind_pages(data: bytes, bodies: list[bytes], step: int) -> None:
    """Pages first, then a handshake on the same connection, as reverse proxies send
    them: in one write or in pieces, with frames right after it."""
    serving = Serving()
    transport = serving.server.connectTransport()
    whole = data + handshake("GET /ws HTTP/1.1") + frame(b"early")
    for start in range(0, len(whole), step or len(whole)):
        transport.put(whole[start : start + (step or len(whole))])
        serving.server.run()
    *pages, switch = parseResponses(transport.take())
    assert [page.body for page in pages] == bodies
    assert [page.status for page in pages] == [200] * len(bodies)
    assert switch.status == 101
    assert serving.texts() == ["early"]
    assert serving.app.requests[0].uri == b"/ws"
    transport.put(frame(b"more"))
    serving.server.run()
    assert serving.texts() == ["early", "more"]
    for _ in range(7):  # longer than twisted.web lets a connection idle
        serving.server.advance(10)
        transport.put(frame(b"alive"))
        serving.server.run()
    assert not transport.lost
    assert serving.texts()[-7:] == ["alive"] * 7


@pytest.mark.parametrize("pipelined", [True, False])
@pytest.mark.parametrize("post", [True, False])
def test_upgrade_behind_a_page_that_takes_time(pipelined: bool, post: bool) -> None:
    """The page is answered later. The handshake after it waits for its turn."""
    serving = Serving()
    body = (b"Transfer-Encoding: chunked", b"1\r\nx\r\n0\r\n\r\n")
    request = get("/later")
    if post:
        request = get("/later", "POST", body[0].decode()) + body[1]
    upgrade = handshake() + frame(b"early")
    transport = raw(serving.server, request + (upgrade if pipelined else b""))
    if not pipelined:
        transport.put(upgrade)
    serving.server.run()
    serving.server.advance(15)  # the open timeout is for what the client sends
    assert transport.take() == b""
    assert not serving.app.requests
    serving.page.finish()
    serving.server.run()
    page, switch = parseResponses(transport.take())
    assert (page.body, switch.status) == (b"late", 101)
    assert serving.texts() == ["early"]
    assert transport.reading


def test_two_pages_that_take_time() -> None:
    """Answers are made one at a time, in order."""
    serving = Serving()
    transport = raw(serving.server, get("/later") + get("/later") + get("/a"))
    assert len(serving.page.later) == 1
    serving.page.finish()
    serving.server.run()
    assert len(serving.page.later) == 1
    serving.page.finish()
    serving.server.run()
    bodies = [page.body for page in parseResponses(transport.take())]
    assert bodies == [b"late", b"late", b"page /a"]


def test_much_behind_a_page_that_takes_time() -> None:
    """Input that arrives in the meantime isn't buffered without limit: reading is
    paused, and resumes with the answer."""
    serving = Serving()
    transport = raw(serving.server, get("/later"))
    transport.put(get("/a", "GET", "X: " + "x" * 10_000) * 20)
    serving.server.run()
    assert not transport.reading
    serving.page.finish()
    serving.server.run()
    assert len(parseResponses(transport.take())) == 21
    assert transport.reading


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(get("/a", "GET", "Connection: close"), id="Connection: close"),
        pytest.param(f"GET /a HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode(), id="1.0"),
        pytest.param(b"GET /a HTTP/1.0\r\n\r\n", id="1.0 without Host"),
    ],
)
def test_last_request(data: bytes) -> None:
    """After a request that closes the connection, no other request is answered (RFC
    9112 section 9.6)."""
    serving = Serving()
    transport = raw(serving.server, data + handshake())
    assert transport.take().endswith(b"\r\n\r\npage /a")
    serving.server.run()
    assert transport.lost
    assert not serving.app.requests


def test_idle() -> None:
    """An idle connection is closed by twisted.web's own timeout."""
    serving = Serving()
    transport = raw(serving.server, get("/a"))
    transport.take()
    serving.server.advance(59)
    assert not transport.lost
    serving.server.advance(2)
    assert transport.lost
    assert len(serving.server.factory.deadlines) == 0


def test_slow_second_head(logs: Logs) -> None:
    """DESIGN section 5, 408: a second request has as much time as the first, counted
    from its first byte."""
    serving = Serving()
    transport = raw(serving.server, get("/a"))
    transport.take()
    serving.server.advance(30)
    transport.put(b"GET /b HT")
    serving.server.advance(9.75)
    assert transport.take() == b""
    serving.server.advance(0.5)
    assert parseResponse(transport.take()).status == 408
    assert transport.closedForWriting
    (event,) = logs.events("refused")
    assert event["setting"] == "open-timeout"
    serving.server.advance(5.25)
    assert transport.lost


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (handshake(changes={"Sec-WebSocket-Version": "8"}), 426),
        (handshake(more=["Origin: https://evil.example"]), 403),
        (b"\0", 400),
        (get("/", "GET", "X: " + "x" * 20_000), 431),
    ],
)
def test_refused_behind_a_page(data: bytes, status: int, logs: Logs) -> None:
    """Refusing a later request closes the connection, as refusing the first one
    does."""
    serving = Serving()
    transport = raw(serving.server, get("/a") + data)
    page, refusal = parseResponses(transport.take())
    assert (page.status, refusal.status) == (200, status)
    assert transport.closedForWriting
    assert not transport.lost
    assert len(logs.events("refused")) == 1
    transport.put(handshake())
    serving.server.advance(5.25)
    assert transport.take() == b""
    assert transport.aborted
    assert not serving.app.requests


def test_large_head() -> None:
    """A head within raised max-head-size and max-headers also passes Twisted's own
    limits: 16 KiB, 500 headers."""
    serving = Serving(max_head_size=200_000, max_headers=2000)
    long = [f"X-Long: {'x' * 100_000}"]
    many = [f"X-{number}: 1" for number in range(1500)]
    data = get("/a", "GET", *long) + get("/b", "GET", *many) + get("/c")
    pages = parseResponses(raw(serving.server, data).take())
    assert [page.body for page in pages] == [b"page /a", b"page /b", b"page /c"]


def test_client_leaves() -> None:
    """If the client leaves before its page is ready, the resource is notified."""
    serving = Serving()
    transport = raw(serving.server, get("/later"))
    (request,) = serving.page.later
    lost: list[object] = []
    request.notifyFinish().addErrback(lost.append)
    transport.abortConnection()
    assert len(lost) == 1


@implementer(IPullProducer)
class Pulled:
    """Writes the same amount at each call, until it fails or is stopped."""

    def __init__(self, size: int = 1000, fails: int = 1 << 30) -> None:
        self.size = size
        self.fails = fails
        self.asked = 0
        self.stopped = 0
        self.request: Any = None

    def resumeProducing(self) -> None:
        self.asked += 1
        if self.asked == self.fails:
            raise KeyError("broken")
        self.request.write(b"x" * self.size)

    def stopProducing(self) -> None:
        self.stopped += 1


def pull(producer: Pulled) -> tuple[Serving, MemoryTransport]:
    """Have a response come from a producer."""
    serving = Serving()
    transport = raw(serving.server, get("/later"))
    (request,) = serving.page.later
    producer.request = request
    request.registerProducer(producer, False)
    serving.server.run()
    return serving, transport


def test_pull_producer() -> None:
    """While the client doesn't read, a pull producer is called for no more than the
    buffer may hold. Once the response is complete, it isn't called at all."""
    producer = Pulled()
    serving, transport = pull(producer)
    full = producer.asked
    assert 64 <= full <= 67
    serving.server.advance(10)
    assert producer.asked == full
    transport.take()
    serving.server.run()
    assert producer.asked > full
    transport.take()
    producer.request.unregisterProducer()
    producer.request.finish()
    serving.server.run()
    asked = producer.asked
    serving.server.advance(1)
    assert producer.asked == asked
    transport.put(get("/a"))
    serving.server.run()
    assert transport.take().endswith(b"page /a")


def test_pull_producer_of_one_who_leaves() -> None:
    """If the client leaves during the response, the producer is stopped once and not
    called again."""
    producer = Pulled()
    serving, transport = pull(producer)
    transport.take()
    asked = producer.asked
    transport.abortConnection()
    serving.server.advance(1)
    assert (producer.asked, producer.stopped) == (asked, 1)
    assert not serving.server.clock.getDelayedCalls()


def test_pull_producer_that_fails(logs: Logs) -> None:
    """If a producer raises during a response, the error is logged and the connection
    aborted, so that no client takes the part for the whole (RFC 9112 section 8)."""
    serving, transport = pull(Pulled(fails=3))
    (failure,) = logs.failures()
    assert failure.check(KeyError)
    assert transport.aborted
    assert not serving.server.clock.getDelayedCalls()


def test_pull_producer_that_has_nothing() -> None:
    """A producer that gives nothing isn't called without end. Twisted's producer does
    so for part of a file that has become shorter. It is called a few times a second,
    and after send-timeout the client is disconnected."""
    producer = Pulled(size=0)
    serving, transport = pull(producer)
    assert producer.asked < 5
    serving.server.advance(29)
    assert producer.asked < 150
    assert not transport.lost
    serving.server.advance(2)
    assert transport.aborted
    assert producer.stopped == 1
    asked = producer.asked
    serving.server.advance(10)
    assert producer.asked == asked
    assert not serving.server.clock.getDelayedCalls()


def test_pull_producer_that_waits() -> None:
    """A producer that has data again resumes at once."""
    producer = Pulled(size=0)
    serving, transport = pull(producer)
    serving.server.advance(20)
    producer.size = 1000
    serving.server.advance(1)
    assert len(transport.take()) > 50_000
    producer.size = 0
    serving.server.advance(20)
    assert not transport.lost


def test_expect_continue() -> None:
    """Twisted's own features work (RFC 9110 section 10.1.1)."""
    serving = Serving()
    head = get("/post", "POST", "Content-Length: 5", "Expect: 100-continue")
    transport = raw(serving.server, head)
    assert transport.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    transport.put(b"abcde" + handshake())
    serving.server.run()
    page, switch = parseResponses(transport.take())
    assert (page.body, switch.status) == (b"body abcde", 101)


# Bodies


class Small(Page):
    """Accepts small bodies."""

    maxBodySize = 10


def _post(size: int, chunk: int | None) -> bytes:
    if chunk is None:
        return get("/", "POST", f"Content-Length: {size}") + b"x" * size
    chunks = [min(chunk, size - start) for start in range(0, size, chunk)]
    body = b"".join(b"%x\r\n%b\r\n" % (each, b"x" * each) for each in chunks)
    return get("/", "POST", "Transfer-Encoding: chunked") + body + b"0\r\n\r\n"


@pytest.mark.parametrize("before", [b"", get("/a")], ids=["first", "second"])
@pytest.mark.parametrize("step", [1, 1000])
@pytest.mark.parametrize("chunk", [None, 1, 7, 100])
def test_body_limit(chunk: int | None, step: int, before: bytes) -> None:
    """A body may be as large as the application's pages accept. A larger one gets one
    413 (RFC 9110 section 15.5.14): the resource doesn't see it, and no more of it is
    read."""
    for size, status in ((10, 200), (11, 413)):
        app = App()
        page: Any = Small()
        app.pages = page
        server = MemoryServer(app)
        data = before + _post(size, chunk) + get("/b")
        transport = server.connectTransport()
        for start in range(0, len(data), step):
            transport.put(data[start : start + step])
            server.run()
        answers = parseResponses(transport.take())[1 if before else 0 :]
        if status == 200:
            bodies = [b"body " + b"x" * size, b"page /b"]
            assert [each.body for each in answers] == bodies
        else:
            assert [each.status for each in answers] == [413]
            assert b"over 10 bytes" in answers[0].body
            assert transport.closedForWriting
            # Otherwise a client that was slow to read would delay the end.
            assert transport._producer is None
        transport.shut()
        server.run()
        server.advance(10)
        assert not server.clock.getDelayedCalls()


def test_body_limit_by_default(folder: str) -> None:
    """Pages that set no limit accept 1 MiB. A client that announces more doesn't get a
    100 (Continue)."""
    serving = Serving()
    for size, start in ((1 << 20, b"HTTP/1.1 100 "), ((1 << 20) + 1, b"HTTP/1.1 413 ")):
        lines = (f"Content-Length: {size}", "Expect: 100-continue")
        transport = raw(serving.server, get("/post", "POST", *lines))
        output = transport.take()
        assert output.startswith(start)
        assert output.count(b"HTTP/1.1 ") == 1
        transport.shut()
        serving.server.run()
    # A folder accepts no body.
    for method, status in (("POST", 405), ("GET", 413)):
        large = get("/", method, f"Content-Length: {1 << 40}", "Expect: 100-continue")
        transport = raw(MemoryServer(App(pages=folder)), large)
        assert parseResponse(transport.take()).status == status
        assert transport.closedForWriting


def _upload(factory: WebSocketFactory, size: int, chunked: bool) -> Response:
    """Send a body to a factory, in memory."""
    address = IPv4Address("TCP", "192.0.2.1", 5)
    transport = MemoryTransport(address, address)
    transport.attach(factory.buildProtocol(address))
    transport.put(_post(size, 65_536 if chunked else None))
    while transport.step():
        pass
    output = transport.take()
    transport.abortConnection()
    return parseResponse(output)


class Size(Resource):
    """Answers with the size of the body."""

    isLeaf = True

    def render_POST(self, request: Any) -> bytes:
        return b"%d" % len(request.content.read())


@pytest.mark.parametrize("chunked", [False, True])
def test_body_limit_of_a_site_of_ones_own(chunked: bool) -> None:
    """The author of a custom site sets how large uploads may be."""
    clock = Clock()
    size: Any = Size()  # type: ignore[no-untyped-call]
    site = Site(size, reactor=clock)
    mounts = [Mount("/", App())]
    large = 3 << 20
    for limit in (None, large):
        given: Any = {} if limit is None else {"maxBodySize": limit}
        factory = WebSocketFactory(mounts, clock=clock, site=site, **given)
        fits = limit or 1 << 20
        assert _upload(factory, fits, chunked).body == b"%d" % fits
        refused = _upload(factory, fits + 1, chunked)
        assert refused.status == 413
        assert b"over %d bytes" % fits in refused.body
    service = WebSocketService(mounts, [], reactor=clock, maxBodySize=large)
    assert service.factory.maxBodySize == large
    for wrong in (-1, 1.5, True, math.inf, "1", None):
        size = wrong
        with pytest.raises(
            ValueError, match="maxBodySize must be a whole number"
        ) as caught:
            WebSocketFactory(mounts, clock=clock, maxBodySize=size)
        assert repr(wrong) in str(caught.value)
        with pytest.raises(ValueError, match="maxBodySize"):
            WebSocketService(mounts, [], reactor=clock, maxBodySize=size)


def test_factory_starts_its_site() -> None:
    """The site is started and stopped with the factory, once for all its ports."""
    clock = Clock()
    site = Site(Page(), reactor=clock)
    factory = WebSocketFactory([Mount("/", App())], clock=clock, site=site)
    factory.doStart()  # type: ignore[no-untyped-call]
    factory.doStart()  # type: ignore[no-untyped-call]
    assert site.numPorts == 1
    factory.doStop()  # type: ignore[no-untyped-call]
    assert site.numPorts == 1
    factory.doStop()  # type: ignore[no-untyped-call]
    assert site.numPorts == 0
    assert not clock.getDelayedCalls()


# What pages.py relies on in Twisted


class LineModes(HTTPChannel):
    """Records the calls of setLineMode, which wsplug.server.http.pages relies on."""

    calls: list[bytes]

    def setLineMode(self, extra: bytes = b"") -> object:
        self.calls.append(extra)
        return super().setLineMode(extra)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("data", "behind"),
    [
        pytest.param(get("/later"), b"", id="nothing"),
        pytest.param(get("/later"), b"behind it", id="a page"),
        pytest.param(
            get("/later", "POST", "Content-Length: 1") + b"x", b"behind it", id="a body"
        ),
        pytest.param(
            get("/later", "POST", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
            b"behind it",
            id="chunks",
        ),
    ],
)
@pytest.mark.parametrize("pieces", [1, 2])
def test_what_twisted_does(data: bytes, behind: bytes, pieces: int) -> None:
    """HTTPChannel calls setLineMode with the bytes after a request when its response
    is complete, and not before. If Twisted changes that, pages.py has to change."""
    clock = Clock()
    page = Page()
    site = Site(page, reactor=clock)
    channel: Any = LineModes()  # type: ignore[no-untyped-call]
    channel.calls = []
    channel.site = channel.factory = site
    channel.requestFactory = site.requestFactory
    channel.callLater = clock.callLater
    address = IPv4Address("TCP", "192.0.2.1", 50000)
    transport = MemoryTransport(address, address)
    transport.attach(channel)
    if pieces == 1:
        transport.put(data + behind)
    else:
        transport.put(data)
        transport.step()
        transport.put(behind)
    transport.step()
    assert channel.calls == []
    page.finish()
    assert channel.calls == [behind]


# Clients that close their side for writing after a request


def takeAll(server: MemoryServer, transport: MemoryTransport) -> bytes:
    """Read slowly, up to the end."""
    data = transport.take()
    for _ in range(200):
        server.advance(0.125)
        data += transport.take()
    return data


def test_half_closed(folder: str, tmp_path: Path) -> None:
    """A client that closes its side for writing gets all responses, to one request and
    to those after it, and then the end (RFC 9112 section 9.6)."""
    large = tmp_path / "pages" / "large.bin"
    large.write_bytes(b"x" * 3_000_000)
    server = MemoryServer(App(pages=folder))
    transport = raw(server, get("/large.bin") + get("/nothing") + get("/style.css"))
    transport.shut()
    responses = parseResponses(takeAll(server, transport))
    assert [each.status for each in responses] == [200, 404, 200]
    assert len(responses[0].body) == 3_000_000
    assert transport.lost
    assert not transport.aborted
    assert len(server.factory.deadlines) == 0
    assert not server.clock.getDelayedCalls()


class Later(Resource):
    """Answers later, or never."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.requests: list[Any] = []
        self.gone: list[Any] = []

    def render(self, request: Any) -> Any:
        self.requests.append(request)
        request.notifyFinish().addErrback(self.gone.append)
        return NOT_DONE_YET


@pytest.mark.parametrize("chunked", [False, True])
def test_half_closed_behind_a_body(chunked: bool) -> None:
    """A late answer also arrives."""
    later = Later()
    server = MemoryServer(App(pages=later))
    length, body = ("Content-Length: 3", b"abc")
    if chunked:
        length, body = ("Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n")
    transport = raw(server, get("/", "POST", length) + body)
    transport.shut()
    server.advance(5)
    (request,) = later.requests
    assert request.content.read() == b"abc"
    request.setHeader(b"content-length", b"4")
    request.write(b"done")
    request.finish()
    server.run()
    assert parseResponse(transport.take()).body == b"done"
    server.run()
    assert transport.lost
    assert not later.gone


@pytest.mark.parametrize("timeout", [10, 0])
def test_half_closed_for_ever(timeout: float) -> None:
    """A client that has closed its side for writing may be gone. If the application
    writes nothing for the open timeout, or for ten seconds where that is off, it is
    told that the client is gone."""
    later = Later()
    settings = Settings(open_timeout=timeout)
    server = MemoryServer(App(pages=later), settings=settings)
    transport = raw(server, get("/"))
    transport.shut()
    server.advance(9)
    later.requests[0].write(b"a")
    server.advance(10)
    transport.take()
    later.requests[0].write(b"b")
    server.advance(9)
    assert not transport.lost
    assert not later.gone
    server.advance(3)
    assert transport.lost
    assert len(later.gone) == 1
    assert len(server.factory.deadlines) == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET /style.css HTT",
        get("/style.css") + b"GET /style",
        get("/style.css", "POST", "Content-Length: 5") + b"abc",
    ],
)
def test_half_a_request(folder: str, data: bytes, logs: Logs) -> None:
    """A client that closes its side in the middle of a request is gone."""
    server = MemoryServer(App(pages=folder))
    transport = server.connectTransport()
    transport.put(data)
    transport.shut()
    server.run()
    transport.take()
    server.run()
    assert transport.lost
    assert len(server.factory.deadlines) == 0
    assert logs.lines("refused") == []


@pytest.mark.parametrize("early", [False, True])
def test_half_closed_websocket(early: bool) -> None:
    """A WebSocket ends when the client closes its side, so no WebSocket is opened
    after the response to a client that has done so."""
    later = Later()
    app = App(pages=later)
    server = MemoryServer(app)
    transport = raw(server, get("/") + (handshake() if early else b""))
    if early:
        transport.shut()
    server.run()
    later.requests[0].setHeader(b"content-length", b"0")
    later.requests[0].finish()
    server.run()
    if not early:
        transport.put(handshake())
        server.run()
        transport.shut()
        server.run()
        assert app.recorders[0].closed.reason == "went away without closing"
    assert (b" 101 " in transport.take()) is not early
    server.run()
    assert transport.lost
    assert len(app.recorders) == (not early)


# Responses of others' resources that don't match their Content-Length


class Says(Resource):
    """Declares one number of bytes, and writes another."""

    isLeaf = True

    def __init__(self, size: bytes, *pieces: bytes) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.size = size
        self.pieces = pieces

    def render_GET(self, request: Any) -> int:
        request.setHeader(b"content-length", self.size)
        for piece in self.pieces:
            request.write(piece)
        request.finish()
        return NOT_DONE_YET


@pytest.mark.parametrize("pieces", [(b"abcdefg",), (b"abc", b"defg"), (b"abcde", b"f")])
def test_more_than_it_says(pieces: tuple[bytes, ...], logs: Logs) -> None:
    """A client gets as many bytes as a response declares, and then the end. The excess
    would be read as the next response (RFC 9112 section 6.3)."""
    server = MemoryServer(App(pages=Says(b"5", *pieces)))
    transport = raw(server, get("/") + get("/-/nothing"))
    server.run()
    assert parseResponse(transport.take()).body == b"abcde"
    server.run()
    assert transport.lost
    (line,) = logs.lines("cut off")
    assert "longer than its Content-Length" in line
    assert not server.clock.getDelayedCalls()


def test_fewer_than_it_says(logs: Logs) -> None:
    """If a response has fewer bytes than declared, the connection is aborted: the next
    response can't be taken for the rest."""
    server = MemoryServer(App(pages=Says(b"5", b"abc")))
    transport = raw(server, get("/") + get("/-/nothing"))
    server.run()
    assert b"404" not in transport.take()
    assert transport.aborted
    (line,) = logs.lines("cut off")
    assert "shorter than its Content-Length" in line
    assert not server.clock.getDelayedCalls()


def test_says_no_number() -> None:
    """If the declared length isn't a number, the connection ends with the response."""
    server = MemoryServer(App(pages=Says(b"five", b"abcde")))
    transport = raw(server, get("/") + get("/-/nothing"))
    server.run()
    assert transport.take().endswith(b"abcde")
    server.run()
    assert transport.lost


def test_endless() -> None:
    """A producer that goes on after the declared length is stopped."""
    producer = Pulled()
    serving = Serving()
    transport = raw(serving.server, get("/later"))
    (request,) = serving.page.later
    producer.request = request
    request.setHeader(b"content-length", b"1500")
    request.registerProducer(producer, False)
    serving.server.run()
    assert len(parseResponse(transport.take()).body) == 1500
    serving.server.run()
    assert transport.lost
    assert producer.stopped == 1


class Writes(Resource):
    """Writes its body, and doesn't know HEAD."""

    isLeaf = True

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.headers = headers

    def render_GET(self, request: Any) -> int:
        for name, value in self.headers:
            request.setHeader(name, value)
        request.write(b"abc")
        request.write(b"de")
        request.finish()
        return NOT_DONE_YET


@pytest.mark.parametrize("headers", [(), ((b"content-length", b"5"),)])
def test_head_of_what_writes(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    """A response to HEAD has no body, whatever the resource writes (RFC 9110 section
    9.3.2), and the next response follows correctly."""
    server = MemoryServer(App(pages=Writes(*headers)))
    data = get("/", "HEAD") + get("/-/nothing")
    head, _, rest = raw(server, data).take().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert parseResponse(rest).status == 404


class Sizeless(Resource):
    """Answers with a status that has no content."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        request.setResponseCode(int(request.path[1:]))
        return b""


@pytest.mark.parametrize(("status", "sizes"), [(200, ["0"]), (204, []), (304, [])])
def test_statuses_without_content(status: int, sizes: list[str]) -> None:
    """RFC 9110 section 8.6: a 204 has no Content-Length, and a 304 has either that of
    the whole response or none. Twisted itself would send 0."""
    server = MemoryServer(App(pages=Sizeless()))  # type: ignore[no-untyped-call]
    transport = raw(server, get(f"/{status}") + get("/200"))
    first, second, end = transport.take().split(b"\r\n\r\n")
    response = parseResponse(first + b"\r\n\r\n")
    assert (response.status, response.all("content-length")) == (status, sizes)
    assert second.startswith(b"HTTP/1.1 200 ")
    assert end == b""
