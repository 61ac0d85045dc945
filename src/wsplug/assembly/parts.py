"""
The parts of a server, made of its configuration: applications, endpoints, broker,
logins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from wsplug.admin.endpoints import AdminSettings
from wsplug.admin.options import Administration, makePrivate, readToken
from wsplug.assembly.configuration import Configuration
from wsplug.assembly.endpoints import addTLS, makeEndpoint
from wsplug.auth.options import Authentication
from wsplug.broker import MemoryBroker, makeBroker
from wsplug.daemon.descriptors import fitConnections, raiseLimit
from wsplug.interfaces import IBroker
from wsplug.plugins import Services, makeMount
from wsplug.server.mounts import Mount, Mounts
from wsplug.service import WebSocketService
from wsplug.transport.sharing import SharingReactor
from wsplug.web.metrics import checkMetrics

if TYPE_CHECKING:
    from wsplug.twistdservice import Reloaded

__all__ = ["Attempt", "Parts", "assemble"]

_SYSTEMD: Final = "systemd:"


class Attempt(Protocol):
    """
    How a part is made, and what happens where it can't be.
    """

    def __call__(self, make: Any, *arguments: Any) -> Any:
        """
        Make it: C{make(*arguments)}, which may raise a
        L{wsplug.errors.ConfigurationError}.

        @return: the part. Where the error is noted and not raised, C{None}.
        """


def _orRaise(make: Any, *arguments: Any) -> Any:
    return make(*arguments)


@dataclass
class Parts:
    """
    Everything that a configuration speaks of. Nothing is started yet.

    @ivar configuration: the configuration, with as many connections as the process can
        have.
    @ivar reactor: the reactor that the server is going to run in.
    @ivar mounts: the applications.
    @ivar endpoints: where to listen, with names. An endpoint is C{None} where only
        systemd has its socket.
    @ivar broker: what the applications share.
    @ivar authentication: how clients log in.
    @ivar admin: where operators are let in.
    @ivar reloaded: what can be read again while the server runs.
    """

    configuration: Configuration
    reactor: Any
    mounts: list[Mount]
    endpoints: list[tuple[str, Any]]
    broker: IBroker
    authentication: Authentication
    admin: AdminSettings
    reloaded: list[Reloaded] = field(default_factory=list)

    def makeService(
        self, kind: type[WebSocketService] = WebSocketService, **more: Any
    ) -> WebSocketService:
        """
        Make the service.

        @param kind: the class of the service.
        @param more: what it takes besides.
        """
        configuration = self.configuration
        return kind(
            self.mounts,
            self.endpoints,
            reactor=self.reactor,
            settings=configuration.settings,
            access=configuration.access,
            authentication=self.authentication,
            admin=self.admin,
            broker=self.broker,
            metrics=configuration.operation.hasMetrics,
            **more,
        )

    def reload(self) -> None:
        """
        Read again what can be, as the certificates.
        """
        for each in self.reloaded:
            each.reload()


def assemble(
    configuration: Configuration,
    reactor: Any,
    *,
    attempt: Attempt = _orRaise,
    hasSystemd: bool = True,
) -> Parts:
    """
    Make the parts of a server.

    @param attempt: makes each one. By default, the first error is raised.
    @param hasSystemd: whether systemd has started this process, so that its sockets can
        be had.
    @raise wsplug.errors.ConfigurationError: one can't be made. The message says which
        option is wrong and how to mend it.
    """
    configuration = attempt(_fit, configuration) or configuration
    operation = configuration.operation
    if operation.metrics == "yes":
        attempt(checkMetrics)
    authentication = replace(
        configuration.authentication,
        portal=attempt(configuration.authentication.makePortal),
    )
    broker = attempt(makeBroker, operation.broker, reactor) or MemoryBroker(reactor)
    services = Services(reactor, reactor, broker, authentication.portal is not None)
    mounts = _makeMounts(configuration, services, attempt)
    parts = Parts(
        configuration,
        reactor,
        mounts,
        [],
        broker,
        authentication,
        AdminSettings(),
    )
    _makeEndpoints(parts, attempt, hasSystemd)
    parts.admin = _makeAdmin(configuration.administration, reactor, attempt)
    return parts


def _fit(configuration: Configuration) -> Configuration:
    """
    Have no more connections than the process may have open files.

    @raise InvalidOption: the configuration asks for more.
    """
    settings = configuration.settings
    possible = fitConnections(
        settings.max_connections,
        raiseLimit(),
        "max-connections" in configuration.given,
    )
    return replace(configuration, settings=replace(settings, max_connections=possible))


def _makeMounts(
    configuration: Configuration, services: Services, attempt: Attempt
) -> list[Mount]:
    descriptions = configuration.applications
    isSingle = len(descriptions) == 1
    made: Sequence[Mount | None] = [
        attempt(makeMount, description, services, isSingle)
        for description in descriptions
    ]
    mounts = [mount for mount in made if mount is not None]
    attempt(Mounts, mounts)
    return mounts


def _makeEndpoints(parts: Parts, attempt: Attempt, hasSystemd: bool) -> None:
    listening = parts.configuration.listening
    reactor: Any = parts.reactor
    if listening.reusePort:
        reactor = SharingReactor(reactor)
    for name, description in listening.describe():
        made = None
        if hasSystemd or _SYSTEMD not in description:
            made = attempt(makeEndpoint, reactor, name, description)
        parts.endpoints.append((name, made))
    files = attempt(parts.configuration.tls.findFiles)
    if files is not None:
        name, plain = parts.endpoints[0]
        endpoint = attempt(addTLS, reactor, plain, files)
        if endpoint is not None:
            parts.endpoints[0] = name, endpoint
            parts.reloaded.append(endpoint.certificate)


def _makeAdmin(
    administration: Administration, reactor: Any, attempt: Attempt
) -> AdminSettings:
    path = administration.tokenFile
    return AdminSettings(
        [
            (each, attempt(makeEndpoint, reactor, each, makePrivate(each)))
            for each in administration.endpoints
        ],
        attempt(readToken, path) if path else None,
    )
