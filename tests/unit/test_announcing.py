"""What the log says when the server is ready (wsplug.announcing)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.portal import Portal
from twisted.internet import tcp, unix
from twisted.internet.address import (
    HostnameAddress,
    IPv4Address,
    IPv6Address,
    UNIXAddress,
)
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from tests.auth.kit import passwords
from tests.live.certificates import Authority
from tests.server.kit import App, Logs
from tests.server.test_stopping import Endpoint
from wsplug import Mount, Settings, WebSocketService
from wsplug.admin.endpoints import AdminSettings
from wsplug.announcing import Place, Reach, placeOf
from wsplug.auth.checkers import makePortal
from wsplug.auth.options import Authentication
from wsplug.guard.access import Access
from wsplug.guard.proxies import ProxySettings
from wsplug.server.proxyprotocol import ProxiedFactory
from wsplug.tap import Options


@implementer(IListeningPort)
class Port:
    """A port that listens on nothing, with an address and a factory."""

    def __init__(self, address: IAddress, factory: Any = None) -> None:
        self._address = address
        self.factory = factory

    def startListening(self) -> None:
        pass

    def stopListening(self) -> None:
        pass

    def getHost(self) -> IAddress:
        return self._address


class Tls(TLSMemoryBIOFactory):
    """A port's TLS."""

    def __init__(self, needsCertificate: bool = False) -> None:
        self.wrappedFactory = Factory()
        self.needsCertificate = needsCertificate


def v4(host: str, port: int = 9000) -> IPv4Address:
    return IPv4Address("TCP", host, port)


def v6(host: str, port: int = 9000) -> IPv6Address:
    return IPv6Address("TCP", host, port)


class Paged(App):
    """An application with pages."""

    def __init__(self) -> None:
        super().__init__()
        self.pages = str(Path(__file__).parent)


ALL = "everybody"
HERE = "this machine only"

PLACES = [
    (v4("0.0.0.0"), None, "http://localhost:9000/ and ws://localhost:9000/", ALL),
    (v6("::"), None, "http://localhost:9000/ and ws://localhost:9000/", ALL),
    (v4("127.0.0.1"), None, "http://127.0.0.1:9000/ and ws://127.0.0.1:9000/", HERE),
    (v6("::1"), None, "http://[::1]:9000/ and ws://[::1]:9000/", HERE),
    (v4("192.0.2.7", 80), None, "http://192.0.2.7/ and ws://192.0.2.7/", ALL),
    (v6("2001:db8::1", 443), Tls(), "https://[2001:db8::1]/ and wss://[2001:db8::1]/",
     ALL),
    (v4("0.0.0.0", 80), Tls(), "https://localhost:80/ and wss://localhost:80/", ALL),
    (
        v4("0.0.0.0", 443),
        Tls(needsCertificate=True),
        "https://localhost/ and wss://localhost/",
        "everybody with a certificate",
    ),
    (
        v4("0.0.0.0", 443),
        ProxiedFactory(Tls(), Any),  # type: ignore[arg-type]
        "https://localhost/ and wss://localhost/",
        ALL,
    ),
    (UNIXAddress(b"/run/wsplug.sock"), None, "/ on unix:/run/wsplug.sock", HERE),
    (HostnameAddress(b"abc.onion", 80), None, "http://abc.onion/ and ws://abc.onion/",
     ALL),
    (
        HostnameAddress(b"abc.onion", 81),
        None,
        "http://abc.onion:81/ and ws://abc.onion:81/",
        ALL,
    ),
]  # fmt: skip


def start(
    addresses: list[Any],
    mounts: list[Mount] | None = None,
    portal: Portal | None = None,
    **options: Any,
) -> None:
    """Start a service on existing ports."""
    ports = [each if isinstance(each, Port) else Port(each) for each in addresses]
    service = WebSocketService(
        mounts or [Mount("/", Paged(), "chat")],
        [Endpoint(port) for port in ports],
        reactor=Clock(),
        authentication=Authentication(portal=portal),
        **options,
    )
    service.startService()
    service.stopService()


@pytest.mark.parametrize(("address", "factory", "urls", "reach"), PLACES)
def test_places(address: Any, factory: Any, urls: str, reach: str, logs: Logs) -> None:
    """A line has URLs that a person can click, and says who can reach the port."""
    start([Port(address, factory)])
    (event,) = logs.events("chat is at")
    assert (event["application"], event["urls"]) == ("chat", urls)
    assert (event["reach"], event["login"]) == (reach, "without a login")
    (line,) = logs.lines("chat is at")
    assert line == f"chat is at {urls}, for {reach}, without a login"


def test_documentation(logs: Logs) -> None:
    """The line in the documentation is the one that the chat logs."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "logs.md"
    start([v4("0.0.0.0")])
    (line,) = logs.lines("chat is at")
    assert f"\n    {line}\n" in page.read_text("utf-8")


def test_applications(logs: Logs) -> None:
    """Each application has one line, which lists all ports.

    Without pages, there is no http: URL. The widest reach counts. Paths are
    percent-encoded, and the URL of a page ends in a slash.
    """
    mounts = [
        Mount("/team/chat", Paged(), "chat"),
        Mount("/déjà vu", App(), "other"),
    ]
    settings = Settings(console=False)
    start([v4("127.0.0.1"), v4("192.0.2.7", 80)], mounts, settings=settings)
    assert logs.lines(" is at ") == [
        "chat is at http://127.0.0.1:9000/team/chat/ and "
        "ws://127.0.0.1:9000/team/chat, http://192.0.2.7/team/chat/ and "
        "ws://192.0.2.7/team/chat, for everybody, without a login",
        "other is at ws://127.0.0.1:9000/d%C3%A9j%C3%A0%20vu, "
        "ws://192.0.2.7/d%C3%A9j%C3%A0%20vu, for everybody, without a login",
    ]


@pytest.mark.parametrize(
    ("portal", "auth", "words"),
    [
        (passwords("ann", "secret"), True, "after a login"),
        (passwords("ann", "secret"), False, "without a login"),
        (makePortal(["memory:a:b", "anonymous"]), True, "with or without a login"),
        (None, True, "without a login"),
    ],
)  # fmt: skip
def test_logins(portal: Portal | None, auth: bool, words: str, logs: Logs) -> None:
    """The line says whether clients have to log in."""
    start([v4("0.0.0.0")], [Mount("/", App(), "chat", auth=auth)], portal)
    (line,) = logs.lines("chat is at")
    assert line.endswith(f", for everybody, {words}")


def test_console(logs: Logs) -> None:
    """The console is announced as a page, too."""
    start([v4("127.0.0.1")], [Mount("/", App(), "chat")])
    (event,) = logs.events("chat is at")
    assert event["urls"] == "http://127.0.0.1:9000/ and ws://127.0.0.1:9000/"


class Dangerous(App):
    """An application that must not be open to strangers."""

    danger = "use a program"


DANGERS = [
    (v4("0.0.0.0"), None, True, True),
    (v6("::"), None, True, True),
    (v4("127.0.0.1"), None, True, False),
    (UNIXAddress(b"/run/wsplug.sock"), None, True, False),
    (Port(v4("0.0.0.0"), Tls(needsCertificate=True)), None, True, False),
    (v4("0.0.0.0"), passwords("ann", "secret"), True, False),
    (v4("0.0.0.0"), passwords("ann", "secret"), False, True),
    (v4("0.0.0.0"), makePortal(["memory:ann:secret", "anonymous"]), True, True),
]


@pytest.mark.parametrize(("port", "portal", "auth", "warns"), DANGERS)
def test_danger(
    port: Any, portal: Portal | None, auth: bool, warns: bool, logs: Logs
) -> None:
    """A warning says where strangers can run a program."""
    start([port], [Mount("/", Dangerous(), "process", auth=auth)], portal)
    lines = logs.lines("everybody who reaches this machine can use a program")
    assert len(lines) == warns
    if warns:
        assert lines[0].startswith("process: ")
        assert "--auth" in lines[0]


def test_process() -> None:
    """The process application is dangerous in this sense."""
    options = Options(MemoryReactorClock())
    options.parseOptions(["--app", "process:command=cat"])
    (mount,) = options.parts.mounts
    application: Any = mount.application
    assert application.danger == "use a program"


def test_proxies(logs: Logs) -> None:
    """Behind trusted proxies, clients come from other machines, too."""
    access = Access(proxies=ProxySettings(("127.0.0.1",)))
    start([v4("127.0.0.1"), UNIXAddress(b"/run/a")], access=access)
    assert logs.events("chat is at")[0]["reach"] == "this machine and its proxies"


def test_nothing_else(logs: Logs) -> None:
    """Nothing is announced for the operators' page, which is no application, for
    metrics that weren't requested, or without a port.
    """
    start([v4("0.0.0.0")], admin=AdminSettings(token="x" * 32))
    assert len(logs.lines(" is at ")) == 1
    assert not logs.lines("metrics")
    start([])
    assert len(logs.lines(" is at ")) == 1


class Reactor(MemoryReactorClock):
    """A reactor whose ports are real, but are never read."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ports: list[Any] = []

    def _start(self, port: Any) -> Any:
        port.startListening()
        self.ports.append(port)
        return port

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> Any:
        return self._start(tcp.Port(port, factory, backlog, interface, self))

    def listenUNIX(
        self,
        address: Any,
        factory: Any,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> Any:
        return self._start(
            unix.Port(address, factory, backlog, mode, self, wantPID=wantPID)
        )

    def listenSSL(
        self,
        port: int,
        factory: Any,
        contextFactory: Any,
        backlog: int = 50,
        interface: str = "",
    ) -> Any:
        below = TLSMemoryBIOFactory(contextFactory, False, factory)
        return self.listenTCP(port, below, backlog, interface)

    def adoptStreamPort(self, fileDescriptor: int, family: Any, factory: Any) -> Any:
        port = tcp.Port._fromListeningDescriptor(self, fileDescriptor, family, factory)
        return self._start(port)


TLS = ("--port=0", "--tls-cert=FILE")

LISTENING = [
    (["--listen=tcp:0"], Place("", Reach.EVERYBODY, False, "localhost")),
    (
        ["--listen=tcp:0:interface=127.0.0.1"],
        Place("", Reach.MACHINE, False, "127.0.0.1"),
    ),
    (["--listen=tcp6:0:interface=\\:\\:1"], Place("", Reach.MACHINE, False, "[::1]")),
    (["--listen=unix:SOCKET"], Place("unix:SOCKET", Reach.MACHINE)),
    (
        ["--listen=ssl:0:certKey=FILE:privateKey=FILE"],
        Place("", Reach.EVERYBODY, True, "localhost"),
    ),
    (
        ["--listen=haproxy:ssl:0:certKey=FILE:privateKey=FILE"],
        Place("", Reach.EVERYBODY, True, "localhost"),
    ),
    (
        ["--port=0", "--interface=::1", "--tls-cert=FILE"],
        Place("", Reach.MACHINE, True, "[::1]"),
    ),
    (
        [*TLS, "--tls-client-ca=FILE"],
        Place("", Reach.CERTIFICATE, True, "localhost"),
    ),
    (
        [*TLS, "--tls-client-ca=FILE", "--tls-client=optional"],
        Place("", Reach.EVERYBODY, True, "localhost"),
    ),
    (["--port=0", "--reuse-port"], Place("", Reach.EVERYBODY, False, "localhost")),
    (
        [*TLS, "--reuse-port"],
        Place("", Reach.EVERYBODY, True, "localhost"),
    ),
]


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and its key."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    issued = Authority().issue("localhost")
    path.write_bytes(issued.certificate + issued.key)
    return path


# Twisted 24 passes a deprecated kind of object to a new pyOpenSSL.
@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")
@pytest.mark.parametrize(
    ("arguments", "expected"), LISTENING, ids=lambda each: str(each)[:40]
)
def test_endpoint_strings(
    arguments: list[str], expected: Place, pem: Path, tmp_path: Path
) -> None:
    """Each way to say where to listen gives the location that it leads to."""
    path = str(tmp_path / "s")
    reactor = Reactor()
    options = Options(reactor)
    given = [each.replace("FILE", str(pem)) for each in arguments]
    options.parseOptions(
        ["--app=echo", *(each.replace("SOCKET", path) for each in given)]
    )
    ((_, endpoint),) = options.parts.endpoints
    listening: list[Any] = []
    endpoint.listen(Factory()).addCallback(listening.append)
    (port,) = listening
    place = placeOf(port)
    assert (place.reach, place.secure) == (expected.reach, expected.secure)
    assert place.host == expected.host
    if expected.host is None:
        assert place.name == expected.name.replace("SOCKET", path)
    else:
        assert place.port == port.getHost().port
    port.stopListening()
    reactor.advance(1)


def test_inherited() -> None:
    """The location of an inherited socket is the socket's address."""
    reactor = Reactor()
    inherited = socket.create_server(("127.0.0.1", 0))
    number = inherited.getsockname()[1]
    # The endpoint closes the descriptor: its port has a copy.
    endpoint = AdoptedStreamServerEndpoint(reactor, inherited.detach(), socket.AF_INET)
    listening: list[Any] = []
    endpoint.listen(Factory()).addCallback(listening.append)
    (port,) = listening
    name = f"127.0.0.1:{number}"
    assert placeOf(port) == Place(name, Reach.MACHINE, False, "127.0.0.1", number)
    port.stopListening()
    reactor.advance(1)
