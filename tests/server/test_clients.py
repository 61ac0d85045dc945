"""
The client's address, with and without trusted proxies.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tests.server.kit import App, Logs, Recorder, handshake, parseResponses, raw
from wsplug import HandshakeRefused, Settings
from wsplug.guard.proxies import ProxySettings
from wsplug.interfaces import IHandshakeRequest
from wsplug.networks import clientKey
from wsplug.testing import MemoryServer
from wsplug.testing.server import CLIENT as PROXY

CLIENT = "198.51.100.1"
TRUSTED = ProxySettings((PROXY,))
NAMED = [("X-Forwarded-For", f"203.0.113.1, {CLIENT}"), ("X-Forwarded-Proto", "https")]


class Page(Resource):
    """
    Responds with the client's address. It answers a POST when the test says so.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waiting: list[Request] = []

    def render_GET(self, request: Any) -> bytes:
        address = request.getClientAddress()
        text = f"{address.host} {address.port} {request.isSecure()}"
        return text.encode("ascii")

    def render_POST(self, request: Any) -> int:
        self.waiting.append(request)
        return NOT_DONE_YET


def test_request(logs: Logs) -> None:
    """
    The request has the client's address, whether it uses TLS, and the server's own
    socket. The log has the client's address as well.
    """
    app = App()
    client = MemoryServer(app, proxies=TRUSTED).connect(headers=NAMED)
    (request,) = app.requests
    assert request.getClientAddress() == IPv4Address("TCP", CLIENT, 0)
    assert request.isSecure()
    assert request.getHost() == IPv4Address("TCP", "198.51.100.1", 9000)
    client.close()
    (line,) = logs.lines("closed by the peer")
    assert line.startswith(f"{CLIENT} application: closed")
    assert request.getClientAddress() == IPv4Address("TCP", CLIENT, 0)


def test_untrusted() -> None:
    """
    The headers of an untrusted peer have no effect.
    """
    for proxies in (None, ProxySettings(("203.0.113.0/24",))):
        app = App()
        MemoryServer(app, proxies=proxies).connect(headers=NAMED)
        (request,) = app.requests
        address: Any = request.getClientAddress()
        assert (address.host, address.port > 0) == (PROXY, True)
        assert not request.isSecure()


def test_refusals(logs: Logs) -> None:
    """
    Refusals are logged with the client's address: those by the server and by the
    application, at once and later.
    """

    def refuse(request: IHandshakeRequest) -> Any:
        raise HandshakeRefused(403, "not today")

    server = MemoryServer(App(refuse), proxies=TRUSTED)
    for target, status in (("/", 403), ("/nothing", 403)):
        with pytest.raises(HandshakeRefused):
            server.connect(target, headers=NAMED)
        assert logs.lines()[-1].startswith(f"{CLIENT} refused: {status}")
    with pytest.raises(HandshakeRefused):
        server.connect(headers=NAMED, origin="https://elsewhere.example")
    assert logs.lines()[-1].startswith(f"{CLIENT} refused: 403 pages of")


def test_failures(logs: Logs) -> None:
    """
    Likewise for an application's failures, during the handshake and after it.
    """

    def fail(_: object) -> Any:
        raise ZeroDivisionError

    server = MemoryServer(App(fail), proxies=TRUSTED)
    with pytest.raises(HandshakeRefused):
        server.connect(headers=NAMED)
    assert logs.lines("failed in the handshake") == [
        f"application failed in the handshake of {CLIENT}"
    ]
    server = MemoryServer(App(lambda _: Recorder(text=fail)), proxies=TRUSTED)
    server.connect(headers=NAMED).send("hello")
    assert logs.lines("failed while") == [f"application failed while serving {CLIENT}"]
    assert len(logs.failures()) == 2


def test_late_answer(logs: Logs) -> None:
    """
    Likewise for a handshake that isn't answered in time.
    """
    server = MemoryServer(App(lambda _: Deferred()), proxies=TRUSTED)
    server.connect(headers=NAMED)
    server.advance(10)
    (line,) = logs.lines("no answer")
    assert line.startswith(f"{CLIENT} refused: 503")


def get(client: str | None, method: str = "GET") -> bytes:
    line = "" if client is None else f"X-Forwarded-For: {client}\r\n"
    return f"{method} / HTTP/1.1\r\nHost: a\r\n{line}\r\n".encode("ascii")


def test_pages_of_one_connection() -> None:
    """
    A proxy's connection carries requests of many clients: each page, and the final
    handshake, is logged for its own client.
    """
    app = App(pages=Page())
    server = MemoryServer(app, proxies=TRUSTED)
    data = get("198.51.100.7") + get("[2001:db8::1]:4711") + get(None)
    transport = raw(server, data)
    bodies = [each.body for each in parseResponses(transport.take())]
    assert bodies[:2] == [b"198.51.100.7 0 False", b"2001:db8::1 4711 False"]
    assert bodies[2].startswith(PROXY.encode("ascii"))
    transport.put(handshake(more=["X-Forwarded-For: 2001:db8::9"]))
    server.run()
    (request,) = app.requests
    assert request.getClientAddress() == IPv6Address("TCP", "2001:db8::9", 0)
    assert not request.isSecure()


def test_secure_page() -> None:
    """
    A page knows that its client uses TLS.
    """
    server = MemoryServer(App(pages=Page()), proxies=TRUSTED)
    response = server.request("GET", headers=NAMED)
    assert response.body == f"{CLIENT} 0 True".encode("ascii")


def test_page_that_takes_time() -> None:
    """
    A page that is answered late is logged for its client; later input changes nothing.
    """
    page = Page()
    server = MemoryServer(App(pages=page), proxies=TRUSTED)
    transport = raw(server, get(CLIENT, "POST") + get("198.51.100.2"))
    (waiting,) = page.waiting
    address: Any = waiting.getClientAddress()
    assert address.host == CLIENT
    waiting.setHeader(b"Content-Length", b"0")
    waiting.finish()
    server.run()
    second = parseResponses(transport.take())[1]
    assert second.body == b"198.51.100.2 0 False"


def test_between_requests(logs: Logs) -> None:
    """
    Invalid input after a request isn't attributed to the client of that request.
    """
    server = MemoryServer(
        App(pages=Page()), proxies=TRUSTED, settings=Settings(open_timeout=2)
    )
    raw(server, get(CLIENT) + b"\x00")
    (line,) = logs.lines("refused: 400")
    assert line.startswith(f"{PROXY}:")
    raw(server, get(CLIENT) + b"GET")
    server.advance(2)
    (line,) = logs.lines("refused: 408")
    assert line.startswith(f"{PROXY}:")


def test_too_large_a_body(logs: Logs) -> None:
    """
    A body over the limit, which is noticed late, is logged for its client.
    """
    page = Page()
    page.maxBodySize = 2  # type: ignore[attr-defined]
    server = MemoryServer(App(pages=page), proxies=TRUSTED)
    head = (
        f"POST / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {CLIENT}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    transport = raw(server, head.encode("ascii") + b"3\r\nabc\r\n0\r\n\r\n")
    transport.shut()
    server.run()
    (line,) = logs.lines("refused: 413")
    assert line.startswith(f"{CLIENT} ")


def test_memory() -> None:
    """
    A request without a proxy stores no address of its own.
    """
    app = App()
    MemoryServer(app).connect()
    request: Any = app.requests[0]
    assert request._client.address is None
    assert clientKey(request.getClientAddress()) == PROXY
