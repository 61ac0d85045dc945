"""The opening handshake over raw bytes (RFC 6455 section 4; DESIGN section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from tests.server.kit import (
    ACCEPT,
    HOST,
    KEY,
    App,
    Logs,
    Recorder,
    Response,
    frame,
    handshake,
    parseResponse,
    parseResponses,
    raw,
    serve,
)
from wsplug import HandshakeRefused, Settings
from wsplug.codec import FIN, OP_CLOSE, pack_close
from wsplug.guard.proxies import ProxySettings
from wsplug.interfaces import IHandshakeRequest
from wsplug.testing import MemoryServer
from wsplug.testing.server import CLIENT

HIXIE = (
    f"GET / HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\n"
    "Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n\r\n^n:ds[4U"
)
HUGE = ["X-Huge: " + "x" * (16 * 1024)]
MANY = [f"X-{number}: 1" for number in range(100)]


def bad(name: str, *arguments: Any) -> Any:
    return pytest.param(*arguments, id=name)


REFUSALS = [
    bad("TLS", b"\x16\x03\x01\x02\x00\x01\x00", 400, "this looks like TLS"),
    bad("no request line", b"hello\r\n\r\n", 400, "not an HTTP request"),
    bad("no target", b"GET HTTP/1.1\r\n\r\n", 400, "malformed request line"),
    bad("HTTP/2", handshake("GET / HTTP/2.0"), 505, "HTTP/1.1"),
    bad("NUL", handshake(more=["X-Bad: a\0b"]), 400, "control byte"),
    bad("bell", handshake(more=["X-Bad: \a"]), 400, "control byte"),
    bad("bare line feed", b"GET / HTTP/1.1\nHost: a\n\n", 400, "control byte"),
    bad("two Hosts", handshake(more=["Host: b"]), 400, "more than one Host"),
    bad("no Host", handshake(changes={"Host": None}), 400, "no Host"),
    bad("bad Host", handshake(changes={"Host": "a b"}), 400, "malformed Host"),
    bad("folded", handshake(more=["X-A: 1", " 2"]), 400, "folded header"),
    bad("no colon", handshake(more=["X-A"]), 400, "malformed header"),
    bad("space at colon", handshake(more=["X-A : 1"]), 400, "malformed header"),
    bad(
        "body", handshake(more=["Content-Length: 5"]) + b"12345", 400, "not have a body"
    ),
    bad(
        "chunks", handshake(more=["Transfer-Encoding: chunked"]), 400, "not have a body"
    ),
    bad(
        "two lengths",
        handshake(more=["Content-Length: 5", "Transfer-Encoding: chunked"]),
        400,
        "ambiguous length",
    ),
    bad("gzip", handshake(more=["Transfer-Encoding: gzip"]), 501, "chunked"),
    bad("large", handshake(more=HUGE), 431, "over 16384 bytes", "max-head-size"),
    bad("many", handshake(more=MANY), 431, "over 100 headers", "max-headers"),
    bad("POST", handshake("POST / HTTP/1.1"), 405, "must use GET"),
    bad("HEAD", handshake("HEAD / HTTP/1.1"), 405, ""),
    bad("HTTP/1.0", handshake("GET / HTTP/1.0"), 400, "HTTP/1.1"),
    bad("proxied", handshake(changes={"Connection": "close"}), 400, "proxy"),
    bad("no Connection", handshake(changes={"Connection": None}), 400, "proxy"),
    bad("draft 8", handshake(changes={"Sec-WebSocket-Version": "8"}), 426, "13"),
    bad("version 013", handshake(changes={"Sec-WebSocket-Version": "013"}), 426, "13"),
    bad("no version", handshake(changes={"Sec-WebSocket-Version": None}), 426, "13"),
    bad("draft 76", HIXIE.encode("ascii"), 426, "13"),
    bad("two versions", handshake(more=["Sec-WebSocket-Version: 8"]), 400, "more than"),
    bad("no key", handshake(changes={"Sec-WebSocket-Key": None}), 400, "16 bytes"),
    bad("empty key", handshake(changes={"Sec-WebSocket-Key": ""}), 400, "16 bytes"),
    bad(
        "15 bytes of key",
        handshake(changes={"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAA"}),
        400,
        "16 bytes",
    ),
    bad(
        "17 bytes of key",
        handshake(changes={"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAAA="}),
        400,
        "16 bytes",
    ),
    bad(
        "no base64",
        handshake(changes={"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25j!Q=="}),
        400,
        "16 bytes",
    ),
    bad("two keys", handshake(more=[f"Sec-WebSocket-Key: {KEY}"]), 400, "once"),
    bad(
        "subprotocol",
        handshake(more=["Sec-WebSocket-Protocol: a b"]),
        400,
        "malformed Sec-WebSocket-Protocol",
    ),
    bad(
        "extension",
        handshake(more=["Sec-WebSocket-Extensions: ;"]),
        400,
        "malformed Sec-WebSocket-Extensions",
    ),
    bad(
        "Origin",
        handshake(more=["Origin: https://evil.example"]),
        403,
        "origin",
        "origin",
    ),
]


def test_refused_head_has_no_body() -> None:
    """A refused HEAD has the Content-Length of GET, but no body (RFC 9110 section
    9.3.2)."""
    transport = raw(MemoryServer(App()), handshake("HEAD / HTTP/1.1"))
    head, _, body = transport.take().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 405 ")
    assert b"Content-Length: " in head
    assert body == b""


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        ("Bad Name: a\r\n\r\n", 400),
        (f"X: {'x' * 17_000}\r\n\r\n", 431),
        ("Host: a\r\n", 408),
    ],
    ids=["malformed", "too large", "too late"],
)
@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("before", ["", "HEAD", "GET"])
@pytest.mark.parametrize("size", [7, 100_000])
def test_refusal_of_an_incomplete_head(
    rest: str, status: int, method: str, before: str, size: int
) -> None:
    """
    Whether a refusal has a body depends on the method of its own request, even if that
    is incomplete or malformed, and not on the one before (RFC 9110 section 9.3.2).
    """
    server = MemoryServer(App())
    transport = server.connectTransport()
    if before:
        transport.put(f"{before} /none HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        server.run()
        assert transport.take().startswith(b"HTTP/1.1 426 ")
    data = f"{method} / HTTP/1.1\r\n{rest}".encode()
    for start in range(0, len(data), size):
        transport.put(data[start : start + size])
        server.run()
    if status == 408:
        server.advance(10)
    head, _, body = transport.take().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert bool(body) == (method == "GET")


@pytest.mark.parametrize(
    ("data", "status", "words", "setting"),
    [pytest.param(*(*row.values, None)[:4], id=str(row.id)) for row in REFUSALS],
)
def test_refusal(
    data: bytes, status: int, words: str, setting: str | None, logs: Logs
) -> None:
    """Each refused handshake gets a status and a text with the reason, one log line
    names the setting, and the connection is closed for writing (DESIGN section 5)."""
    app = App()
    server = MemoryServer(app)
    transport = raw(server, data)
    response = parseResponse(transport.take())
    assert response.status == status
    assert words in response.body.decode("ascii")
    assert response.all("content-type") == ["text/plain; charset=utf-8"]
    if not data.startswith(b"HEAD "):
        assert response.all("content-length") == [str(len(response.body))]
    (connection,) = response.all("connection")
    assert "close" in connection.split(", ")
    assert app.requests == []
    check_end(server, transport)
    (event,) = logs.events("refused")
    assert event["status"] == status
    assert event["setting"] == setting
    if not data.startswith(b"HEAD "):
        assert event["reason"] + "\n" == response.body.decode("ascii")
    rule = f" ({setting})" if setting else ""
    assert logs.lines() == [
        f"192.0.2.1:50000 refused: {status} {event['reason']}{rule}",
    ]


def check_end(server: MemoryServer, transport: Any) -> None:
    """A refused connection is closed for writing. Later input is discarded, and after
    close-timeout the connection is aborted (RFC 9112 section 9.6)."""
    assert transport.closedForWriting
    assert not transport.lost
    transport.put(handshake() + frame(b"late"))
    server.run()
    assert transport.take() == b""
    server.advance(4.5)
    assert not transport.lost
    server.advance(0.75)
    assert transport.aborted
    assert len(server.factory.deadlines) == 0


@pytest.mark.parametrize(
    ("data", "name", "values"),
    [
        pytest.param(handshake("POST / HTTP/1.1"), "Allow", ["GET"], id="405"),
        pytest.param(
            handshake(changes={"Sec-WebSocket-Version": "14"}),
            "Sec-WebSocket-Version",
            ["13"],
            id="version",
        ),
        pytest.param(HIXIE.encode(), "Sec-WebSocket-Version", ["13"], id="draft 76"),
        pytest.param(
            handshake(changes={"Sec-WebSocket-Version": "14"}),
            "Upgrade",
            ["websocket"],
            id="upgrade",
        ),
        pytest.param(
            handshake(changes={"Sec-WebSocket-Version": "14"}),
            "Connection",
            ["Upgrade, close"],
            id="connection",
        ),
    ],
)
def test_refusal_header(data: bytes, name: str, values: list[str]) -> None:
    """A refusal has the required headers: Allow with 405 (RFC 9110 section 15.5.6), the
    version with 426 (RFC 6455 section 4.2.2), Upgrade in Connection."""
    assert parseResponse(raw(MemoryServer(App()), data).take()).all(name) == values


@pytest.mark.parametrize("number", range(0, 200, 7))
def test_refusal_byte_by_byte(number: int) -> None:
    """A head is refused in the same way however it is cut."""
    server = MemoryServer(App())
    transport = server.connectTransport()
    data = handshake(changes={"Sec-WebSocket-Version": "8"})
    for piece in (data[:number], data[number:]):
        transport.put(piece)
        server.run()
    assert parseResponse(transport.take()).status == 426


def test_accepted() -> None:
    """The response with status 101 and its headers (RFC 6455 section 4.2.2 number 5),
    with the key of section 1.3."""
    server = MemoryServer(App())
    response = parseResponse(raw(server, handshake()).take())
    assert response == Response(
        101,
        (
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-accept", ACCEPT),
        ),
        b"",
    )


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(handshake(changes={"Upgrade": "h2c, WebSocket"}), id="list"),
        pytest.param(handshake(changes={"Connection": "keep-alive, UPGRADE"}), id="ff"),
        pytest.param(b"\r\n" + handshake(), id="empty line"),
        pytest.param(handshake(changes={"Host": ""}), id="empty Host"),
        pytest.param(handshake("GET http://server.example/ HTTP/1.1"), id="absolute"),
        pytest.param(handshake(more=["Content-Length: 0"]), id="empty body"),
    ],
)
def test_accepted_in_any_form(data: bytes) -> None:
    """Valid variants of the handshake are accepted (RFC 6455 section 4.2.1)."""
    assert parseResponse(raw(MemoryServer(App()), data).take()).status == 101


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://server.example/app/room%20one?a=b", 101),
        ("https://other.example:8000/app/room%20one?a=b", 101),
        ("ws://server.example/app/room%20one?a=b", 404),
        ("http://app/room%20one?a=b", 404),
        ("http://server.example", 404),
    ],
)
def test_absolute_form(target: str, status: int) -> None:
    """For a target in absolute form, its path counts, not its host (RFC 9112 section
    3.2.2)."""
    app = App()
    server = MemoryServer(app, path="/app")
    data = handshake(f"GET {target} HTTP/1.1")
    assert parseResponse(raw(server, data).take()).status == status
    if status == 101:
        (request,) = app.requests
        assert (request.path, request.postpath) == (b"/app/room%20one", [b"room one"])
        assert request.args == {b"a": [b"b"]}


def test_accepted_byte_by_byte() -> None:
    """A handshake may arrive byte by byte."""
    app = App()
    server = MemoryServer(app)
    transport = server.connectTransport()
    for byte in handshake():
        assert transport.take() == b""
        transport.put(bytes([byte]))
        server.run()
    assert parseResponse(transport.take()).status == 101
    assert app.recorders[0].names == ["started", "finished"]


@pytest.mark.parametrize("target", ["*", "chat", "Xchat", "ws://server.example/chat"])
def test_target_that_is_no_path(target: str) -> None:
    """A target that is neither a path nor an HTTP URL belongs to no application (RFC
    9112 section 3.2), not even one that lacks only the slash."""
    for path in ("/", "/chat"):
        app = App()
        server = MemoryServer(app, path=path)
        transport = raw(server, handshake(f"GET {target} HTTP/1.1"))
        assert parseResponse(transport.take()).status in (400, 404)
        assert app.requests == []


# Timeouts


def test_open_timeout(logs: Logs) -> None:
    """A handshake that isn't complete in 10 s gets 408 (DESIGN section 5)."""
    server = MemoryServer(App())
    transport = raw(server, b"GET / HTTP/1.1\r\n")
    server.advance(9.9)
    assert transport.take() == b""
    server.advance(0.4)
    response = parseResponse(transport.take())
    assert (response.status, response.body) == (
        408,
        b"no complete request in 10 seconds\n",
    )
    check_end(server, transport)
    (event,) = logs.events("refused")
    assert (event["status"], event["setting"]) == (408, "open-timeout")


def test_open_timeout_of_silence() -> None:
    """A client that sends nothing at all gets 408, too."""
    server = serve(open_timeout=2)
    transport = server.connectTransport()
    server.advance(2.3)
    assert parseResponse(transport.take()).status == 408


def test_open_timeout_is_for_the_whole_head() -> None:
    """Sending a byte now and then doesn't extend the timeout."""
    server = MemoryServer(App())
    transport = server.connectTransport()
    for byte in handshake()[:20]:
        transport.put(bytes([byte]))
        server.advance(0.5)
    server.advance(0.3)
    assert parseResponse(transport.take()).status == 408


def test_open_timeout_off() -> None:
    """open-timeout can be switched off."""
    server = serve(open_timeout=0)
    transport = raw(server, handshake()[:-2])
    server.advance(100)
    transport.put(b"\r\n")
    server.run()
    assert parseResponse(transport.take()).status == 101


def test_open_timeout_ends_with_the_handshake() -> None:
    """open-timeout doesn't apply to an open connection."""
    server = serve(ping_interval=0)
    client = server.connect()
    assert len(server.factory.deadlines) == 0
    server.advance(11)
    assert client.closed is None


def test_close_timeout_off_leaves_the_refused() -> None:
    """Without close-timeout, a refused client may take any time, and ends the
    connection itself."""
    server = serve(close_timeout=0)
    transport = raw(server, b"\0")
    transport.take()
    server.advance(100)
    assert not transport.lost
    transport.shut()
    server.run()
    assert transport.lost
    assert not transport.aborted


def test_head_that_ends_early(logs: Logs) -> None:
    """A client that disconnects within its head is removed, and not logged."""
    server = MemoryServer(App())
    transport = raw(server, b"GET / HT")
    transport.shut()
    server.run()
    assert transport.lost
    assert len(server.factory.deadlines) == 0
    assert logs.lines() == []


# Too many


def test_max_connections(logs: Logs) -> None:
    """One connection too many gets 503 with Retry-After at once. Unfinished handshakes
    count, too (DESIGN section 5)."""
    server = serve(max_connections=2)
    first = server.connect()
    second = server.connectTransport()
    third = server.connectTransport()
    response = parseResponse(third.take())
    assert (response.status, response.body) == (503, b"too many connections\n")
    assert response.all("retry-after") == ["10"]
    (event,) = logs.events("refused")
    assert event["setting"] == "max-connections"
    second.put(handshake())
    server.run()
    assert parseResponse(second.take()).status == 101
    assert first.closed is None
    server.advance(5.25)
    assert third.aborted


@pytest.mark.parametrize("how", ["drop", "close"])
def test_max_connections_frees_places(how: str) -> None:
    """A connection that has ended in any way doesn't count any more."""
    server = serve(max_connections=1)
    for _ in range(3):
        client = server.connect()
        getattr(client, how)()
        assert not server.factory.connections
    refused = raw(server, b"\0")
    assert parseResponse(refused.take()).status == 400
    assert parseResponse(raw(server, b"").take()).status == 503
    server.advance(5.3)
    assert server.connect().opened


# Origins

EXACT = ["https://example.org", "http://example.org:8080", "http://[::1]"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://example.org",
        "https://example.org:443",
        "HTTPS://Example.ORG",
        "http://example.org:8080",
        "http://[::1]",
        "http://[::1]:80",
    ],
)
def test_origin_allowed(origin: str) -> None:
    """An exact origin is accepted, in any case, with or without its default port (RFC
    6454 section 4)."""
    server = MemoryServer(App(), origins=EXACT)
    assert server.connect(origin=origin).opened


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "file://",
        "http://example.org",
        "https://example.org:8443",
        "http://example.org:80",
        "https://example.org.evil.example",
        "https://evil-example.org",
        "https://evilexample.org",
        "https://www.example.org",
        "https://example.or",
        "https://example.org.",
        "https://example.org:443.evil.example",
        "https://example.org:443:443",
        "https://example.org:",
        "https://example.org:000443",
        "https://example.org@evil.example",
        "https://evil.example@example.org",
        "https://user@example.org",
        "https://evil.example/https://example.org",
        "https://evil.example?https://example.org",
        "https://evil.example#https://example.org",
        "https://evil.example\\.example.org",
        "https://example.org/",
        "https://example.org https://evil.example",
        "https://evil.example https://example.org",
        "https://example.org, https://evil.example",
        "//example.org",
        "example.org",
        "https:/example.org",
        "https:example.org",
        "https://",
        "https://*",
        "*",
        "same-host",
        "javascript://example.org",
        "wss://example.org",
        "https://[::1]:80",
        "http://[::2]",
        "http://[::1].evil.example",
        "http://[::1",
        "http://::1",
        "http://0:0:0:0:0:0:0:1",
        "https://ex\xe4mple.org",
        "https://example.org:" + "4" * 5000,
    ],
)
def test_origin_refused(origin: str) -> None:
    """Other origins are refused, however similar they look (DESIGN section 5)."""
    server = MemoryServer(App(), origins=EXACT)
    with pytest.raises(HandshakeRefused) as caught:
        server.connect(origin=origin)
    assert caught.value.status == 403


@pytest.mark.parametrize(
    ("host", "origin", "allowed"),
    [
        ("a.example", "http://a.example", True),
        ("a.example", "https://a.example", True),  # a proxy in front ends TLS
        ("a.example:80", "http://a.example", True),
        ("a.example:443", "https://a.example", True),
        ("A.Example", "http://a.example", True),
        ("a.example:9000", "http://a.example:9000", True),
        ("a.example:9000", "https://a.example:9000", True),
        ("[::1]:9000", "http://[::1]:9000", True),
        ("[::1]", "http://[::1]", True),
        ("127.0.0.1:9000", "http://127.0.0.1:9000", True),
        ("a.example:", "http://a.example", True),
        ("a.example:9000", "ws://a.example:9000", False),
        ("a.example", "wss://a.example", False),
        ("a.example", "ftp://a.example", False),
        ("a.example:9000", "chrome-extension://a.example:9000", False),
        ("localhost", "capacitor://localhost", False),
        ("a.example:80", "https://a.example", True),
        ("a.example:443", "http://a.example", False),
        ("a.example", "http://a.example:9000", True),
        ("a.example:9000", "http://a.example", True),
        ("a.example:9000", "http://a.example:9001", True),
        ("127.0.0.1:9000", "http://localhost:8000", True),
        ("a.example", "http://b.a.example", False),
        ("b.a.example", "http://a.example", False),
        ("a.example", "http://a.example.", False),
        ("a.example:80", "http://a.example:80@evil.example", False),
        ("[::1]:9000", "http://[::2]:9000", False),
        ("", "http://", False),
        ("", "null", False),
        ("null", "null", False),
        ("a.example:" + "9" * 5000, "http://a.example", False),
        ("a.example:" + "0" * 5000 + "80", "http://a.example", False),
    ],
)
def test_origin_of_the_same_host(host: str, origin: str, allowed: bool) -> None:
    """By default, pages from the host that they connect to are accepted, whichever
    their port, and no others (RFC 6455 section 10.2)."""
    data = handshake(changes={"Host": host}, more=[f"Origin: {origin}"])
    response = parseResponse(raw(MemoryServer(App()), data).take())
    assert response.status == (101 if allowed else 403)


@pytest.mark.parametrize("origins", [("same-host",), ("*",), ()])
def test_no_origin(origins: Sequence[str]) -> None:
    """Clients that aren't browsers send no Origin, and could send any: they are
    accepted."""
    assert MemoryServer(App(), origins=origins).connect().opened


@pytest.mark.parametrize("origin", ["null", "https://evil.example", "??"])
def test_any_origin(origin: str) -> None:
    """With the rule *, every page is accepted."""
    assert MemoryServer(App(), origins=["*"]).connect(origin=origin).opened


def test_two_origins() -> None:
    """Two Origin headers are refused, even if both are allowed: a proxy may have
    checked the other one."""
    line = f"Origin: http://{HOST}"
    for origins in (["same-host"], ["*"]):
        server = MemoryServer(App(), origins=origins)
        response = parseResponse(raw(server, handshake(more=[line, line])).take())
        assert response.status == 403


def test_rules_together() -> None:
    """With several rules, each accepts its own origins."""
    server = MemoryServer(App(), origins=["same-host", "https://a.example"])
    assert server.connect(origin=f"http://{HOST}").opened
    assert server.connect(origin="https://a.example").opened
    with pytest.raises(HandshakeRefused):
        server.connect(origin="https://b.example")


REFUSED_PAGES = [
    (
        "https://shop.example",
        "pages of https://shop.example may not connect; "
        "--origin https://shop.example allows them",
    ),
    (
        "http://[2001:db8::1]:8080",
        "pages of http://[2001:db8::1]:8080 may not connect; "
        "--origin 'http://[2001:db8::1]:8080' allows them",
    ),
    (
        "null",
        "pages with the origin null, such as files, may not connect; "
        "--origin null allows them, and with them every page",
    ),
    (
        "file://",
        "pages with the origin file://, such as files, may not connect; "
        "--origin file:// allows them",
    ),
    (
        "<script>alert(1)</script>",
        "pages of ?script?alert?1??/script? may not connect; "
        "no option allows such an origin",
    ),
    (
        "https://a.example\x1b[31m\"'&",
        "pages of https://a.example?[31m??? may not connect; "
        "no option allows such an origin",
    ),
    (
        "https://*.example.org",
        "pages of https://*.example.org may not connect; "
        "no option allows such an origin",
    ),
    (
        "wss://a.example",
        "pages of wss://a.example may not connect; no option allows such an origin",
    ),
    (
        "https://" + "a" * 5000,
        "pages of https://" + "a" * 292 + "... may not connect; "
        "no option allows such an origin",
    ),
]


@pytest.mark.parametrize(
    ("origin", "reason"), REFUSED_PAGES, ids=lambda text: repr(text)[:30]
)
def test_refused_page_is_named(origin: str, reason: str, logs: Logs) -> None:
    """The answer and the log line say which origin it was, and the option that allows
    it. The origin is the client's input: printable, bounded, and no HTML."""
    data = handshake(more=[f"Origin: {origin}"])
    if "\x1b" in origin:
        data = data.replace(b"\x1b", b"\xe4")  # a control byte is no header's
    response = parseResponse(raw(MemoryServer(App()), data).take())
    assert (response.status, response.body) == (403, reason.encode() + b"\n")
    assert dict(response.headers)["content-type"] == "text/plain; charset=utf-8"
    assert dict(response.headers)["x-content-type-options"] == "nosniff"
    (line,) = logs.lines("refused")
    assert line.endswith(f"refused: 403 {reason} (origin)")


SECURE_PAGE = "https://server.example:8000"
PLAIN_PAGE = "http://server.example:8000"


@pytest.mark.parametrize("origin", [SECURE_PAGE, PLAIN_PAGE])
@pytest.mark.parametrize(
    ("trusted", "header", "secure"),
    [
        (True, "X-Forwarded-Proto: https", True),
        (True, "X-Forwarded-Proto: http", False),
        (True, None, False),
        (False, "X-Forwarded-Proto: https", True),
        (False, "Forwarded: for=192.0.2.9;proto=https", True),
        (False, "X-Forwarded-Proto: http", False),
    ],
)
def test_less_secure_page(
    origin: str, trusted: bool, header: str | None, secure: bool
) -> None:
    """A page without TLS may not connect where a proxy ends TLS, trusted or not: no
    page can add the proxy's header. The refusal says so."""
    proxies = ProxySettings((CLIENT,)) if trusted else None
    server = MemoryServer(App(), proxies=proxies)
    lines = [f"Origin: {origin}", *([header] if header else [])]
    response = parseResponse(raw(server, handshake(more=lines)).take())
    if secure and origin == PLAIN_PAGE:
        assert response.status == 403
        assert b"may not connect over TLS, because they don't use it" in response.body
        assert f"--origin {PLAIN_PAGE}".encode() in response.body
    else:
        assert response.status == 101


# Paths and the request


def test_nothing_mounted(logs: Logs) -> None:
    """A path without an application gets 404 (DESIGN section 5)."""
    server = MemoryServer(App(), path="/chat")
    response = parseResponse(raw(server, handshake("GET /chatt HTTP/1.1")).take())
    assert response.status == 404
    assert len(logs.events("refused: 404")) == 1


@pytest.mark.parametrize(
    ("path", "target", "prepath", "segments"),
    [
        ("/", "/", [], ()),
        ("/", "/a/b", [], ("a", "b")),
        ("/chat", "/chat", [b"chat"], ()),
        ("/chat", "/chat/", [b"chat"], ()),
        ("/chat", "/chat/lobby?x=1", [b"chat"], ("lobby",)),
        ("/chat", "/%63hat/a%2Fb", [b"chat"], ("a/b",)),
        ("/team/chat", "/team/chat//a", [b"team", b"chat"], ("a",)),
        ("/chat", "/chat/%FF", [b"chat"], ("\ufffd",)),
        ("/chat", "http://server.example/chat/x", [b"chat"], ("x",)),
    ],
)
def test_path(
    path: str, target: str, prepath: list[bytes], segments: tuple[str, ...]
) -> None:
    """The path is split into the mount's part and the application's part (DESIGN
    section 2)."""
    app = App()
    MemoryServer(app, path=path).connect(target)
    (request,) = app.requests
    assert request.prepath == prepath
    assert request.segments == segments


def test_args_of_any_bytes() -> None:
    """A query may have any encoded bytes. The application gets them unchanged."""
    app = App()
    MemoryServer(app).connect("/?name=J%C3%B6rg&%ff=%00&plus=a+b")
    (request,) = app.requests
    assert request.args == {
        b"name": ["Jörg".encode()],
        b"\xff": [b"\0"],
        b"plus": [b"a b"],
    }


def test_request() -> None:
    """Everything that an application can read from the request."""
    app = App()
    server = MemoryServer(app, path="/chat")
    server.connect(
        "/chat/lobby?a=1&a=2&b=",
        headers=[("Cookie", "x=1; y=2"), ("X-One", "1"), ("X-One", "2")],
        subprotocols=["v2", "v1", "v2"],
    )
    (request,) = app.requests
    assert request.method == b"GET"
    assert request.uri == b"/chat/lobby?a=1&a=2&b="
    assert request.path == b"/chat/lobby"
    assert request.postpath == [b"lobby"]
    assert request.args == {b"a": [b"1", b"2"], b"b": [b""]}
    assert request.subprotocols == ("v2", "v1")
    assert request.getHeader(b"X-ONE") == b"2"
    assert request.getHeader(b"x-two") is None
    assert request.requestHeaders.getRawHeaders(b"x-one") == [b"1", b"2"]
    assert request.getCookie(b"y") == b"2"
    assert request.getCookie(b"z") is None
    assert str(request.getClientAddress().host) == "192.0.2.1"  # type: ignore[attr-defined]
    assert request.getHost().port == 9000  # type: ignore[attr-defined]
    assert not request.isSecure()
    assert request.avatar is None
    assert app.recorders[0].transport.request is request


# Subprotocols


@pytest.mark.parametrize(
    ("spoken", "offered", "chosen"),
    [
        (["a", "b"], ["b", "a"], "b"),
        (["a", "b"], ["c", "a"], "a"),
        (["a"], ["b"], None),
        (["a"], [], None),
        ([], ["a"], None),
        (["a"], ["A"], None),
        (["*"], ["b", "a"], "b"),
        (["*"], ["wsplug.chat.v1"], None),
        (["*"], ["wsplug.chat.v1", "a"], "a"),
        (["a", "wsplug.a.v1", "*"], ["wsplug.a.v1", "b"], "wsplug.a.v1"),
        (["*"], [], None),
    ],
)
def test_subprotocol(spoken: list[str], offered: list[str], chosen: str | None) -> None:
    """The client's most preferred subprotocol that the application speaks is chosen, or
    none (RFC 6455 section 4.2.2). Names are compared exactly. A star stands for any but
    wsplug's own, which an application has to name."""
    app = App(subprotocols=spoken)
    client = MemoryServer(app).connect(subprotocols=offered)
    assert client.subprotocol == chosen
    assert app.requests[0].subprotocol == chosen


@pytest.mark.parametrize(
    ("mounted", "chosen"), [(["b"], "b"), (["*"], "c"), ([], None), (None, "a")]
)
def test_subprotocol_of_the_mount(mounted: list[str] | None, chosen: str) -> None:
    """The mount's subprotocols replace the application's."""
    server = MemoryServer(App(subprotocols=["a"]), subprotocols=mounted)
    assert server.connect(subprotocols=["c", "a", "b"]).subprotocol == chosen


def test_no_subprotocol_is_logged(logs: Logs) -> None:
    """Browsers close a connection without any of the subprotocols that they offer, so
    the log says so. It doesn't repeat the offer, which may contain a token, and has no
    line about clients that offer nothing or get what they offer."""
    server = MemoryServer(
        App(subprotocols=["a", "b"]),
        settings=Settings(max_address_log_rate=1),
        exempt=(),
    )
    server.connect(subprotocols=["b", "secret"])
    server.connect()
    assert not logs.lines("subprotocol")
    server.connect(subprotocols=["secret", "c"])
    (line,) = logs.lines("subprotocol")
    assert "the client offers 2, and the application takes a, b; browsers" in line
    assert "1006" in line
    assert "secret" not in line
    # The limit is ten lines, and there are others about the same client.
    for _ in range(20):
        server.connect(subprotocols=["c"])
    assert 1 < len(logs.lines("no subprotocol agreed")) <= 10


def test_subprotocol_of_the_applications_choice() -> None:
    """An application may choose one of the offered subprotocols itself."""

    def build(request: IHandshakeRequest) -> Recorder:
        request.subprotocol = request.subprotocols[-1]
        return Recorder()

    client = MemoryServer(App(build, ["a", "b"])).connect(subprotocols=["a", "b", "c"])
    assert client.subprotocol == "c"


@pytest.mark.parametrize("offered", [["a"], []])
def test_subprotocol_that_is_not_offered(offered: list[str], logs: Logs) -> None:
    """Choosing another one is the application's error, not the client's (RFC 6455
    section 4.1: the client would have to fail the connection)."""

    def build(request: IHandshakeRequest) -> Recorder:
        request.subprotocol = "b"
        return Recorder()

    with pytest.raises(HandshakeRefused) as caught:
        MemoryServer(App(build)).connect(subprotocols=offered)
    assert caught.value.status == 500
    (failure,) = logs.failures()
    assert failure.check(ValueError)
    assert "'b' is not offered" in failure.getErrorMessage()


# Response headers


def test_response_headers() -> None:
    """Headers that buildProtocol adds are in the response with status 101."""

    def build(request: IHandshakeRequest) -> Recorder:
        request.responseHeaders.addRawHeader(b"Set-Cookie", b"a=1")
        request.responseHeaders.addRawHeader(b"Set-Cookie", b"b=2")
        return Recorder()

    response = parseResponse(raw(MemoryServer(App(build)), handshake()).take())
    assert response.status == 101
    assert response.all("set-cookie") == ["a=1", "b=2"]


RESERVED = [
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Protocol",
    "Content-Length",
    "Transfer-Encoding",
]


@pytest.mark.parametrize("name", RESERVED)
def test_reserved_response_header(name: str) -> None:
    """An application can't change the handshake's own headers."""

    def build(request: IHandshakeRequest) -> Recorder:
        request.responseHeaders.setRawHeaders(name.upper().encode(), [b"bad"])
        return Recorder()

    app = App(build, ["a"])
    data = handshake(more=["Sec-WebSocket-Protocol: a"])
    response = parseResponse(raw(MemoryServer(app), data).take())
    assert response.status == 101
    assert "bad" not in response.all(name)
    assert response.all("Sec-WebSocket-Accept") == [ACCEPT]
    assert response.all("Sec-WebSocket-Protocol") == ["a"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"X-Name", b"1\r\nEvil: 1"),
        (b"X-Name", b"1\nEvil: 1"),
        (b"X-Name", b"1\r\n\r\nEvil: 1"),
        (b"X-Name: 1\r\nEvil", b"1"),
        (b"X-Name\r\n\r\nEvil", b"1"),
    ],
)
def test_response_header_injection(name: bytes, value: bytes, logs: Logs) -> None:
    """Names and values of headers can't inject a line, even if they contain what the
    client sent."""

    def build(request: IHandshakeRequest) -> Recorder:
        request.responseHeaders.addRawHeader(name, value)
        return Recorder()

    output = raw(MemoryServer(App(build)), handshake()).take()
    assert parseResponses(output)[0].status in (101, 500)
    assert b"\nEvil" not in output
    assert output.count(b"\r\n\r\n") == 1
    logs.failures()


# Refusals by applications


def test_refused_by_the_application(logs: Logs) -> None:
    """An application's refusal has its status, headers and body, and one log line."""

    def build(request: IHandshakeRequest) -> Recorder:
        raise HandshakeRefused(
            402,
            "no money",
            headers=[(b"Content-Type", b"application/json"), (b"X-Price", b"3")],
            body=b'{"price": 3}',
        )

    server = MemoryServer(App(build))
    transport = raw(server, handshake())
    response = parseResponse(transport.take())
    assert response.status == 402
    assert response.all("content-type") == ["application/json"]
    assert response.all("x-price") == ["3"]
    assert response.body == b'{"price": 3}'
    assert logs.lines() == ["192.0.2.1:50000 refused: 402 no money"]
    check_end(server, transport)


def test_refused_with_a_reason_only() -> None:
    """Without a body, the reason is the body. It can be any text."""
    with pytest.raises(HandshakeRefused) as caught:
        MemoryServer(App(_refuses(HandshakeRefused(418, "Tee läuft")))).connect()
    assert caught.value.reason == "Tee läuft"


def test_redirected() -> None:
    """A refusal may be a redirect."""
    refusal = HandshakeRefused(307, headers=[(b"Location", b"/other")])
    server = MemoryServer(App(_refuses(refusal)))
    response = parseResponse(raw(server, handshake()).take())
    assert (response.status, response.body) == (307, b"")
    assert response.all("location") == ["/other"]


@pytest.mark.parametrize("status", [100, 101, 200, 299, 600])
def test_refusal_status(status: int) -> None:
    """A refusal can't have a success status."""
    with pytest.raises(ValueError, match="300 to 599"):
        HandshakeRefused(status)


@pytest.mark.parametrize(
    "header",
    [
        (b"Location", b"/\r\nSet-Cookie: a=1"),
        (b"Location", b"/\nSet-Cookie: a=1"),
        (b"Location", b"/\r\n\r\n<script>"),
        (b"X: 1\r\nSet-Cookie", b"a=1"),
        (b"", b"1"),
        (b"X Y", b"1"),
    ],
)
def test_refusal_header_injection(header: tuple[bytes, bytes], logs: Logs) -> None:
    """A refusal's headers can't inject a line: an invalid one is the application's
    error."""

    def build(request: IHandshakeRequest) -> Recorder:
        raise HandshakeRefused(307, headers=[header])

    output = raw(MemoryServer(App(build)), handshake()).take()
    assert parseResponse(output).status == 500
    assert b"Set-Cookie" not in output
    (failure,) = logs.failures()
    assert failure.check(ValueError)


def test_refusal_keeps_its_length() -> None:
    """A refusal has the server's Content-Length and Connection headers, once each."""
    headers = [(b"Content-Length", b"7"), (b"Connection", b"keep-alive")]
    refusal = HandshakeRefused(403, headers=headers, body=b"no")
    server = MemoryServer(App(_refuses(refusal)))
    output = raw(server, handshake()).take()
    response = parseResponse(output)
    assert response.all("content-length") == ["2"]
    assert response.all("connection") == ["close"]
    assert response.body == b"no"


def _refuses(refusal: BaseException) -> Any:
    def build(request: IHandshakeRequest) -> Recorder:
        raise refusal

    return build


def test_no_protocol() -> None:
    """If the application returns no protocol, the client gets 403."""
    with pytest.raises(HandshakeRefused) as caught:
        MemoryServer(App(lambda _: None)).connect()
    assert caught.value.status == 403


def test_application_fails(logs: Logs) -> None:
    """If the application raises, the client gets 500, and the traceback is logged and
    not sent (DESIGN section 5)."""
    server = MemoryServer(App(_refuses(RuntimeError("secret"))))
    transport = raw(server, handshake())
    output = transport.take()
    assert parseResponse(output).status == 500
    assert b"secret" not in output
    (failure,) = logs.failures()
    assert failure.check(RuntimeError)
    check_end(server, transport)
    assert len(logs.events("refused: 500")) == 1


def test_application_exits(logs: Logs) -> None:
    """If the application raises SystemExit, the client gets 500, and the process goes
    on."""
    server = MemoryServer(App(_refuses(SystemExit(3))))
    transport = raw(server, handshake())
    assert parseResponse(transport.take()).status == 500
    (failure,) = logs.failures()
    assert failure.check(SystemExit)
    check_end(server, transport)


# Answers that take time


def test_answer_later() -> None:
    """While the client waits for a Deferred, nothing is read from it."""
    answer: Deferred[Recorder] = Deferred()
    server = MemoryServer(App(lambda _: answer))
    client = server.connect()
    assert not client.opened
    assert not client.transport.reading
    server.advance(9)
    recorder = Recorder()
    answer.callback(recorder)
    server.run()
    assert client.opened
    assert client.transport.reading
    client.send("hello")
    assert recorder.events[2:] == [("text", "hello")]
    server.advance(5)
    assert client.closed is None


def test_answer_at_once() -> None:
    """A Deferred that has already fired."""
    assert MemoryServer(App(lambda _: succeed(Recorder()))).connect().opened


def test_answer_of_a_coroutine() -> None:
    """A coroutine that awaits something."""
    waiting: Deferred[None] = Deferred()
    recorder = Recorder()

    async def build(request: IHandshakeRequest) -> Recorder:
        await waiting
        request.subprotocol = "b"
        return recorder

    server = MemoryServer(App(build, ["a", "b"]))
    client = server.connect(subprotocols=["a", "b"])
    assert not client.opened
    waiting.callback(None)
    server.run()
    assert client.opened
    assert client.subprotocol == "b"
    assert recorder.names == ["started", "finished"]


def test_answer_that_refuses() -> None:
    """A Deferred that fails with a refusal."""
    server = MemoryServer(App(lambda _: fail(HandshakeRefused(401, "who are you?"))))
    with pytest.raises(HandshakeRefused) as caught:
        server.connect()
    assert caught.value.status == 401


def test_failure_that_refuses() -> None:
    """A Failure, which Twisted allows as a result, too."""
    refusal = Failure(HandshakeRefused(401, "who are you?"))
    with pytest.raises(HandshakeRefused) as caught:
        MemoryServer(App(lambda _: refusal)).connect()
    assert caught.value.status == 401


@pytest.mark.parametrize("later", [False, True])
def test_answer_that_fails(later: bool, logs: Logs) -> None:
    """A coroutine that fails, at once or later, gets the client 500."""
    waiting: Deferred[None] = Deferred()

    async def build(request: IHandshakeRequest) -> Recorder:
        if later:
            await waiting
        raise KeyError("secret")

    server = MemoryServer(App(build))
    transport = raw(server, handshake())
    waiting.callback(None)
    server.run()
    assert parseResponse(transport.take()).status == 500
    (failure,) = logs.failures()
    assert failure.check(KeyError)
    check_end(server, transport)


def test_answer_of_none() -> None:
    """A Deferred that fires with None."""
    with pytest.raises(HandshakeRefused) as caught:
        MemoryServer(App(lambda _: succeed(None))).connect()
    assert caught.value.status == 403


def test_answer_that_takes_too_long(logs: Logs) -> None:
    """Without an answer in open-timeout, the client gets 503, and the application's
    Deferred is cancelled. A later result is ignored."""
    cancelled: list[object] = []
    answer: Deferred[Recorder] = Deferred(cancelled.append)
    server = MemoryServer(App(lambda _: answer))
    transport = raw(server, handshake())
    server.advance(9.9)
    assert transport.take() == b""
    server.advance(0.4)
    response = parseResponse(transport.take())
    assert response.status == 503
    assert b"no answer from the application in 10 seconds" in response.body
    assert cancelled == [answer]
    (event,) = logs.events("refused")
    assert event["setting"] == "open-timeout"
    check_end(server, transport)
    assert not server.factory.connections


def test_answer_despite_its_cancellation() -> None:
    """An application that ignores its cancellation answers a client that is gone."""
    answer: Deferred[Recorder] = Deferred(lambda it: it.callback(recorder))
    recorder = Recorder()
    server = MemoryServer(App(lambda _: answer))
    transport = raw(server, handshake())
    server.advance(10.3)
    assert parseResponse(transport.take()).status == 503
    server.advance(10)
    assert recorder.events == []
    assert not server.factory.connections


def test_client_leaves_meanwhile(logs: Logs) -> None:
    """If the client disconnects, the application's Deferred is cancelled without a log
    line, and no protocol is called."""
    cancelled: list[object] = []
    answer: Deferred[Recorder] = Deferred(cancelled.append)
    server = MemoryServer(App(lambda _: answer))
    transport = raw(server, handshake())
    transport.abortConnection()
    assert cancelled == [answer]
    assert len(server.factory.deadlines) == 0
    assert logs.lines() == []
    server.run()
    assert not server.factory.connections


def test_client_leaves_a_failing_application(logs: Logs) -> None:
    """If the application fails with an error of its own when it is cancelled, that is
    logged."""
    answer: Deferred[Recorder] = Deferred(lambda it: it.errback(KeyError("x")))
    server = MemoryServer(App(lambda _: answer))
    transport = raw(server, handshake())
    transport.abortConnection()
    (failure,) = logs.failures()
    assert failure.check(KeyError)


def test_no_timeout_for_the_answer() -> None:
    """Without open-timeout, the application may take any time."""
    answer: Deferred[Recorder] = Deferred()
    app = App(lambda _: answer)
    server = MemoryServer(app, settings=Settings(open_timeout=0))
    client = server.connect()
    server.advance(60)
    answer.callback(Recorder())
    server.run()
    assert client.opened


def test_wrong_protocol(logs: Logs) -> None:
    """If buildProtocol returns something that isn't a protocol, the client gets 1011,
    and the log says so."""
    client = MemoryServer(App(lambda _: "nonsense")).connect()
    assert client.closed == (1011, "internal error")
    failures = logs.failures()
    assert failures
    assert all(isinstance(each, Failure) for each in failures)


# Early frames


@pytest.mark.parametrize("later", [False, True])
def test_early_frames(later: bool) -> None:
    """Frames that arrive right after the request, before the response, are delivered
    after negotiationFinished, whether the application answers at once or later."""
    recorder = Recorder()
    answer: Deferred[Recorder] = Deferred()
    server = MemoryServer(App(lambda _: answer if later else recorder))
    transport = raw(server, handshake() + frame(b"one") + frame(b"two")[:4])
    transport.put(frame(b"two")[4:] + frame(b"three"))
    server.run()
    if later:
        assert transport.take() == b""
        answer.callback(recorder)
        server.run()
    assert recorder.events[1:] == [
        ("finished", None),
        ("text", "one"),
        ("text", "two"),
        ("text", "three"),
    ]


def test_early_frames_of_all(logs: Logs) -> None:
    """What arrives while applications are asked counts for all clients together. Where
    it is too much, the one who has sent most gets a 503, and its application isn't
    waited for."""
    cancelled: list[object] = []
    answers: list[Deferred[Recorder]] = []

    def build(_: object) -> Deferred[Recorder]:
        answers.append(Deferred(cancelled.append))
        return answers[-1]

    server = MemoryServer(App(build), settings=Settings(max_incomplete_total=30_000))
    incomplete = server.factory.incompleteMessages
    large = raw(server, handshake() + frame(b"x" * 20_000))
    assert incomplete.used > 20_000
    small = raw(server, handshake() + frame(b"x" * 15_000))
    assert parseResponse(large.take()).status == 503
    assert cancelled == answers[:1]
    assert 15_000 < incomplete.used < 16_000
    (event,) = logs.events("refused")
    assert event["setting"] == "max-incomplete-total"
    tooLarge = raw(server, handshake() + frame(b"x" * 40_000))
    assert parseResponse(tooLarge.take()).status == 503
    assert cancelled == [answers[0], answers[2]]
    assert small.take() == b""
    recorder = Recorder()
    answers[1].callback(recorder)
    server.run()
    assert recorder.got("text") == ["x" * 15_000]
    assert incomplete.used == 0


def test_early_nonsense() -> None:
    """Input after a handshake is WebSocket, valid or not: the response with status 101
    is followed by 1002."""
    server = MemoryServer(App())
    output = raw(server, handshake() + b"GET / HTTP/1.1\r\n\r\n").take()
    response = parseResponse(output)
    assert response.status == 101
    reason = response.body[4:].decode("ascii")
    assert response.body == bytes([FIN | OP_CLOSE, 2 + len(reason)]) + pack_close(
        1002, reason
    )


def test_sent_in_negotiationStarted() -> None:
    """Messages that the application sends in negotiationStarted arrive after the
    response with status 101, in the same write (DESIGN section 4: corked)."""

    def started(transport: Any) -> None:
        transport.sendTextMessage("welcome")

    server = serve(Recorder(started=started))
    response = parseResponse(raw(server, handshake()).take())
    assert response.status == 101
    assert response.body == b"\x81\x07welcome"


def test_opening_fails(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    """If anything fails after a connection was counted, it ends, and its slot is
    free."""
    server = serve()
    transport = server.connectTransport()

    def registerProducer(*_: object) -> None:
        raise RuntimeError("no producer may be here")

    monkeypatch.setattr(transport, "registerProducer", registerProducer)
    transport.put(handshake())
    server.run()
    (failure,) = logs.failures()
    assert failure.check(RuntimeError)
    assert transport.lost
    factory = server.factory
    assert (factory.opening, len(factory.connections)) == (0, 0)
    assert len(factory.deadlines) == 0
    assert server.stop().called


@pytest.mark.parametrize("accepts", ["at once", "later"])
def test_methods_taken_before(accepts: str) -> None:
    """If a layer between transport and protocol has kept the protocol's methods, its
    input reaches the connection as well."""
    waiting: Deferred[Any] = Deferred()
    recorder = Recorder()
    app = App(lambda _: recorder if accepts == "at once" else waiting)
    server = MemoryServer(app)
    transport = server.connectTransport()
    protocol = transport.protocol
    received, lost = protocol.dataReceived, protocol.connectionLost
    received(handshake() + frame(b"first"))
    if accepts == "later":
        waiting.callback(recorder)
    assert parseResponse(transport.take()).status == 101
    received(frame(b"second"))
    assert recorder.got("text") == ["first", "second"]
    lost(Failure(ConnectionDone()))
    assert recorder.closed.code == 1006
    assert not server.factory.connections
    transport.protocol.connectionLost(Failure(ConnectionDone()))
    assert recorder.names.count("lost") == 1


def test_logged(logs: Logs) -> None:
    """Each accepted connection has a log line with its address and path, without the
    query, which may contain a secret."""
    raw(serve(), handshake("GET /a%20room?token=secret HTTP/1.1"))
    (event,) = logs.events()
    line = "192.0.2.1:50000 application: accepted at /a%20room"
    assert logs.lines() == [line]
    assert (event["peer"], event["application"]) == ("192.0.2.1:50000", "application")
    assert event["path"] == "/a%20room"


def test_long_path_logged(logs: Logs) -> None:
    """A long path is cut in the line."""
    raw(serve(), handshake(f"GET /{'x' * 9000} HTTP/1.1"))
    (line,) = logs.lines("accepted")
    assert 200 < len(line) < 300


def test_not_logged(logs: Logs) -> None:
    """With log-connections off, a connection has no line when it is accepted or when it
    ends. Refusals are logged."""
    server = serve(log_connections=False)
    client = server.connect()
    client.close()
    assert not server.factory.connections
    assert not logs.lines()
    raw(server, handshake("POST / HTTP/1.1"))
    assert logs.lines("refused")
