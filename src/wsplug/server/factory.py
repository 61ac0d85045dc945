"""
The factory: it makes the protocol of each connection, from what they all share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

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
from wsplug.codec import CloseCode
from wsplug.guard.admission import EXEMPT, Admission
from wsplug.guard.bans import Bans
from wsplug.guard.hosts import HostRules
from wsplug.guard.loglimit import LogLimit
from wsplug.guard.origins import SAME_HOST, OriginRules
from wsplug.guard.proxies import ProxySettings, TrustedProxies
from wsplug.networks import Networks
from wsplug.server.admittance import Admittance
from wsplug.server.applications import Applications, ListeningApplications
from wsplug.server.connection import Connection
from wsplug.server.content import Content
from wsplug.server.context import ConnectionContext
from wsplug.server.deadlines import Deadlines
from wsplug.server.draining import Draining
from wsplug.server.http.bodies import MAX_BODY_SIZE
from wsplug.server.mounts import Mount, Mounts
from wsplug.server.patience import Patience
from wsplug.server.protocol import WebSocketServerProtocol
from wsplug.server.roster import Roster
from wsplug.server.settings import Settings
from wsplug.server.spare import SpareSlots
from wsplug.server.statistics import Statistics
from wsplug.transport.flusher import Flusher
from wsplug.transport.memorybudget import MemoryBudget

__all__ = ["WebSocketFactory"]


_T = TypeVar("_T")


class _PartOf(Generic[_T]):
    """
    An attribute of one of the factory's parts, by the same name.
    """

    def __init__(self, part: str) -> None:
        self._part = part

    def __set_name__(self, owner: object, name: str) -> None:
        self._name = name

    def __get__(self, factory: object, owner: object = None) -> _T:
        value: _T = getattr(getattr(factory, self._part), self._name)
        return value

    def __set__(self, factory: object, value: _T) -> None:
        setattr(getattr(factory, self._part), self._name, value)


class WebSocketFactory(ServerFactory):
    """
    Makes the protocols of one server, for any number of ports.

    It is made of four parts. Their attributes are the factory's, too: see below.

    @ivar context: what all connections share.
    @ivar roster: which connections there are.
    @ivar admittance: who may connect.
    @ivar content: what requests get.
    """

    settings = _PartOf[Settings]("context")
    clock = _PartOf[IReactorTime]("context")
    deadlines = _PartOf[Deadlines]("context")
    flusher = _PartOf[Flusher]("context")
    statistics = _PartOf[Statistics]("context")
    sendBuffers = _PartOf[MemoryBudget]("context")
    incompleteMessages = _PartOf[MemoryBudget]("context")
    logLimit = _PartOf[LogLimit]("context")
    connections = _PartOf[set[Connection]]("roster")
    spare = _PartOf[SpareSlots]("roster")
    isFull = _PartOf[bool]("roster")
    starting = _PartOf[bool]("roster")
    draining = _PartOf[Draining | None]("roster")
    origins = _PartOf[OriginRules]("admittance")
    hosts = _PartOf[HostRules]("admittance")
    proxies = _PartOf[TrustedProxies]("admittance")
    bans = _PartOf[Bans]("admittance")
    admission = _PartOf[Admission]("admittance")
    authenticator = _PartOf[Authenticator | None]("admittance")
    mounts = _PartOf[Mounts]("content")
    site = _PartOf[Site | None]("content")
    maxBodySize = _PartOf[int]("content")

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
        @param proxies: which proxies may name the client; without it, none.
        @param authenticator: has clients log in; without it nobody has to.
        @param startsApplications: whether the applications start when something
            listens with this factory (C{doStart}), and stop once nothing does and the
            last connection is gone. Else it is for whoever makes the factory to do;
            L{wsplug.WebSocketService} does it.
        @param maxBodySize: bytes that a request's body may have, where the
            application's C{pages} don't say: as for uploads to a site of one's own.
        @raise InvalidOption: two mounts have the same path.
        @raise ValueError: an origin is none, or a host, or a network; the size is
            no whole number, or negative.
        """
        exempted = Networks(exempt)
        self.content = content = Content(mounts, site, maxBodySize)
        self.context = context = ConnectionContext(
            clock, settings if settings is not None else Settings(), exempted
        )
        self.patience = Patience(context.deadlines, context.settings.stop_timeout)
        self.roster = roster = Roster(context)
        self.admittance = Admittance(
            context,
            roster,
            content,
            origins=origins,
            hosts=hosts,
            exempt=exempted,
            proxies=proxies or ProxySettings(),
            authenticator=authenticator,
        )
        self._applications: ListeningApplications | None = None
        if startsApplications:
            self._applications = ListeningApplications(
                Applications(content.mounts, self.patience), roster, clock
            )

    def buildProtocol(self, addr: IAddress | None) -> Any:
        protocol = WebSocketServerProtocol(
            self.context, self.roster, self.admittance, self.content
        )
        protocol.factory = self
        return protocol

    @property
    def opening(self) -> int:
        """
        How many TCP connections are no WebSocket yet: handshakes, and plain HTTP.
        """
        return len(self.roster.opening)

    def acceptableProtocols(self) -> list[bytes]:
        """
        Name what is spoken within TLS, for clients that ask (ALPN, RFC 7301).
        """
        return [b"http/1.1"]

    # Starting and stopping

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

    def awaitStart(self) -> None:
        """
        Answer nothing but health checks on new connections until L{serve}: the
        applications are not ready.
        """
        self.roster.awaitStart()

    def serve(self) -> None:
        """
        Serve the connections that have come since L{awaitStart}.
        """
        self.roster.serve()

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
        return self.roster.closeAll(reason, code, patience=patience, after=after)

    def abortConnections(self) -> None:
        """
        End all connections at once.
        """
        self.roster.abortAll()


# From Twisted 26.4 on, the first of 26, a client that offers ALPN gets a fatal alert
# where this isn't declared. Earlier ones ignore ALPN then. Where it is declared, they
# change a TLS context that is in use, which pyOpenSSL 26 refuses: nobody can connect.
if int(twisted.__version__.partition(".")[0]) >= 26:
    classImplements(WebSocketFactory, IProtocolNegotiationFactory)
