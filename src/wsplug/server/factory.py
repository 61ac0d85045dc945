"""
The factory: what all connections of a server have in common, and the list of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IProtocolNegotiationFactory,
    IReactorTime,
)
from twisted.internet.protocol import ServerFactory
from twisted.web.server import Site
from zope.interface import classImplements

import twisted
from wsplug.auth.authenticator import Authenticator
from wsplug.codec import CloseCode, DeflateAgreement, DeflatePolicy
from wsplug.errors import HandshakeRefused, StartupError
from wsplug.guard.admission import EXEMPT, Account, Admission, AdmissionLimits
from wsplug.guard.bans import Bans
from wsplug.guard.hosts import HostRules
from wsplug.guard.loglimit import LogLimit
from wsplug.guard.metering import Meter, Rates
from wsplug.guard.origins import SAME_HOST, OriginRules
from wsplug.guard.proxies import ProxySettings, TrustedProxies
from wsplug.interfaces import IWebSocketProtocol
from wsplug.networks import Networks
from wsplug.options import UNLIMITED
from wsplug.server.applications import Applications, ListeningApplications
from wsplug.server.connection import Connection
from wsplug.server.deadlines import Deadlines
from wsplug.server.draining import Draining, Opening
from wsplug.server.handling import HandlerRules
from wsplug.server.http.bodies import MAX_BODY_SIZE
from wsplug.server.mounts import Mount, Mounts
from wsplug.server.protocol import WebSocketServerProtocol
from wsplug.server.request import HandshakeRequest
from wsplug.server.sessions import Session
from wsplug.server.settings import Settings
from wsplug.server.spare import SparePlaces
from wsplug.server.statistics import Statistics
from wsplug.server.turns import Turns
from wsplug.transport.ceiling import Ceiling
from wsplug.transport.flusher import Flusher
from wsplug.transport.progress import AskProgress, progressOf

__all__ = ["WebSocketFactory"]


_LINGERING: Final = 0.05
"""
The part of all places that refused connections may take up until their peers have
closed: else whoever is refused often enough would fill the server for everybody.
"""

_FEW: Final = 16
"""
Refused connections that may always linger.
"""


class WebSocketFactory(ServerFactory):
    """
    Makes the protocols of one server, for any number of ports.

    @ivar connections: the open ones.
    @ivar statistics: what is counted about them.
    @ivar admission: what each address takes up.
    @ivar waiting: the ceiling over all that waits to be sent.
    @ivar unfinished: the ceiling over all messages that aren't whole yet.
    @ivar hosts: which hosts requests may be for.
    @ivar logLimit: how much is logged about each address.
    @ivar bans: whom an operator doesn't want here.
    @ivar spare: the places over the limit, for health checks.
    @ivar maxBodySize: bytes that a body may have where nobody else says.
    @ivar held: whether new connections have to wait for the applications.
    @ivar askProgress: says how far the peer of a transport has come with what it was
        sent; tests have an answer of their own.
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
        hosts: Sequence[str] = (),
        exempt: Sequence[str] = EXEMPT,
        site: Site | None = None,
        proxies: ProxySettings | None = None,
        authenticator: Authenticator | None = None,
        startsApplications: bool = True,
        maxBodySize: int = MAX_BODY_SIZE,
    ) -> None:
        """
        @param mounts: the applications.
        @param clock: the reactor, or in tests a clock that they turn.
        @param settings: the default ones where not given.
        @param origins: which pages may connect; see L{OriginRules}.
        @param hosts: names by which pages on this machine may reach the server, besides
            C{localhost}, addresses and the hosts of C{origins}; see L{HostRules}.
        @param exempt: networks that the limits for each address and the rates don't
            hold for.
        @param site: answers plain HTTP requests; without it each gets 426 or 404.
        @param proxies: whose word about the client is believed; without it, nobody's.
        @param authenticator: has clients log in; without it nobody has to.
        @param startsApplications: whether the applications start when something
            listens with this factory (C{doStart}), and stop once nothing does and the
            last connection is gone. Else it is for whoever makes the factory to do;
            L{wsplug.WebSocketService} does it.
        @param maxBodySize: bytes that a request's body may have, where the
            application's C{pages} don't say: as for uploads to a site of one's own.
        @raise InvalidOption: two mounts have the same path.
        @raise ValueError: an origin is none, or a host, or a network; the size is
            negative.
        """
        if maxBodySize < 0:
            raise ValueError(f"a body has no {maxBodySize} bytes")
        self.maxBodySize = maxBodySize
        self.mounts = Mounts(mounts)
        self.clock = clock
        self.settings = settings if settings is not None else Settings()
        self.origins = OriginRules(origins)
        self.hosts = HostRules(origins, hosts)
        self.proxies = TrustedProxies(proxies or ProxySettings(), clock)
        self.bans = Bans(clock)
        self.site = site
        self.authenticator = authenticator
        self.deadlines = Deadlines(clock)
        self.flusher = Flusher(clock)
        self.turns = Turns(clock)
        self.askProgress: AskProgress = progressOf
        self.statistics = Statistics()
        self.waiting = Ceiling(self.settings.max_waiting)
        self.unfinished = Ceiling(self.settings.max_unfinished)
        exempted = Networks(exempt)
        self.admission = Admission(clock, _limits(self.settings), exempted)
        self.logLimit = LogLimit(clock, self.settings.max_address_log_lines, exempted)
        self._rates = _rates(
            self.settings.max_messages, self.settings.max_bytes, self.settings
        )
        self.connections: set[Connection] = set()
        self._opening: set[Opening] = set()
        self._lingering: set[Opening] = set()
        self._sessions: dict[Connection, Session] = {}
        self.spare = SparePlaces()
        self.held = False
        self.draining: Draining | None = None
        self.deflatePolicy = _makeDeflatePolicy(self.settings)
        self._failed: HandshakeRefused | None = None
        self._applications: ListeningApplications | None = None
        if startsApplications:
            self._applications = ListeningApplications(
                Applications(self.mounts),
                isUsed=lambda: self._count() > 0,
                starting=self._starting,
                ready=self._started,
            )

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return WebSocketServerProtocol(self)

    def acceptableProtocols(self) -> list[bytes]:
        """
        Name what is spoken within TLS, for clients that ask (ALPN, RFC 7301).
        """
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """
        Start the applications, unless that is somebody else's to do. Nobody is served
        before they have started; if one fails later, everybody gets a 503, and the log
        says why.

        @raise wsplug.errors.StartupError: one has failed at once.
        """
        if self._applications is not None:
            self._applications.listen()
        if self.site is not None:
            self.site.doStart()

    def stopFactory(self) -> None:
        """
        Nothing listens any more. The applications stop once the last connection is
        gone: L{closeConnections} ends them.
        """
        if self.site is not None:
            self.site.doStop()
        if self._applications is not None:
            self._applications.listenNoMore()

    def whenStopped(self) -> Deferred[None]:
        """
        Wait for the end of the applications that this factory has started.

        @return: fires with C{None} once none runs any more: after the last port, and
            the last connection.
        """
        if self._applications is None:
            return succeed(None)
        return self._applications.whenStopped()

    def _starting(self) -> None:
        # Where all connections were closed, and none is left, it begins anew.
        self.draining = None
        self.hold()

    def _started(self, error: StartupError | None) -> None:
        if error is None:
            self._failed = None
            self.serve()
            return
        self.held = False
        self._failed = HandshakeRefused(503, "the server did not start")
        for protocol in list(self._opening):
            protocol.finish(self._failed, 0.0)

    def _left(self) -> None:
        """
        A connection is gone, which may have been the last one.
        """
        applications = self._applications
        if applications is not None and not applications.listening:
            # A proxy's may be counted again right away, as its client's.
            self.clock.callLater(0, applications.check)

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
        if self.draining is not None and not self.draining.patience:
            return self.draining.refusal
        if self._failed is not None:
            return self._failed
        unwelcome = self.refusalOf(protocol.client)
        if unwelcome is not None:
            return unwelcome
        if self._count() > self.settings.max_connections:
            full = HandshakeRefused(
                503,
                "too many connections",
                headers=[(b"Retry-After", b"10")],
                setting="max-connections",
            )
            if not self.isHealthCheck(b"/-/health"):
                return full
            protocol.excess = full
            self.spare.take(protocol, protocol.client)
        if self.proxies.trusts(protocol.client):
            return None  # it speaks for others, who are counted once they are named
        return self.clientNamed(protocol)

    def clientNamed(self, protocol: WebSocketServerProtocol) -> HandshakeRefused | None:
        """
        Count the client in, once it is known: as it connects, or where a trusted proxy
        names it in a handshake.

        @return: as L{protocolMade} does.
        """
        try:
            protocol.account = self.admission.enter(protocol.client)
        except HandshakeRefused as refusal:
            return refusal
        return None

    def headerAwaited(self, protocol: Opening) -> None:
        """
        Count a trusted proxy's connection in, of which nobody knows yet who it is for.
        """
        self._opening.add(protocol)
        draining = self.draining
        if draining is not None:
            protocol.finish(draining.refusal, draining.patience)
        elif self.held:
            protocol.transport.pauseProducing()
        else:
            protocol.begin()

    def headerDone(self, protocol: Opening) -> None:
        """
        Count it out: it is gone, or its client is to be counted in now.
        """
        self._opening.discard(protocol)
        self._left()
        if self.draining is not None:
            self.draining.check()

    def refusalOf(self, client: IAddress) -> HandshakeRefused | None:
        """
        Judge a client, as soon as it is known who that is: of a new connection, and of
        each request on it, which a proxy may have sent for somebody else.

        @return: the refusal that it gets, if it isn't welcome.
        """
        # A trusted proxy speaks for others, who may be welcome.
        return None if self.proxies.trusts(client) else self.bans.refusalOf(client)

    def protocolAccepted(
        self,
        protocol: WebSocketServerProtocol,
        connection: Connection,
        name: str,
        session: Session | None = None,
    ) -> None:
        """
        Count an accepted handshake's connection as open.

        @param name: of its application.
        @param session: its login, where clients have to log in.
        """
        if session is not None:
            # First: nobody who isn't let in after all may keep a place.
            session.attach(connection)
            self._sessions[connection] = session
        self._opening.discard(protocol)
        self.connections.add(connection)
        self.statistics.countAccepted(name)
        if self.draining is not None:
            self.draining.accepted(connection)

    def mayLinger(self, protocol: WebSocketServerProtocol) -> bool:
        """
        Say whether a refused connection may wait for its peer to have read why.
        """
        most = max(_FEW, int(self.settings.max_connections * _LINGERING))
        if len(self._lingering) >= most:
            return False
        self._lingering.add(protocol)
        return True

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
        self._lingering.discard(protocol)
        self.spare.leave(protocol)
        self._leave(protocol.account)
        self._left()
        if self.draining is not None:
            self.draining.check()

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
        rules: HandlerRules | None = None,
    ) -> Connection:
        """
        Make the connection of an accepted handshake.

        @param account: is left once it is lost.
        @param rules: how the application's handlers are treated.
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
            turns=self.turns,
            waiting=self.waiting,
            unfinished=self.unfinished,
            logLimit=self.logLimit,
            account=account,
            meter=meter,
            deflater=deflater,
            inflater=inflater,
            rules=rules,
            askProgress=self.askProgress,
            whenLost=self._connectionLost,
        )

    def _connectionLost(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self._leave(connection.intake.account)
        session = self._sessions.pop(connection, None)
        if session is not None:
            session.end()
        self._left()
        if self.draining is not None:
            self.draining.check()

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
        return self.draining.begin(after).addCallback(self._tellLast)

    def _tellLast(self, _: object) -> None:
        self.logLimit.tell()

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


def _rates(messages: int, size: int, settings: Settings) -> Rates | None:
    """
    Give the rates to be held to; C{None} where there is no limit at all.
    """
    if messages >= UNLIMITED and size >= UNLIMITED:
        return None
    # A message within the limit has to be possible, in as many frames as it may have;
    # compressed, it counts twice.
    whole = 2 * settings.max_message_size + 14 * settings.max_fragments
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


# From Twisted 26.4 on, the first of 26, a client that offers ALPN gets a fatal alert
# where this isn't declared. Earlier ones ignore ALPN then. Where it is declared, they
# change a TLS context that is in use, which pyOpenSSL 26 refuses: nobody can connect.
if int(twisted.__version__.partition(".")[0]) >= 26:
    classImplements(WebSocketFactory, IProtocolNegotiationFactory)
