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
    """Addresses, localhost and what is below it, and the hosts of --origin."""
    assert HostRules(ORIGINS).knows(host.encode())


@pytest.mark.parametrize("host", BAD)
def test_bad_hosts(host: str) -> None:
    """Whatever else a page could have its name lead here by."""
    rules = HostRules(ORIGINS)
    assert not rules.knows(host.encode("latin-1"))
    assert not rules.knows(None)
    assert not HostRules((), ["*"]).knows(b"a" * 513)


def test_names() -> None:
    """--allowed-host names further ones, with all below them, or any."""
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
    """What is no name is told, with what would be one."""
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
    """A page's handshake whose name leads here."""
    return handshake(changes={"Host": host, "Origin": f"http://{host}"}, more=more)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.99", "::1"])
def test_rebound(address: str, logs: Logs) -> None:
    """
    A page on the server's own machine whose name leads here is refused before any
    application hears of it. Body and log name the host and the ways to let it in.
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
    What is shown of the host has no characters of HTML or of a shell, and is bounded.
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
    """The machine is also who comes from the address that it comes to."""
    server = MemoryServer(App())
    assert send(server, "192.0.2.7", rebound(), here="192.0.2.7").status == 421
    assert send(server, "192.0.2.8", rebound(), here="192.0.2.7").status == 101


@pytest.mark.parametrize(
    "host", ["localhost:9000", "127.0.0.1:9000", "[::1]:9000", "a.localhost"]
)
def test_names_of_the_machine(host: str) -> None:
    """Its own pages go on to work."""
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
    """No page can add these to a handshake: a proxy has, whoever it is."""
    data = rebound(more=(mark,)).replace(b"Origin: http:", b"Origin: https:")
    assert send(MemoryServer(App()), "127.0.0.1", data).status == 101


def test_trusted_proxy() -> None:
    """One that is trusted needs no mark."""
    server = MemoryServer(App(), proxies=ProxySettings(("127.0.0.1",)))
    assert send(server, "127.0.0.1", rebound()).status == 101


def test_proxy_protocol() -> None:
    """So does one that says in a PROXY header that the client is on this machine."""
    proxies = ProxySettings(("127.0.0.1",), protocol=True)
    server = MemoryServer(App(), proxies=proxies)
    header = b"PROXY TCP4 127.0.0.1 127.0.0.1 4711 80\r\n"
    assert send(server, "127.0.0.1", header + rebound()).status == 101


def test_no_page() -> None:
    """What has no Origin is no page's WebSocket."""
    data = handshake(changes={"Host": REBOUND})
    assert send(MemoryServer(App()), "127.0.0.1", data).status == 101


def test_named() -> None:
    """Hosts that --allowed-host or --origin names may be reached by, and pages of
    origins that are named may come by whatever name."""
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
    """A page whose origin may not connect is told that, whatever its Host is."""
    server = MemoryServer(App())
    for origin in ("https://elsewhere.example", "null"):
        data = handshake(changes={"Host": REBOUND, "Origin": origin})
        assert send(server, "127.0.0.1", data).status == 403


@pytest.mark.parametrize("origin", ["*", "null"])
def test_everybody_is_nobody(origin: str) -> None:
    """Rules that speak of no page in particular don't name a host."""
    server = MemoryServer(App(), origins=[origin, "same-host"])
    assert send(server, "127.0.0.1", rebound()).status == 421
    data = handshake(changes={"Host": REBOUND, "Origin": "null"})
    assert send(server, "127.0.0.1", data).status == 421


class Posted(Resource):
    """Takes what is posted."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return b"read"

    render_POST = render_GET


@pytest.mark.parametrize("mark", ["", "X-Forwarded-For: 203.0.113.1\r\n"])
def test_posts(mark: str) -> None:
    """
    The same holds for what a page posts. There it can add headers like a proxy's. A
    page that is only looked at says nothing of where it was asked for.
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
