"""
The endpoints of operators: admin endpoints or, with the token, the server's own
endpoints. Without either, administration is off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint

from wsplug.admin.access import Access
from wsplug.admin.resources import Guarded, ToStatus
from wsplug.admin.status import PATH, StatusApplication, Watched
from wsplug.guard.hosts import HostRules
from wsplug.guard.origins import SAME_ORIGIN, OriginRules, strictRules
from wsplug.interfaces import IPlainResource
from wsplug.server.factory import WebSocketFactory
from wsplug.server.mounts import Mount
from wsplug.server.settings import Settings
from wsplug.web.site import makeSite

__all__ = ["DESCRIPTORS", "AdminEndpoints", "AdminSettings"]

_HEALTH: Final = b"health"
"""
The resource that needs no token.
"""

_SETTINGS: Final = Settings(
    max_connections=64, max_message_size=64 * 1024, stop_timeout=2.0
)
"""
The admin endpoints' own settings: they accept operators even if the server is full.
"""

DESCRIPTORS: Final = 112
"""
File descriptors that connections to the admin endpoints may take: its maximum,
and a few that are refused or check the health.
"""


@dataclass(frozen=True)
class AdminSettings:
    """
    The operators' endpoints and their token.

    @ivar endpoints: the admin endpoints, with their names.
    @ivar token: the token that operators need; C{None} for none. Without endpoints and
        without a token, administration is off.
    """

    endpoints: Sequence[tuple[str, IStreamServerEndpoint]] = ()
    token: str | None = None


class AdminEndpoints:
    """
    Serves the status page and the built-in resources, either at the admin endpoints or
    at the server's own.

    @ivar mounts: the mounts that the server needs in addition to its applications.
    @ivar factory: the factory of the admin endpoints; C{None} if there are none.
    """

    def __init__(
        self,
        settings: AdminSettings,
        *,
        reactor: Any,
        origins: Sequence[str],
        hosts: Sequence[str] = (),
    ) -> None:
        """
        @param origins: the origins that the server allows.
        @param hosts: further host names of the server.
        @raise ValueError: an origin or a host name is malformed.
        """
        self.endpoints = list(settings.endpoints)
        self._access = Access(reactor, settings.token)
        self._isOff = not self.endpoints and settings.token is None
        self._ports: list[IListeningPort] = []
        self._builtin: dict[bytes, IPlainResource] = {}
        self.mounts: list[Mount] = []
        self.factory: WebSocketFactory | None = None
        self._status: StatusApplication | None = None
        if self._isOff:
            return
        self._status = StatusApplication(self._access, origins=origins)
        # It authenticates operators itself.
        mount = Mount(
            PATH,
            self._status,
            PATH,
            auth=False,
            origins=OriginRules((SAME_ORIGIN,), fixed=True)
            if self.endpoints
            else OriginRules(strictRules(origins)),
        )
        if not self.endpoints:
            self.mounts.append(mount)
            return
        self.factory = WebSocketFactory(
            [mount],
            clock=reactor,
            settings=_SETTINGS,
            startsApplications=False,
        )
        self.factory.site = makeSite(
            self.factory.mounts, reactor, self._builtin, landing=ToStatus()
        )
        # Without a token, whoever connects is an operator: check the Host of every
        # request, so that DNS rebinding doesn't let a page in.
        self.factory.hosts = HostRules(origins, hosts, forAll=self._access.isOpen)

    def watch(
        self, server: Watched, builtin: Mapping[bytes, IPlainResource]
    ) -> dict[bytes, IPlainResource]:
        """
        Set the server to administer.

        @param builtin: the server's built-in resources.
        @return: those that the server's own endpoints serve.
        """
        if self._status is not None:
            self._status.watch(server)
        if self._isOff:
            return {_HEALTH: builtin[_HEALTH]}
        guarded: dict[bytes, IPlainResource] = {
            name: each if name == _HEALTH else Guarded(each, self._access)
            for name, each in builtin.items()
        }
        if self.factory is None:
            return guarded
        self._builtin.update(guarded)
        return {}

    def listen(
        self,
        listen: Callable[[str, IStreamServerEndpoint, WebSocketFactory], object],
    ) -> None:
        """
        Listen on the admin endpoints.

        @param listen: called with each endpoint's name, the endpoint, and the factory.
        """
        if self.factory is not None:
            for name, endpoint in self.endpoints:
                listen(name, endpoint, self.factory)

    def listens(self, port: IListeningPort) -> None:
        """
        Remember a port that an admin endpoint has opened.
        """
        self._ports.append(port)

    def start(self) -> None:
        """
        Start the status application of the admin endpoints. One that is mounted at the
        server is started by the server.
        """
        if self.factory is not None and self._status is not None:
            self._status.startApplication()

    def stopListening(self) -> Deferred[Any]:
        """
        Stop accepting operators.

        @return: fires once the ports are closed.
        """
        ports, self._ports = self._ports, []
        return gatherResults([maybeDeferred(port.stopListening) for port in ports])

    def abortConnections(self) -> None:
        """
        End all connections of the admin endpoints at once.
        """
        if self.factory is not None:
            self.factory.abortConnections()

    async def stop(self) -> None:
        """
        Stop, after the server has: operators see how it ends.
        """
        await self.stopListening()
        if self.factory is not None and self._status is not None:
            await self.factory.closeConnections()
            self._status.stopApplication()
