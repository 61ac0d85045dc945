"""Which hosts requests may be for (DNS rebinding): wsplug.guard.hosts."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.web.resource import Resource

from tests.server.kit import App, Logs, handshake, parseResponse
from wsplug.guard.hosts import HostRules
from wsplug.guard.proxies import ProxySettings
from wsplug.testing import MemoryServer

GOOD = [
    "127.0.0.1:9001",
    "127.0.0.1",
    "[::1]:9001",
    "[2001:db8::1]",
    "localhost:9001",
    "LOCALHOST",
    "localhost.",
    "chat.localhost:9000",
    "example.org",
    "example.org:80",
    "a.b.example.net",
]

BAD = [
    "",
    "evil.example",
    "evil.example:9001",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "0x7f000001",
    "127.1",
    "[evil]",
    "[::1]evil",
    "a@localhost",
    "localhost:9001:1",
    "lo\xe4calhost",
    "example.net",
    "evilexample.net",
    ".localhost",
    "abcdef",
]

ORIGINS = [
    "same-host",
    "*",
    "null",
    "https://example.org",
    "https://*.example.net",
    "chrome-extension://abcdef",
]

REBOUND = "evil.example"


@pytest.mark.parametrize("host", GOOD)
def test_good_hosts(host: str) -> None:
    """Addresses, localhost with its subdomains, and the hosts of --origin are known."""
    assert HostRules(ORIGINS).knows(host.encode())


@pytest.mark.parametrize("host", BAD)
def test_bad_hosts(host: str) -> None:
    """Any other name, which an attacker's page could make lead to this server, is
    unknown."""
    rules = HostRules(ORIGINS)
    assert not rules.knows(host.encode("latin-1"))
    assert not rules.knows(None)
    assert not HostRules((), ["*"]).knows(b"a" * 513)


def test_names() -> None:
    """--allowed-host adds names, with all their subdomains, or any name."""
    rules = HostRules((), ["Chat.test.", "*.example.org"])
    for good in (b"chat.test:9000", b"CHAT.test", b"a.b.example.org"):
        assert rules.knows(good)
    for bad in (b"a.chat.test", b"example.org", b"chat.tes"):
        assert not rules.knows(bad)
    assert HostRules((), ["*"]).knows(b"evil.example")


@pytest.mark.parametrize(
    "name", ["", "http://chat.test", "chat.test:80", "chat.test/", "*.", "a.*.b", "a b"]
)
def test_wrong_names(name: str) -> None:
    """An invalid name is reported with an example of a valid one."""
    with pytest.raises(ValueError, match=r"is not a host name like chat\.example\.org"):
        HostRules((), [name])


def send(
    server: MemoryServer, address: str, data: bytes, here: str | None = None
) -> Any:
    """
    Send a request from an address.

    @param here: the server's own address on that connection.
    """
    transport = server.connectTransport(address)
    if here is not None:
        host: Any = type(transport.getHost())("TCP", here, 9000)
        transport._host = host
    transport.put(data)
    server.run()
    return parseResponse(transport.take())


def rebound(host: str = REBOUND, more: tuple[str, ...] = ()) -> bytes:
    """Make the handshake of a page whose name leads to this server."""
    return handshake(changes={"Host": host, "Origin": f"http://{host}"}, more=more)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.99", "::1"])
def test_rebound(address: str, logs: Logs) -> None:
    """
    On the server's own machine, a page whose name leads to this server is refused
    before the application is called. Body and log name the host and the ways to allow
    it.
    """
    app = App()
    server = MemoryServer(app)
    response = send(server, address, rebound())
    assert response.status == 421
    assert not app.recorders
    (line,) = logs.lines()
    for words in (
        f"unknown Host {REBOUND}",
        f"--allowed-host {REBOUND}",
        "--trusted-proxy",
    ):
        assert words.encode() in response.body
        assert words in line
    assert line.endswith("(allowed-host)")
    assert dict(response.headers)["content-type"] == "text/plain; charset=utf-8"
    assert dict(response.headers)["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("a&;$(x)'", b"Host a????x??: "),
        ("a" * 600, b"Host " + b"a" * 300 + b"...: "),
    ],
)
def test_host_is_input(host: str, shown: bytes) -> None:
    """
    The host as shown has no characters of HTML or of a shell, and its length is
    bounded.
    """
    data = handshake(more=["Origin: https://a.example"])
    data = data.replace(
        b"Host: server.example:9000", b"Host: " + host.encode("latin-1")
    )
    server = MemoryServer(App(), origins=["*"])
    response = send(server, "127.0.0.1", data)
    assert response.status == 421
    assert shown in response.body


def test_own_address() -> None:
    """A client is also on the server's machine if its address is the server's own."""
    server = MemoryServer(App())
    assert send(server, "192.0.2.7", rebound(), here="192.0.2.7").status == 421
    assert send(server, "192.0.2.8", rebound(), here="192.0.2.7").status == 101


@pytest.mark.parametrize(
    "host", ["localhost:9000", "127.0.0.1:9000", "[::1]:9000", "a.localhost"]
)
def test_names_of_the_machine(host: str) -> None:
    """Pages of the machine's own names still work."""
    assert send(MemoryServer(App()), "127.0.0.1", rebound(host)).status == 101


@pytest.mark.parametrize(
    "mark",
    [
        "X-Forwarded-For: 203.0.113.1",
        "Forwarded: for=203.0.113.1",
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Proto: https",
        "X-Real-IP: 203.0.113.1",
        "Via: 1.1 proxy",
    ],
)
def test_marked_by_a_proxy(mark: str) -> None:
    """No page can add these headers to a handshake, so a proxy has added them,
    whichever it is."""
    data = rebound(more=(mark,)).replace(b"Origin: http:", b"Origin: https:")
    assert send(MemoryServer(App()), "127.0.0.1", data).status == 101


def test_trusted_proxy() -> None:
    """A trusted proxy needs no such header."""
    server = MemoryServer(App(), proxies=ProxySettings(("127.0.0.1",)))
    assert send(server, "127.0.0.1", rebound()).status == 101


def test_proxy_protocol() -> None:
    """Nor does a trusted proxy whose PROXY header says that the client is on this
    machine."""
    proxies = ProxySettings(("127.0.0.1",), protocol=True)
    server = MemoryServer(App(), proxies=proxies)
    header = b"PROXY TCP4 127.0.0.1 127.0.0.1 4711 80\r\n"
    assert send(server, "127.0.0.1", header + rebound()).status == 101


def test_no_page() -> None:
    """A handshake without Origin comes from no page."""
    data = handshake(changes={"Host": REBOUND})
    assert send(MemoryServer(App()), "127.0.0.1", data).status == 101


def test_named() -> None:
    """A host that --allowed-host or --origin names is accepted. A page of a named
    origin may use any host."""
    for options in (
        {"hosts": [REBOUND]},
        {"hosts": ["*"]},
        {"origins": [f"https://{REBOUND}"]},
    ):
        server = MemoryServer(App(), **options)  # type: ignore[arg-type]
        assert send(server, "127.0.0.1", rebound()).status == 101
    server = MemoryServer(App(), origins=["https://example.org"])
    data = handshake(changes={"Host": "upstream", "Origin": "https://example.org"})
    assert send(server, "127.0.0.1", data).status == 101


def test_origins_first() -> None:
    """A page whose origin may not connect is refused for its origin, whatever its
    Host."""
    server = MemoryServer(App())
    for origin in ("https://elsewhere.example", "null"):
        data = handshake(changes={"Host": REBOUND, "Origin": origin})
        assert send(server, "127.0.0.1", data).status == 403


@pytest.mark.parametrize("origin", ["*", "null"])
def test_everybody_is_nobody(origin: str) -> None:
    """Origin rules that name no page in particular add no host."""
    server = MemoryServer(App(), origins=[origin, "same-host"])
    assert send(server, "127.0.0.1", rebound()).status == 421
    data = handshake(changes={"Host": REBOUND, "Origin": "null"})
    assert send(server, "127.0.0.1", data).status == 421


class Posted(Resource):
    """Accepts a POST."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return b"read"

    render_POST = render_GET


@pytest.mark.parametrize("mark", ["", "X-Forwarded-For: 203.0.113.1\r\n"])
def test_posts(mark: str) -> None:
    """
    The same holds for a POST by a page. There, a page can add headers like a proxy's. A
    GET doesn't say which page requested it.
    """
    app = App()
    app.pages = Posted()  # type: ignore[no-untyped-call]
    server = MemoryServer(app)
    head = f"Host: {REBOUND}\r\n{mark}"
    page = f"{head}Origin: http://{REBOUND}\r\nContent-Length: 1\r\n\r\nx"
    data = f"POST / HTTP/1.1\r\n{page}".encode()
    assert send(server, "127.0.0.1", data).status == 421
    ours = data.replace(REBOUND.encode(), b"127.0.0.1")
    assert send(server, "127.0.0.1", ours).status == 200
    assert send(server, "192.0.2.1", data).status == 200
    data = f"GET / HTTP/1.1\r\n{head}\r\n".encode()
    assert send(server, "127.0.0.1", data).status == 200
