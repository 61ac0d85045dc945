"""
The factory: makes the protocol of each connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.web.server import Site

from wsplug.auth.authenticator import Authenticator
from wsplug.guard.access import Access
from wsplug.guard.origins import NULL_ALLOWED
from wsplug.networks import Networks
from wsplug.server.admittance import Admittance
from wsplug.server.alpn import HTTPNegotiation
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

_log = Logger()


class WebSocketFactory(ServerParts, HTTPNegotiation, ServerFactory):
    """
    Makes the protocols of one server, which can listen on any number of ports.

    @ivar patience: limits how long a stop waits for the applications.
    """

    noisy = False

    def __init__(
        self,
        mounts: Iterable[Mount],
        *,
        clock: IReactorTime,
        settings: Settings | None = None,
        access: Access | None = None,
        site: Site | None = None,
        authenticator: Authenticator | None = None,
        startsApplications: bool = True,
        maxBodySize: int = MAX_BODY_SIZE,
    ) -> None:
        """
        @param mounts: the applications.
        @param clock: the reactor, or a fake clock in tests.
        @param settings: limits and timeouts; the defaults if not given.
        @param access: who may connect; the defaults if not given.
        @param site: answers plain HTTP requests. Without it, they get 426 or 404.
        @param authenticator: logs clients in. Without it, they need no login.
        @param startsApplications: whether the factory starts the applications when it
            begins to listen, and stops them after the last port and the last
            connection have closed. Otherwise its owner does, as
            L{wsplug.WebSocketService}.
        @param maxBodySize: the maximum size of a request's body in bytes, unless the
            application's C{pages} set another.
        @raise InvalidOption: two mounts have the same path.
        @raise ValueError: the size is not valid.
        """
        access = access if access is not None else Access()
        settings = settings if settings is not None else Settings()
        content = Content(mounts, site, maxBodySize)
        context = ConnectionContext(clock, settings, Networks(access.exempt))
        roster = Roster(context)
        admittance = Admittance(context, roster, content, access, authenticator)
        super().__init__(context, roster, admittance, content)
        self.patience = Patience(context.deadlines, settings.stop_timeout)
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

    def startFactory(self) -> None:
        """
        Start the applications, unless the factory's owner does. Requests wait until
        they have started. If one fails after this returns, each request gets 503, and
        the log says why.

        @raise wsplug.errors.StartupError: an application has failed at once.
        """
        if self.context.verbose is not None:
            self.context.verbose.warn()
        if self.origins.hasNull:
            _log.warn(NULL_ALLOWED, setting="origin")
        if self._applications is not None:
            self._applications.listen()
        self.content.start()

    def stopFactory(self) -> None:
        """
        Stop the applications once the last connection has closed; see
        L{ServerParts.closeConnections}.
        """
        self.content.stop()
        if self._applications is not None:
            self._applications.stopListening()

    def whenStopped(self) -> Deferred[None]:
        """
        Wait until the applications that this factory has started have stopped, after
        the last port and the last connection have closed.

        @return: fires with C{None}.
        """
        if self._applications is None:
            return succeed(None)
        return self._applications.whenStopped()
