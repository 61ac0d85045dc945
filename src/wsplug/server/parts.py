"""
The parts of a server, and the operations on them that the factory and the service
share.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Site

from wsplug.auth.authenticator import Authenticator
from wsplug.codec import CloseCode
from wsplug.guard.admission import Admission
from wsplug.guard.bans import Bans
from wsplug.guard.hosts import HostRules
from wsplug.guard.loglimit import LogLimit
from wsplug.guard.origins import OriginRules
from wsplug.guard.proxies import TrustedProxies
from wsplug.server.admittance import Admittance
from wsplug.server.connection import Connection
from wsplug.server.content import Content
from wsplug.server.context import ConnectionContext
from wsplug.server.deadlines import Deadlines
from wsplug.server.draining import Draining
from wsplug.server.mounts import Mounts
from wsplug.server.roster import Roster
from wsplug.server.settings import Settings
from wsplug.server.spare import SpareSlots
from wsplug.server.statistics import Statistics
from wsplug.transport.flusher import Flusher
from wsplug.transport.memorybudget import MemoryBudget

__all__ = ["ServerParts"]

_T = TypeVar("_T")


class _PartOf(Generic[_T]):
    """
    An attribute that one of the parts has under the same name.
    """

    def __init__(self, part: str) -> None:
        self._part = part

    def __set_name__(self, owner: object, name: str) -> None:
        self._name = name

    def __get__(self, server: object, owner: object = None) -> _T:
        value: _T = getattr(getattr(server, self._part), self._name)
        return value

    def __set__(self, server: object, value: _T) -> None:
        setattr(getattr(server, self._part), self._name, value)


class ServerParts:
    """
    The parts of one server. The class attributes below give access to the attributes of
    the parts.

    @ivar context: what all connections share.
    @ivar roster: the connections.
    @ivar admittance: decides who may connect.
    @ivar content: the applications and the site.
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

    def __init__(
        self,
        context: ConnectionContext,
        roster: Roster,
        admittance: Admittance,
        content: Content,
    ) -> None:
        self.context = context
        self.roster = roster
        self.admittance = admittance
        self.content = content

    @property
    def opening(self) -> int:
        """
        The number of TCP connections that aren't WebSockets yet: handshakes and plain
        HTTP.
        """
        return len(self.roster.opening)

    def awaitStart(self) -> None:
        """
        Answer only health checks on new connections until L{serve}, because the
        applications are not ready.
        """
        self.roster.awaitStart()

    def serve(self) -> None:
        """
        Serve all connections, those that have arrived since L{awaitStart} included.
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
        Close all connections, spread over the drain time, and answer new ones with 503.
        Abort those that remain after the stop timeout.

        @param code: the close code.
        @param patience: the seconds for which new connections, and those that haven't
            sent their request yet, are still served. They are closed as soon as they
            have opened. With 0, they get 503.
        @param after: fires when nobody can connect any more: this waits for it. Without
            it, nobody can. It must not fail.
        @return: fires with C{None} when all connections have closed. It doesn't fail.
        @raise RuntimeError: the connections are being closed already.
        """
        return self.roster.closeAll(reason, code, patience=patience, after=after)

    def abortConnections(self) -> None:
        """
        Abort all connections.
        """
        self.roster.abortAll()
