"""
The parts of a server, made from its configuration: applications, endpoints, broker,
authentication.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from wsplug.admin.endpoints import DESCRIPTORS, AdminSettings
from wsplug.admin.options import Administration, makePrivate, readToken
from wsplug.assembly.configuration import Configuration
from wsplug.assembly.endpoints import addTLS, makeEndpoint
from wsplug.auth.options import Authentication
from wsplug.broker import MemoryBroker, makeBroker
from wsplug.daemon.descriptors import fitConnections, raiseLimit
from wsplug.daemon.inherited import needsSystemd
from wsplug.interfaces import IBroker
from wsplug.plugins import Services, makeMount
from wsplug.server.mounts import Mount, Mounts
from wsplug.service import WebSocketService
from wsplug.transport.sharing import SharingReactor
from wsplug.web.metrics import checkMetrics

if TYPE_CHECKING:
    from wsplug.twistdservice import Reloaded

__all__ = ["Attempt", "Parts", "assemble"]


class Attempt(Protocol):
    """
    Makes a part, and decides what happens if that fails.
    """

    def __call__(self, make: Any, *arguments: Any) -> Any:
        """
        Call C{make(*arguments)}, which may raise a L{wsplug.errors.ConfigurationError}.

        @return: the part; C{None} if the error is recorded instead of raised.
        """


def _orRaise(make: Any, *arguments: Any) -> Any:
    return make(*arguments)


@dataclass
class Parts:
    """
    All parts of a server. None is started yet.

    @ivar configuration: the configuration, with C{max-connections} reduced to what the
        process can hold.
    @ivar reactor: the reactor that the server runs in.
    @ivar mounts: the applications and their paths.
    @ivar endpoints: where to listen: pairs of a name and an endpoint. The endpoint is
        C{None} if only systemd has its socket.
    @ivar broker: the broker that the applications share.
    @ivar authentication: how clients log in.
    @ivar admin: where operators log in.
    @ivar reloaded: the parts that L{reload} reads again while the server runs.
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
        @param more: further arguments for the class.
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
        Read files again that may have changed, such as certificates.
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

    @param attempt: makes each part. By default, the first error is raised.
    @param hasSystemd: whether systemd may have started this process and passed sockets
        to it.
    @raise wsplug.errors.ConfigurationError: a part can't be made. The message says
        which option is wrong, and how to correct it.
    """
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
    configuration = attempt(_fit, configuration, mounts) or configuration
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


def _fit(configuration: Configuration, mounts: Iterable[Mount]) -> Configuration:
    """
    Reduce the number of connections to what the process can hold beside its
    applications and operators.

    @raise wsplug.errors.InvalidOption: the user has set a higher number.
    """
    settings = configuration.settings
    taken = sum(getattr(mount.application, "maxDescriptors", 0) for mount in mounts)
    if configuration.administration.endpoints:
        taken += DESCRIPTORS
    possible = fitConnections(
        settings.max_connections,
        raiseLimit(),
        "max-connections" in configuration.given,
        taken,
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
        if hasSystemd or not needsSystemd(description):
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
