"""
The PROXY protocol on a port, in memory: the header names the client before anything
else is read.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.protocols.policies import WrappingFactory

from tests.server.kit import App, Logs, handshake, parseResponse, parseResponses, raw
from tests.server.test_clients import Page
from wsplug import Settings
from wsplug.guard.proxies import ProxySettings
from wsplug.server.proxyprotocol import useProxyProtocol
from wsplug.testing import MemoryServer, MemoryTransport
from wsplug.testing.server import CLIENT as PROXY

PROXIES = ProxySettings((PROXY,), protocol=True)
LINE = b"PROXY TCP4 198.51.100.1 198.51.100.2 4711 80\r\n"
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
SIX = IPv6Address("TCP", "2001:db8::1", 9)
BINARY = (
    SIGNATURE
    + b"\x21\x21\x00\x24\x20\x01\x0d\xb8"
    + bytes(11)
    + b"\x01"
    + bytes(16)
    + b"\x00\x09\x00\x50"
)
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
UNIX = SIGNATURE + b"\x21\x31\x00\xd8" + b"/run/a".ljust(216, b"\0")


def made(app: App | None = None, **settings: Any) -> MemoryServer:
    return MemoryServer(app or App(), proxies=PROXIES, settings=Settings(**settings))


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (LINE, IPv4Address("TCP", "198.51.100.1", 4711)),
        (BINARY, SIX),
        (UNIX, UNIXAddress(b"/run/a")),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 4096])
def test_client(header: bytes, client: IAddress, step: int, logs: Logs) -> None:
    """
    The header names the client for all parts of the server, however the bytes are cut,
    and a handshake right after it is served.
    """
    app = App()
    server = made(app)
    transport = server.connectTransport()
    data = header + handshake()
    for start in range(0, len(data), step):
        transport.put(data[start : start + step])
        server.run()
    assert parseResponse(transport.take()).status == 101
    (request,) = app.requests
    assert request.getClientAddress() == client
    transport.shut()
    server.run()
    name = {"198.51.100.1": "198.51.100.1:4711", "2001:db8::1": "[2001:db8::1]:9"}
    host = getattr(client, "host", "")
    (line,) = logs.lines("closed by the peer")
    assert line.startswith(name.get(host, "unix:/run/a") + " ")


@pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n"])
def test_own_account(header: bytes) -> None:
    """
    If the header names no client, the connection counts for the proxy itself.
    """
    app = App(pages=Page())
    transport = raw(made(app), header + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert parseResponse(transport.take()).body.startswith(PROXY.encode("ascii"))


NAMED = (
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.5\r\n"
    b"X-Forwarded-Proto: https\r\n\r\n"
)


@pytest.mark.parametrize(
    "header", [LOCAL, b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x21\x00\x00\x00"]
)
@pytest.mark.parametrize("secure", [False, True])
def test_headers_behind_nobody(header: bytes, secure: bool, logs: Logs) -> None:
    """
    If the header names no client, headers in the request that name one are ignored: the
    proxy only passes bytes on, so they are from the client.
    """
    server = made(App(pages=Page()))
    if secure:
        # As TLS does: what is above it asks what is below it.
        server._port.wrapped = WrappingFactory(server.factory)
    answer = parseResponse(raw(server, header + NAMED).take())
    assert answer.body.startswith(PROXY.encode("ascii"))
    assert answer.body.endswith(b" False")


def test_headers_behind_it() -> None:
    """
    The client that a PROXY header names isn't a trusted proxy: its headers are ignored.
    If its address is trusted, they aren't.
    """
    request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.5\r\n\r\n"
    server = made(App(pages=Page()))
    answer = parseResponse(raw(server, LINE + request).take())
    assert answer.body == b"198.51.100.1 4711 False"
    trusted = ProxySettings((PROXY, "198.51.100.1"), protocol=True)
    server = MemoryServer(App(pages=Page()), proxies=trusted)
    answer = parseResponse(raw(server, LINE + request).take())
    assert answer.body == b"203.0.113.5 0 False"


def connect(server: MemoryServer, address: str, data: bytes) -> MemoryTransport:
    transport = server.connectTransport(address)
    transport.put(data)
    server.run()
    return transport


@pytest.mark.parametrize("header", [LINE, BINARY, LOCAL])
def test_strangers(header: bytes, logs: Logs) -> None:
    """
    From untrusted peers, a PROXY header is a malformed request. Without one, they are
    served under their own addresses.
    """
    server = made(App(pages=Page()))
    transport = connect(server, "203.0.113.9", header + handshake())
    assert parseResponse(transport.take()).status == 400
    assert transport.closedForWriting
    (line,) = logs.lines("refused")
    assert line.startswith("203.0.113.9:")
    get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    body = parseResponse(connect(server, "203.0.113.9", get).take()).body
    assert body.startswith(b"203.0.113.9 ")


def test_no_protocol() -> None:
    """
    Without the option, a PROXY header has no effect.
    """
    server = MemoryServer(App(), proxies=ProxySettings((PROXY,)))
    assert parseResponse(raw(server, LINE + handshake()).take()).status == 400


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (handshake(), "no PROXY header"),
        (b"PROXY TCP4 x\r\n", "malformed PROXY header"),
        (SIGNATURE + b"\x21\x11\xff\xff", "over 4096 bytes"),
    ],
)
def test_refused(data: bytes, words: str, logs: Logs) -> None:
    """
    A trusted proxy that doesn't send a valid header gets the reason, and so does the
    log. Later input is discarded.
    """
    server = made()
    transport = raw(server, data)
    answer = parseResponse(transport.take())
    assert answer.status == 400
    assert words.encode("ascii") in answer.body
    assert transport.closedForWriting
    (event,) = logs.events("refused")
    assert words in event["reason"]
    assert (event["status"], event["setting"]) == (400, "proxy-protocol")
    transport.put(LINE + handshake())
    server.run()
    assert not transport.take()
    server.advance(5)
    assert transport.aborted
    assert len(logs.lines()) == 1
    assert not server.clock.getDelayedCalls()


def test_head() -> None:
    """
    A request in place of a header gets an answer. One to HEAD has no body (RFC 9110
    section 9.3.2).
    """
    transport = raw(made(), b"HEAD /-/health HTTP/1.1\r\nHost: a\r\n\r\n")
    head, end, body = transport.take().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert end
    assert body == b""


def test_timeout(logs: Logs) -> None:
    """
    The header has open-timeout, and then the request has it again.
    """
    server = made(open_timeout=3)
    transport = raw(server, LINE[:-1])
    server.advance(3)
    assert parseResponse(transport.take()).status == 408
    (event,) = logs.events("no complete PROXY header in 3 seconds")
    assert event["setting"] == "open-timeout"
    transport.shut()
    server.run()
    assert not server.clock.getDelayedCalls()
    transport = raw(server, LINE)
    server.advance(3)
    (line,) = logs.lines("no complete request in 3 seconds")
    assert line.startswith("198.51.100.1:4711 ")


def test_health_checks(logs: Logs) -> None:
    """
    Connections that end before or after the header aren't logged; those that end within
    it are.
    """
    server = made()
    for data in (b"", LOCAL, LINE):
        transport = raw(server, data)
        transport.shut()
        server.run()
    assert not logs.lines()
    transport = raw(server, LINE[:9])
    transport.shut()
    server.run()
    (line,) = logs.lines()
    assert "went away within its PROXY header" in line
    assert not server.factory.roster.opening
    assert not server.clock.getDelayedCalls()


def test_held() -> None:
    """
    Before the applications have started, nothing is read, and no timeout runs.
    """
    app = App()
    server = made(app, open_timeout=3)
    server.factory.awaitStart()
    transport = raw(server, LINE + handshake())
    server.advance(5)
    assert not app.requests
    server.factory.serve()
    server.run()
    assert parseResponse(transport.take()).status == 101


def test_stop() -> None:
    """
    When the server stops, connections without a complete header are ended and waited
    for, new ones included.
    """
    server = made()
    transport = raw(server, LINE[:9])
    done = server.stop()
    late = server.connectTransport()
    server.run()
    assert transport.lost
    assert late.lost
    assert done.called
    assert not server.clock.getDelayedCalls()


def test_too_many(logs: Logs) -> None:
    """
    Clients are counted like others: one too many is refused under its own address.
    """
    server = made(max_connections=1)
    first = raw(server, LINE + handshake())
    second = raw(server, LINE.replace(b"198.51.100.1 ", b"198.51.100.9 ") + handshake())
    assert parseResponse(first.take()).status == 101
    assert parseResponse(second.take()).status == 503
    (line,) = logs.lines("too many")
    assert line.startswith("198.51.100.9:4711 ")


class _Port:
    """
    A port like Twisted's.
    """

    def __init__(self, factory: Any) -> None:
        self.factory = factory


class _Taken:
    """
    A factory that refuses every connection, and records its calls.
    """

    def __init__(self) -> None:
        self.told: list[Any] = []

    def buildProtocol(self, address: IAddress) -> None:
        self.told.append(address)

    def doStart(self) -> None:
        self.told.append("start")

    def doStop(self) -> None:
        self.told.append("stop")


def test_port(logs: Logs) -> None:
    """
    The port's own factory is asked for a protocol when the client is known, and is told
    about the port. Within TLS, no answer is sent in plain text.
    """
    server = made()
    wrapped = _Taken()
    port: Any = _Port(wrapped)
    useProxyProtocol(port, server.factory)
    port.factory.doStart()
    proxy = IPv4Address("TCP", PROXY, 1)
    host = IPv4Address("TCP", "192.0.2.2", 1)
    for data in (BINARY, b"\x16\x03"):
        transport = MemoryTransport(proxy, host)
        transport.attach(port.factory.buildProtocol(proxy))
        transport.put(data)
        transport.step()
        assert transport.aborted
        assert not transport.take()
    stranger = IPv4Address("TCP", "203.0.113.9", 1)
    assert port.factory.buildProtocol(stranger) is None
    port.factory.doStop()
    assert wrapped.told == ["start", SIX, stranger, "stop"]
    assert len(logs.lines("no PROXY header")) == 1


def test_other_ports() -> None:
    """
    A port without a factory can't use the protocol.
    """
    port: Any = object()
    with pytest.raises(ValueError, match="kind of endpoint"):
        useProxyProtocol(port, made().factory)


def test_pages_one_after_another() -> None:
    """
    The header applies to the whole connection.
    """
    server = made(App(pages=Page()))
    get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    answers = parseResponses(raw(server, LINE + get + get).take())
    assert [each.body for each in answers] == [b"198.51.100.1 4711 False"] * 2


def test_clock() -> None:
    """
    Without open-timeout, no timeout runs.
    """
    server = MemoryServer(
        App(), proxies=PROXIES, settings=Settings(open_timeout=0), clock=Clock()
    )
    raw(server, LINE[:5])
    assert not server.clock.getDelayedCalls()


@pytest.mark.parametrize("error", [OSError, SystemExit])
def test_client_that_cannot_be_served(error: type[BaseException], logs: Logs) -> None:
    """
    If no protocol can be made, as without a TLS context, the connection is ended: it
    would be counted nowhere.
    """
    server = made()

    def buildProtocol(_: object) -> Any:
        raise error("no context")

    server.factory.buildProtocol = buildProtocol  # type: ignore[method-assign, assignment]
    transport = raw(server, LINE)
    assert transport.lost
    (failure,) = logs.failures()
    assert failure.check(error)
    assert server.factory.opening == 0
    assert len(server.factory.deadlines) == 0
    assert server.stop().called
