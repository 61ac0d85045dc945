"""
Where operators are let in: at endpoints of their own, or, with the token, where the
clients are; or nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.web.resource import IResource

from wsplug.admin.access import Access
from wsplug.admin.resources import AdminRoot, Guarded
from wsplug.admin.status import PATH, StatusApplication, Watched
from wsplug.guard.hosts import HostRules
from wsplug.guard.origins import SAME_HOST
from wsplug.server.factory import WebSocketFactory
from wsplug.server.mounts import Mount
from wsplug.server.settings import Settings
from wsplug.web.site import makeSite

__all__ = ["AdminDoors", "AdminSettings"]

_HEALTH: Final = b"health"
"""
What everybody may know.
"""

_SETTINGS: Final = Settings(
    max_connections=64, max_message_size=64 * 1024, stop_timeout=2.0
)
"""
An admin endpoint has room when the server is full.
"""


@dataclass(frozen=True)
class AdminSettings:
    """
    Where operators are let in, and what they have to know.

    @ivar endpoints: those of their own, with names.
    @ivar token: what they have to know; C{None} for nothing, and where there are no
        endpoints either, nobody is let in.
    """

    endpoints: Sequence[tuple[str, IStreamServerEndpoint]] = ()
    token: str | None = None


class AdminDoors:
    """
    The status page and what else tells of a server, each at the door that it belongs
    to.

    @ivar mounts: what the server has to mount besides its applications.
    @ivar factory: that of the admin endpoints; C{None} where there are none.
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
        @param origins: those of the server.
        @param hosts: the server's further names.
        @raise ValueError: one is none.
        """
        self.endpoints = list(settings.endpoints)
        self._access = Access(reactor, settings.token)
        self._isOff = not self.endpoints and settings.token is None
        self._ports: list[IListeningPort] = []
        self._own: dict[bytes, IResource] = {}
        self.mounts: list[Mount] = []
        self.factory: WebSocketFactory | None = None
        self._status: StatusApplication | None = None
        if self._isOff:
            return
        self._status = StatusApplication(self._access, origins=origins)
        # It has a guard of its own.
        mount = Mount(PATH, self._status, PATH, auth=False)
        if not self.endpoints:
            self.mounts.append(mount)
            return
        self.factory = WebSocketFactory(
            [mount],
            clock=reactor,
            settings=_SETTINGS,
            origins=(SAME_HOST,),
            startsApplications=False,
        )
        site = makeSite(self.factory.mounts, reactor, self._own)
        site.resource = AdminRoot(site.resource)
        self.factory.site = site
        # Who needs no token is an operator by being here: a page never is.
        self.factory.hosts = HostRules(origins, hosts, forAll=self._access.isOpen)

    def watch(
        self, server: Watched, own: Mapping[bytes, IResource]
    ) -> dict[bytes, IResource]:
        """
        Say which server it is.

        @param own: all that tells of the server.
        @return: what of it everybody gets who asks the server itself.
        """
        if self._status is not None:
            self._status.watch(server)
        if self._isOff:
            return {_HEALTH: own[_HEALTH]}
        guarded: dict[bytes, IResource] = {
            name: each if name == _HEALTH else Guarded(each, self._access)
            for name, each in own.items()
        }
        if self.factory is None:
            return guarded
        self._own.update(guarded)
        return {}

    def listen(
        self,
        listen: Callable[[str, IStreamServerEndpoint, WebSocketFactory], object],
    ) -> None:
        """
        Have the endpoints listened on.

        @param listen: does it, for each.
        """
        if self.factory is not None:
            for name, endpoint in self.endpoints:
                listen(name, endpoint, self.factory)

    def listens(self, port: IListeningPort) -> None:
        """
        Take note of a port of the admin endpoints'.
        """
        self._ports.append(port)

    def start(self) -> None:
        """
        Begin to watch. What is mounted at the server is started by that.
        """
        if self.factory is not None and self._status is not None:
            self._status.startApplication()

    def stopListening(self) -> Deferred[Any]:
        """
        Let nobody in any more.

        @return: fires once that is so.
        """
        ports, self._ports = self._ports, []
        return gatherResults([maybeDeferred(port.stopListening) for port in ports])

    async def stop(self) -> None:
        """
        End, after the server: operators see how it ends.
        """
        await self.stopListening()
        if self.factory is not None and self._status is not None:
            await self.factory.closeConnections()
            self._status.stopApplication()
