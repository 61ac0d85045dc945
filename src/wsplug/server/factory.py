"""
The factory: it makes the protocol of each connection, and passes it what all
connections share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

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
from wsplug.guard.admission import EXEMPT
from wsplug.guard.origins import SAME_HOST
from wsplug.guard.proxies import ProxySettings
from wsplug.networks import Networks
from wsplug.server.admittance import Admittance
from wsplug.server.applications import Applications, ListeningApplications
from wsplug.server.content import Content
from wsplug.server.context import ConnectionContext
from wsplug.server.http.bodies import MAX_BODY_SIZE
from wsplug.server.mounts import Mount
from wsplug.server.parts import ServerParts
from wsplug.server.patience import Patience
from wsplug.server.protocol import WebSocketServerProtocol
from wsplug.server.roster import Roster
from wsplug.server.settings import Settings

__all__ = ["WebSocketFactory"]


class WebSocketFactory(ServerParts, ServerFactory):
    """
    Makes the protocols of one server, for any number of ports.

    @ivar patience: how long a stop waits for the applications.
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
        @param origins: which pages may connect; see
            L{wsplug.guard.origins.OriginRules}.
        @param hosts: names by which pages on this machine may reach the server, besides
            C{localhost}, addresses and the hosts of C{origins}; see
            L{wsplug.guard.hosts.HostRules}.
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
        content = Content(mounts, site, maxBodySize)
        context = ConnectionContext(
            clock, settings if settings is not None else Settings(), exempted
        )
        roster = Roster(context)
        admittance = Admittance(
            context,
            roster,
            content,
            origins=origins,
            hosts=hosts,
            exempt=exempted,
            proxies=proxies or ProxySettings(),
            authenticator=authenticator,
        )
        super().__init__(context, roster, admittance, content)
        self.patience = Patience(context.deadlines, context.settings.stop_timeout)
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
        gone: L{ServerParts.closeConnections} ends them.
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


# From Twisted 26.4 on, the first of 26, a client that offers ALPN gets a fatal alert
# where this isn't declared. Earlier ones ignore ALPN then. Where it is declared, they
# change a TLS context that is in use, which pyOpenSSL 26 refuses: nobody can connect.
if int(twisted.__version__.partition(".")[0]) >= 26:
    classImplements(WebSocketFactory, IProtocolNegotiationFactory)
