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
from wsplug.errors import HandshakeRefused, Side
from wsplug.guard.admission import EXEMPT, Account, Admission, AdmissionLimits
from wsplug.guard.bans import Bans
from wsplug.guard.metering import Meter, Rates
from wsplug.guard.origins import SAME_HOST, OriginRules
from wsplug.interfaces import IWebSocketProtocol
from wsplug.networks import Networks
from wsplug.options import UNLIMITED
from wsplug.server.ceiling import Ceiling
from wsplug.server.connection import Connection
from wsplug.server.deadlines import Deadlines
from wsplug.server.flusher import Flusher
from wsplug.server.mounts import Mount, Mounts
from wsplug.server.protocol import WebSocketServerProtocol
from wsplug.server.request import HandshakeRequest
from wsplug.server.settings import Settings
from wsplug.server.statistics import Statistics

__all__ = ["WebSocketFactory"]

_CLOSING_BATCH = 500
"""
Connections that are told at a time that the server stops.
"""

_CLOSING_PAUSE = 0.05
"""
Seconds between two of those, in which others are served and their clients, who will
connect again, spread out.
"""


_SPARE = 32
"""
Connections over the limit whose requests are read, for they may be health checks: who
asks whether the server is well isn't to hear that it is full, and restart it.
"""


class WebSocketFactory(ServerFactory):
    """
    Makes the protocols of one server, for any number of ports.

    @ivar connections: the open ones.
    @ivar statistics: what is counted about them.
    @ivar admission: what each address takes up.
    @ivar waiting: the ceiling over all that waits to be sent.
    @ivar unfinished: the ceiling over all messages that aren't whole yet.
    @ivar bans: whom an operator doesn't want here.
    @ivar held: whether new connections have to wait for the applications.
    """

    noisy = False

    def __init__(
        self,
        mounts: Iterable[Mount],
        *,
        clock: IReactorTime,
        settings: Settings | None = None,
        origins: Sequence[str] = (SAME_HOST,),
        exempt: Sequence[str] = EXEMPT,
        site: Site | None = None,
    ) -> None:
        """
        @param mounts: the applications. Whoever makes the factory starts and stops
            them; L{wsplug.WebSocketService} does.
        @param clock: the reactor, or in tests a clock that they turn.
        @param settings: the default ones where not given.
        @param origins: which pages may connect; see L{OriginRules}.
        @param exempt: networks that the limits for each address and the rates don't
            hold for.
        @param site: answers plain HTTP requests; without it each gets 426 or 404.
        @raise InvalidOption: two mounts have the same path.
        @raise ValueError: an origin is none, or a network.
        """
        self.mounts = Mounts(mounts)
        self.clock = clock
        self.settings = settings if settings is not None else Settings()
        self.origins = OriginRules(origins)
        self.bans = Bans(clock)
        self.site = site
        self.deadlines = Deadlines(clock)
        self.flusher = Flusher(clock)
        self.statistics = Statistics()
        self.waiting = Ceiling(self.settings.max_waiting)
        self.unfinished = Ceiling(self.settings.max_unfinished)
        self.admission = Admission(clock, _limits(self.settings), Networks(exempt))
        self._rates = _rates(
            self.settings.max_messages, self.settings.max_bytes, self.settings
        )
        self.connections: set[Connection] = set()
        self._opening: set[WebSocketServerProtocol] = set()
        self.held = False
        self._stopped: Deferred[None] | None = None
        self.deflatePolicy = _makeDeflatePolicy(self.settings)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return WebSocketServerProtocol(self)

    def startFactory(self) -> None:
        if self.site is not None:
            self.site.doStart()

    def stopFactory(self) -> None:
        if self.site is not None:
            self.site.doStop()

    # What is told of the server

    @property
    def opening(self) -> int:
        """
        How many TCP connections are no WebSocket yet: handshakes, and pages.
        """
        return len(self._opening)

    @property
    def isFull(self) -> bool:
        """
        Whether the next connection is one too many.
        """
        return self._count() >= self.settings.max_connections

    def _count(self) -> int:
        return len(self._opening) + len(self.connections)

    # What the protocols call

    def isHealthCheck(self, path: bytes) -> bool:
        """
        Say whether a request for a path is answered even where no other is.
        """
        # What isn't wsplug's own site knows of none.
        check = getattr(self.site, "isHealthCheck", None)
        return check is not None and bool(check(path))

    def protocolMade(
        self, protocol: WebSocketServerProtocol
    ) -> HandshakeRefused | None:
        """
        Count a new connection in.

        @return: the refusal that answers it, if it is one too many.
        """
        self._opening.add(protocol)
        if self._stopped is not None:
            return HandshakeRefused(
                503, "the server is stopping", headers=[(b"Retry-After", b"5")]
            )
        unwelcome = self.refusalOf(protocol.client)
        if unwelcome is not None:
            return unwelcome
        excess = self._count() - self.settings.max_connections
        if excess > 0:
            full = HandshakeRefused(
                503,
                "too many connections",
                headers=[(b"Retry-After", b"10")],
                setting="max-connections",
            )
            if excess > _SPARE or not self.isHealthCheck(b"/-/health"):
                return full
            protocol.excess = full
        transport: Any = protocol.transport
        try:
            protocol.account = self.admission.enter(transport.getPeer())
        except HandshakeRefused as refusal:
            return refusal
        return None

    def refusalOf(self, client: IAddress) -> HandshakeRefused | None:
        """
        Judge a client, as soon as it is known who that is: of a new connection, and of
        each request on it, which a proxy may have sent for somebody else.

        @return: the refusal that it gets, if it isn't welcome.
        """
        return self.bans.refusalOf(client)

    def protocolAccepted(
        self, protocol: WebSocketServerProtocol, connection: Connection, name: str
    ) -> None:
        """
        Count an accepted handshake's connection as open.

        @param name: of its application.
        """
        self._opening.discard(protocol)
        self.connections.add(connection)
        self.statistics.countAccepted(name)

    def protocolRefused(
        self, client: IAddress, name: str, refusal: HandshakeRefused
    ) -> None:
        """
        Count a refused request.

        @param client: whose it was.
        @param name: of the application that it was for; empty where it isn't known.
        """
        self.statistics.countRefused(self.clock.seconds(), client, name, refusal)

    def protocolLost(self, protocol: WebSocketServerProtocol) -> None:
        """
        Count out a connection that never became a WebSocket.
        """
        self._opening.discard(protocol)
        self._leave(protocol.account)
        self._checkStopped()

    def _leave(self, account: Account | None) -> None:
        if account is not None:
            self.admission.leave(account)

    def makeConnection(
        self,
        request: HandshakeRequest,
        transport: Any,
        application: IWebSocketProtocol,
        name: str,
        agreement: DeflateAgreement | None,
        account: Account | None,
    ) -> Connection:
        """
        Make the connection of an accepted handshake.

        @param account: is left once it is lost.
        """
        policy = self.deflatePolicy
        deflater = inflater = None
        if agreement is not None and policy is not None:
            deflater = policy.deflater(agreement)
            inflater = policy.inflater(agreement)
        meter = None
        if account is not None and self._rates is not None:
            meter = Meter(self._rates, self.clock.seconds())
        return Connection(
            request,
            transport,
            application,
            settings=self.settings,
            statistics=self.statistics,
            traffic=self.statistics.trafficOf(name),
            deadlines=self.deadlines,
            flusher=self.flusher,
            waiting=self.waiting,
            unfinished=self.unfinished,
            account=account,
            meter=meter,
            deflater=deflater,
            inflater=inflater,
            whenLost=self._connectionLost,
        )

    def _connectionLost(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self._leave(connection.account)
        self._checkStopped()

    # Starting and stopping

    def hold(self) -> None:
        """
        Answer nothing but health checks on new connections until L{serve}: the
        applications are not ready.
        """
        self.held = True

    def serve(self) -> None:
        """
        Go on with the connections that came while they were held.
        """
        self.held = False
        for protocol in list(self._opening):
            protocol.begin()

    def closeConnections(
        self,
        reason: str = "the server is stopping",
        code: int = CloseCode.GOING_AWAY,
    ) -> Deferred[None]:
        """
        Close all connections, in batches, and let no new one in. Those that are still
        there after the stop timeout are aborted.

        @param code: the close code that they get, with the reason.
        @return: fires with C{None} once all are gone. It doesn't fail.
        @raise RuntimeError: they are being closed already.
        """
        if self._stopped is not None:
            raise RuntimeError("the connections are being closed already")
        stopped: Deferred[None] = Deferred()
        self._stopped = stopped
        for protocol in list(self._opening):
            protocol.finish()
        self._closeBatch(list(self.connections), code, reason)
        timeout = self.settings.stop_timeout
        if timeout:
            deadline = self.deadlines.set(timeout, self.abortConnections)
            stopped.addCallback(lambda _: self.deadlines.clear(deadline))
        self._checkStopped()
        return stopped

    def _closeBatch(
        self, connections: list[Connection], code: int, reason: str
    ) -> None:
        batch, rest = connections[:_CLOSING_BATCH], connections[_CLOSING_BATCH:]
        for connection in batch:
            connection.close(code, reason, Side.SERVER)
        if rest:
            self.clock.callLater(_CLOSING_PAUSE, self._closeBatch, rest, code, reason)

    def abortConnections(self) -> None:
        """
        End all connections at once.
        """
        for connection in list(self.connections):
            connection.abortForStop()
        for protocol in list(self._opening):
            transport: Any = protocol.transport
            transport.abortConnection()

    def _checkStopped(self) -> None:
        stopped = self._stopped
        if (
            stopped is not None
            and not stopped.called
            and not self.connections
            and not self._opening
        ):
            stopped.callback(None)


def _rates(messages: int, size: int, settings: Settings) -> Rates | None:
    """
    Give the rates to be held to; C{None} where there is no limit at all.
    """
    if messages >= UNLIMITED and size >= UNLIMITED:
        return None
    # A message within the limit has to be possible, in as many frames as it may have.
    whole = settings.max_message_size + 14 * settings.max_fragments
    return Rates(messages, size, min(whole, UNLIMITED))


def _limits(settings: Settings) -> AdmissionLimits:
    return AdmissionLimits(
        settings.max_address_connections,
        settings.max_address_handshakes,
        _rates(settings.max_address_messages, settings.max_address_bytes, settings),
        settings.cool_down,
    )


def _makeDeflatePolicy(settings: Settings) -> DeflatePolicy | None:
    if not settings.compression:
        return None
    return DeflatePolicy(
        context_takeover=settings.context_takeover,
        server_max_window_bits=settings.server_max_window_bits,
        client_max_window_bits=settings.client_max_window_bits,
        level=settings.compression_level,
    )
