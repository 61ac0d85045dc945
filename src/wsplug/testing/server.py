"""
The server of a test, with its application and its clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

from twisted.cred.portal import Portal
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from wsplug.auth.authenticator import Authenticator, Login
from wsplug.auth.options import Authentication
from wsplug.auth.realm import Realm
from wsplug.awaiting import maybeAwait
from wsplug.broker import MemoryBroker
from wsplug.guard.access import Access
from wsplug.guard.origins import SAME_HOST, SAME_ORIGIN
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
The address of clients for which a test gives none.
"""


_HERE: Final = "198.51.100.1"
_HERE6: Final = "2001:db8:5::1"
"""
The server's own addresses. A client with one of them would count as being on the
server's machine, so they are in a network of their own.
"""


def _addressOf(address: str, port: int) -> IPv4Address | IPv6Address:
    if ":" in address:
        return IPv6Address("TCP", address, port)
    return IPv4Address("TCP", address, port)


class _Given(Authenticator):
    """
    Logs clients in with a given avatar, without credentials.
    """

    def __init__(self, avatar: object) -> None:
        super().__init__(Portal(Realm()), Clock())
        self._avatar = avatar

    def find(self, request: Any, passwords: bool, cookies: bool) -> Any:
        return self._avatar

    async def logIn(self, credentials: Any, request: Any, allows: object) -> Login:
        return Login(credentials, lambda: None)


class MemoryServer:
    """
    A server with one application, and a clock that only moves when you advance it.

    @ivar clock: a C{twisted.internet.task.Clock}.
    @ivar application: the L{IWebSocketApplication}.
    @ivar broker: the L{IBroker} of the application.
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
        frameAncestors: Sequence[str] = (SAME_ORIGIN,),
        exempt: Sequence[str] = (CLIENT,),
        compression: bool = True,
        clock: Clock | None = None,
        broker: IBroker | None = None,
        proxies: ProxySettings | None = None,
        portal: Portal | None = None,
        authCookie: str = "",
        authFirstMessage: str = "browsers",
        auth: bool = True,
        subprotocols: Sequence[str] | None = None,
        pages: str | PathLike[str] | None = None,
    ) -> None:
        """
        @param application: a plugin (what C{@application} makes is one) or an
            L{IWebSocketApplication}.
        @param options: the plugin's options, as on the command line or in the
            configuration file. The others have their defaults.
        @param path: where the application is mounted.
        @param settings: the server's settings.
        @param origins: which pages may connect.
        @param hosts: names by which pages on the server's own machine may reach it.
        @param frameAncestors: which sites may show the application's pages in a frame.
        @param exempt: networks to which the limits for addresses and the rates don't
            apply. By default, these are the clients for which a test gives no address.
        @param compression: whether the mount allows compression.
        @param clock: the clock to use instead of a new one.
        @param broker: the broker to use instead of a new one, for instance that of
            another server in the same test. It has been started.
        @param proxies: are trusted to name the client; by default, there are none.
        @param portal: logs clients in; see L{wsplug.WebSocketService}. Clients with the
            C{avatar} of L{connect} needn't log in.
        @param authCookie: as for the service.
        @param authFirstMessage: as for the service.
        @param auth: whether the mount requires a login, if there is a portal.
        @param subprotocols: the subprotocols that the mount takes in place of the
            application's.
        @param pages: a folder of pages in place of the application's.
        @raise wsplug.errors.InvalidOption: an option is unknown or wrong.
        @raise Exception: C{startApplication} failed with it.
        """
        self.clock = clock if clock is not None else Clock()
        self.broker = broker if broker is not None else MemoryBroker(self.clock)
        name = "application"
        if IWebSocketApplicationPlugin.providedBy(application):
            plugin = application
            values = parseOptions(plugin.options, options or {})
            logins = portal is not None
            services = Services(
                self.clock, self.clock, self.broker, logins, plugin.name
            )
            application = plugin.makeApplication(values, services)
            name = plugin.name
        mount = Mount(
            path,
            application,
            name,
            compression,
            auth,
            subprotocols=subprotocols,
            folder=pages,
        )
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
        starting = maybeAwait(self.application.startApplication)
        starting.addErrback(failures.append)
        if failures:
            failures[0].raiseException()

    def connectTransport(
        self, address: str = CLIENT, *, certificate: Certificate | None = None
    ) -> MemoryTransport:
        """
        Connect without a handshake, to send your own bytes.

        @param address: the client's address, IPv4 or IPv6.
        @param certificate: the client's certificate. With one, the connection counts as
            one over TLS. The certificate isn't checked.
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
        @param subprotocols: the subprotocols that the client offers.
        @param origin: the origin of the page, as a browser sends it.
        @param compression: whether the client offers permessage-deflate.
        @param address: the client's address, IPv4 or IPv6.
        @param certificate: the client's certificate. With one, the connection counts as
            one over TLS.
        @param avatar: the user who is logged in: C{request.avatar}.
        @return: the client. Its connection is open, unless the application answers the
            handshake later: see L{MemoryClient.opened}.
        @raise wsplug.errors.HandshakeRefused: the server refuses the handshake. The
            exception has the status and the body.
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
        Log in each client that connects within the context.
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
        Send a plain HTTP request, for instance for one of the application's pages, over
        a connection of its own.

        @param method: the method, such as C{"GET"}.
        @param target: path and query.
        @param headers: further request headers.
        @param body: the body of the request.
        @param address: the client's address, IPv4 or IPv6.
        @return: the response.
        @raise AssertionError: there is no response, or only a part of it, for instance
            because the resource is waiting.
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
        Run everything that is due, on both sides.
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
        Let time pass, in steps of at most an eighth of a second, which add up without
        rounding.

        @param seconds: how much time passes. 0 runs what is due, as L{run} does.
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

        @return: fires when that is done, which may need L{advance}.
        """
        stopping = self.factory.closeConnections()
        stop = self.application.stopApplication
        stopping.addCallback(lambda _: maybeAwait(stop))
        self.run()
        return stopping
