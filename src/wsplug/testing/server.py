"""
The server of a test, with its application and its clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from twisted.cred.portal import Portal
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from wsplug.auth.authenticator import Authenticator, Login
from wsplug.auth.options import Authentication
from wsplug.auth.realm import Realm
from wsplug.broker import MemoryBroker
from wsplug.guard.access import Access
from wsplug.guard.origins import SAME_HOST
from wsplug.guard.proxies import ProxySettings
from wsplug.interfaces import IBroker, IWebSocketApplicationPlugin
from wsplug.options import parseOptions
from wsplug.plugins import Services
from wsplug.server import Mount, Settings
from wsplug.server.proxyprotocol import ProxiedFactory
from wsplug.serving import makeFactory
from wsplug.testing.client import MemoryClient
from wsplug.testing.response import MemoryResponse, parseResponse
from wsplug.testing.transport import MemoryTLSTransport, MemoryTransport

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["CLIENT", "MemoryServer"]

_KEY: Final = b"dGhlIHNhbXBsZSBub25jZQ=="

_HOST: Final = "server.example:9000"

CLIENT: Final = "192.0.2.1"
"""
The address of clients that are given no other.
"""


_HERE: Final = "198.51.100.1"
_HERE6: Final = "2001:db8:5::1"
"""
The server's own addresses: of a network that no client of a test is from, which would
be the server's machine.
"""


def _addressOf(address: str, port: int) -> IPv4Address | IPv6Address:
    if ":" in address:
        return IPv6Address("TCP", address, port)
    return IPv4Address("TCP", address, port)


class _Given(Authenticator):
    """
    Asks nobody anything: who it is was said already.
    """

    def __init__(self, avatar: object) -> None:
        super().__init__(Portal(Realm()), Clock())
        self._avatar = avatar

    def find(self, request: Any, trusted: bool, cookies: bool = True) -> Any:
        return self._avatar

    async def logIn(self, credentials: Any, request: Any) -> Login:
        return Login(credentials, lambda: None)


class MemoryServer:
    """
    A server with one application, and a clock that stands still until it is turned.

    @ivar clock: a C{twisted.internet.task.Clock}.
    @ivar application: the L{IWebSocketApplication}.
    @ivar broker: the L{IBroker} that it was given.
    @ivar factory: the L{WebSocketFactory}.
    """

    def __init__(
        self,
        application: Any,
        *,
        options: dict[str, object] | None = None,
        path: str = "/",
        settings: Settings | None = None,
        origins: Sequence[str] = (SAME_HOST,),
        hosts: Sequence[str] = (),
        frameAncestors: Sequence[str] = (SAME_HOST,),
        exempt: Sequence[str] = (CLIENT,),
        compression: bool = True,
        clock: Clock | None = None,
        broker: IBroker | None = None,
        proxies: ProxySettings | None = None,
        portal: Portal | None = None,
        authCookie: str = "",
        authFirstMessage: str = "browsers",
        auth: bool = True,
    ) -> None:
        """
        @param application: a plugin (what C{@application} makes is one) or an
            L{IWebSocketApplication}.
        @param options: of a plugin: those that aren't left at their defaults, as the
            command line or the configuration file would give them.
        @param path: where it is mounted.
        @param settings: the server's.
        @param origins: which pages may connect.
        @param hosts: names by which pages on the server's own machine may reach it.
        @param frameAncestors: which sites may show the application's pages in a frame.
        @param exempt: networks that the limits for each address, and the rates, don't
            hold for: clients that are given no address, unless it is said.
        @param compression: whether the mount allows it.
        @param clock: another one to use.
        @param broker: another one to use, which has been started, as that of another
            server in the same test.
        @param proxies: are trusted to name the client; by default, there are none.
        @param portal: has clients log in; see L{wsplug.WebSocketService}. Those that
            L{connect} gives an avatar don't have to.
        @param authCookie: as for the service.
        @param authFirstMessage: as for the service.
        @param auth: whether the mount wants clients to log in, if there is a portal.
        @raise wsplug.errors.InvalidOption: an option is unknown or wrong.
        @raise Exception: whatever C{startApplication} failed with.
        """
        self.clock = clock if clock is not None else Clock()
        self.broker = broker if broker is not None else MemoryBroker(self.clock)
        name = "application"
        if IWebSocketApplicationPlugin.providedBy(application):
            plugin = application
            values = parseOptions(plugin.options, options or {})
            logins = portal is not None
            services = Services(self.clock, self.clock, self.broker, logins)
            application = plugin.makeApplication(values, services)
            name = plugin.name
        mount = Mount(path, application, name, compression, auth)
        self.application = mount.application
        self.factory = makeFactory(
            [mount],
            self.clock,
            settings=settings if settings is not None else Settings(),
            access=Access(
                tuple(origins),
                tuple(hosts),
                tuple(frameAncestors),
                tuple(exempt),
                proxies if proxies is not None else ProxySettings(),
            ),
            authentication=Authentication(
                cookie=authCookie, firstMessage=authFirstMessage, portal=portal
            ),
        )
        self._port: Any = self.factory
        if self.factory.proxies.settings.protocol:
            self._port = ProxiedFactory(self.factory, self.factory)
        self._transports: list[MemoryTransport] = []
        self._clients: list[MemoryClient] = []
        self._ports = iter(range(50000, 1 << 30))
        failures: list[Failure] = []
        starting = maybeDeferred(self.application.startApplication)
        starting.addErrback(failures.append)
        if failures:
            failures[0].raiseException()

    def connectTransport(
        self, address: str = CLIENT, *, certificate: Certificate | None = None
    ) -> MemoryTransport:
        """
        Connect without a handshake: for bytes of one's own.

        @param address: the client's, IPv4 or IPv6.
        @param certificate: the one that the client shows: the connection counts as one
            over TLS then. It is checked by nobody.
        """
        peer = _addressOf(address, next(self._ports))
        host = _addressOf(_HERE6 if ":" in address else _HERE, 9000)
        transport = (
            MemoryTransport(peer, host)
            if certificate is None
            else MemoryTLSTransport(peer, host, certificate)
        )
        self._transports.append(transport)
        transport.attach(self._port.buildProtocol(peer))
        return transport

    def connect(
        self,
        target: str = "/",
        *,
        headers: Iterable[tuple[str, str]] = (),
        subprotocols: Sequence[str] = (),
        origin: str | None = None,
        compression: bool = False,
        address: str = CLIENT,
        certificate: Certificate | None = None,
        avatar: object = None,
    ) -> MemoryClient:
        """
        Connect a client.

        @param target: path and query.
        @param headers: further request headers.
        @param subprotocols: those that the client offers.
        @param origin: the page's, as a browser sends it.
        @param compression: whether it offers permessage-deflate.
        @param address: the client's, IPv4 or IPv6.
        @param certificate: the one that the client shows, over TLS then.
        @param avatar: who it has proved to be already: C{request.avatar}.
        @return: the client. It is open already, unless the application answers the
            handshake later: see L{MemoryClient.opened}.
        @raise wsplug.errors.HandshakeRefused: the server refuses it, with what status
            and body.
        """
        transport = self.connectTransport(address, certificate=certificate)
        client = MemoryClient(transport, self.run)
        lines = [
            f"GET {target} HTTP/1.1",
            f"Host: {_HOST}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {_KEY.decode('ascii')}",
        ]
        if origin is not None:
            lines.append(f"Origin: {origin}")
        if subprotocols:
            lines.append("Sec-WebSocket-Protocol: " + ", ".join(subprotocols))
        if compression:
            lines.append("Sec-WebSocket-Extensions: permessage-deflate")
        lines.extend(f"{name}: {value}" for name, value in headers)
        transport.put("\r\n".join([*lines, "", ""]).encode("latin-1"))
        self._clients.append(client)
        with self._loggedIn(avatar):
            self.run()
        if client.refused is not None:
            raise client.refused
        return client

    @contextmanager
    def _loggedIn(self, avatar: object) -> Iterator[None]:
        """
        Have whoever connects meanwhile be somebody.
        """
        if avatar is None:
            yield
            return
        usual, self.factory.authenticator = self.factory.authenticator, _Given(avatar)
        try:
            yield
        finally:
            self.factory.authenticator = usual

    def request(
        self,
        method: str,
        target: str = "/",
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        address: str = CLIENT,
    ) -> MemoryResponse:
        """
        Send a plain HTTP request, as for one of the application's pages, over a
        connection of its own.

        @param method: as C{"GET"}.
        @param target: path and query.
        @param headers: further request headers.
        @param body: the request's.
        @param address: the client's, IPv4 or IPv6.
        @return: the response.
        @raise AssertionError: none has come, or only a part; as where what answers
            waits for something.
        """
        lines = [f"{method} {target} HTTP/1.1", f"Host: {_HOST}"]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        lines.extend(f"{name}: {value}" for name, value in headers)
        transport = self.connectTransport(address)
        transport.put("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        self.run()
        answer = bytearray()
        while part := transport.take():
            answer += part
            self.run()
        transport.shut()
        self.run()
        return parseResponse(bytes(answer), method)

    def run(self) -> None:
        """
        Let everything happen that is due, on both sides.
        """
        moved = True
        while moved:
            self.clock.advance(0)
            steps = [transport.step() for transport in self._transports]
            moved = any(steps + [client.read() for client in self._clients])
        self._transports = [each for each in self._transports if not each.lost]
        self._clients = [each for each in self._clients if not each.transport.lost]

    def advance(self, seconds: float) -> None:
        """
        Let time pass, in steps of at most an eighth of a second: a number that sums up
        without rounding.

        @param seconds: with 0, what is due happens, as by L{run}.
        """
        if not seconds:
            self.run()
        while seconds > 0:
            step = min(seconds, 0.125)
            self.clock.advance(step)
            self.run()
            seconds -= step

    def stop(self) -> Deferred[None]:
        """
        Stop as the service does: close all connections, then stop the application.

        @return: fires when that is done; time may have to pass.
        """
        stopping = self.factory.closeConnections()
        stop = self.application.stopApplication
        stopping.addCallback(lambda _: maybeDeferred(stop))
        self.run()
        return stopping
