"""
The factory: what all connections of a server have in common, and the list of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.web.server import Site

from wsplug.codec import CloseCode, DeflateAgreement, DeflatePolicy
from wsplug.errors import HandshakeRefused
from wsplug.guard.origins import SAME_HOST, OriginRules
from wsplug.interfaces import IWebSocketProtocol
from wsplug.server.connection import Connection
from wsplug.server.deadlines import Deadlines
from wsplug.server.draining import Draining
from wsplug.server.flusher import Flusher
from wsplug.server.mounts import Mount, Mounts
from wsplug.server.protocol import WebSocketServerProtocol
from wsplug.server.request import HandshakeRequest
from wsplug.server.settings import Settings

__all__ = ["WebSocketFactory"]


class WebSocketFactory(ServerFactory):
    """
    Makes the protocols of one server, for any number of ports.

    @ivar connections: the open ones.
    @ivar held: whether new connections have to wait for the applications.
    @ivar draining: how the connections are being ended, once they are.
    """

    noisy = False

    def __init__(
        self,
        mounts: Iterable[Mount],
        *,
        clock: IReactorTime,
        settings: Settings | None = None,
        origins: Sequence[str] = (SAME_HOST,),
        site: Site | None = None,
    ) -> None:
        """
        @param mounts: the applications. Whoever makes the factory starts and stops
            them; L{wsplug.WebSocketService} does.
        @param clock: the reactor, or in tests a clock that they turn.
        @param settings: the default ones where not given.
        @param origins: which pages may connect; see L{OriginRules}.
        @param site: answers plain HTTP requests; without it each gets 426 or 404.
        @raise InvalidOption: two mounts have the same path.
        @raise ValueError: an origin is none.
        """
        self.mounts = Mounts(mounts)
        self.clock = clock
        self.settings = settings if settings is not None else Settings()
        self.origins = OriginRules(origins)
        self.site = site
        self.deadlines = Deadlines(clock)
        self.flusher = Flusher(clock)
        self.connections: set[Connection] = set()
        self._opening: set[WebSocketServerProtocol] = set()
        self.held = False
        self.draining: Draining | None = None
        self.deflatePolicy = _makeDeflatePolicy(self.settings)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return WebSocketServerProtocol(self)

    def startFactory(self) -> None:
        if self.site is not None:
            self.site.doStart()

    def stopFactory(self) -> None:
        if self.site is not None:
            self.site.doStop()

    # What the protocols call

    def protocolMade(
        self, protocol: WebSocketServerProtocol
    ) -> HandshakeRefused | None:
        """
        Count a new connection in.

        @return: the refusal that answers it, if it is one too many.
        """
        self._opening.add(protocol)
        if self.draining is not None and not self.draining.patience:
            return self.draining.refusal
        if len(self._opening) + len(self.connections) > self.settings.max_connections:
            return HandshakeRefused(
                503,
                "too many connections",
                headers=[(b"Retry-After", b"10")],
                setting="max-connections",
            )
        if self.held:
            transport: Any = protocol.transport
            transport.pauseProducing()
        return None

    def protocolAccepted(
        self, protocol: WebSocketServerProtocol, connection: Connection
    ) -> None:
        """
        Count an accepted handshake's connection as open.
        """
        self._opening.discard(protocol)
        self.connections.add(connection)
        if self.draining is not None:
            self.draining.accepted(connection)

    def protocolLost(self, protocol: WebSocketServerProtocol) -> None:
        """
        Count out a connection that never became a WebSocket.
        """
        self._opening.discard(protocol)
        if self.draining is not None:
            self.draining.check()

    def makeConnection(
        self,
        request: HandshakeRequest,
        transport: Any,
        application: IWebSocketProtocol,
        name: str,
        agreement: DeflateAgreement | None,
    ) -> Connection:
        """
        Make the connection of an accepted handshake.
        """
        policy = self.deflatePolicy
        deflater = inflater = None
        if agreement is not None and policy is not None:
            deflater = policy.deflater(agreement)
            inflater = policy.inflater(agreement)
        return Connection(
            request,
            transport,
            application,
            name=name,
            settings=self.settings,
            deadlines=self.deadlines,
            flusher=self.flusher,
            deflater=deflater,
            inflater=inflater,
            whenLost=self._connectionLost,
        )

    def _connectionLost(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if self.draining is not None:
            self.draining.check()

    # Starting and stopping

    def hold(self) -> None:
        """
        Read nothing from new connections until L{serve}: the applications are not
        ready.
        """
        self.held = True

    def serve(self) -> None:
        """
        Go on with the connections that came while they were held.
        """
        self.held = False
        for protocol in list(self._opening):
            transport: Any = protocol.transport
            transport.resumeProducing()
            protocol.begin()

    def closeConnections(
        self,
        reason: str = "the server is stopping",
        code: int = CloseCode.GOING_AWAY,
        *,
        patience: float = 0.0,
        after: Deferred[None] | None = None,
    ) -> Deferred[None]:
        """
        Close all connections, spread over the drain time, and let no new one in: it
        gets 503. Those that are still there after the stop timeout are aborted.

        @param code: the close code that they get, with the reason.
        @param patience: seconds for which those that still connect, or haven't sent
            their request yet, are served: then they are closed as well. With 0 they
            get the 503.
        @param after: fires when nobody can connect any more; not before that all are
            gone. Where not given, nobody can. It doesn't fail.
        @return: fires with C{None} once all are gone. It doesn't fail.
        @raise RuntimeError: they are being closed already.
        """
        if self.draining is not None:
            raise RuntimeError("the connections are being closed already")
        self.draining = Draining(
            self.connections,
            self._opening,
            clock=self.clock,
            deadlines=self.deadlines,
            settings=self.settings,
            code=code,
            reason=reason,
            # While they are held, nobody would serve them.
            patience=0.0 if self.held else patience,
        )
        return self.draining.begin(after)

    def abortConnections(self) -> None:
        """
        End all connections at once.
        """
        if self.draining is not None:
            self.draining.abort()
            return
        for connection in list(self.connections):
            connection.abortForStop()
        for protocol in list(self._opening):
            protocol.abort()


def _makeDeflatePolicy(settings: Settings) -> DeflatePolicy | None:
    if not settings.compression:
        return None
    return DeflatePolicy(
        context_takeover=settings.context_takeover,
        server_max_window_bits=settings.server_max_window_bits,
        client_max_window_bits=settings.client_max_window_bits,
        level=settings.compression_level,
    )
