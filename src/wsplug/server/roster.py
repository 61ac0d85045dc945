"""
The roster of a server's connections: which are opening, which are open, which linger
after a refusal, and how all of them are closed when the server stops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.defer import Deferred

from wsplug.codec import CloseCode
from wsplug.errors import HandshakeRefused
from wsplug.server.connection import Connection
from wsplug.server.context import ConnectionContext
from wsplug.server.draining import Draining, Opening, abortForStop
from wsplug.server.spare import SpareSlots

__all__ = ["FEW", "AttachedLogin", "Roster", "mostLingering"]

_LINGERING: Final = 20
"""
One in so many slots may be used by refused connections until their peers have
closed. Without this limit, a client that is refused often enough fills the server.
"""

FEW: Final = 16
"""
The number of refused connections that may always linger.
"""


class AttachedLogin(Protocol):
    """
    The login of a connection's client.
    """

    def attach(self, connection: Connection) -> None:
        """Attach the login to a connection that has opened."""

    def end(self) -> None:
        """Log out."""


def _nothing() -> None:
    """
    Do nothing.
    """


def mostLingering(connections: int) -> int:
    """
    Return how many refused connections may linger at one time. On a full server they
    are beyond C{max-connections}.

    @param connections: the value of C{max-connections}.
    """
    return max(FEW, connections // _LINGERING)


class Roster:
    """
    The connections of one server.

    @ivar connections: the open connections.
    @ivar opening: the TCP connections that aren't WebSockets yet: handshakes and plain
        HTTP.
    @ivar lingering: those of them that were refused and wait for their peers to close.
    @ivar sessions: the logins of open connections.
    @ivar spare: the slots beyond the limit, for health checks.
    @ivar starting: whether new connections wait for the applications to start.
    @ivar failed: the answer to every request, if an application didn't start.
    @ivar draining: the drain; C{None} before it starts.
    @ivar whenLeft: called whenever a connection has ended.
    """

    def __init__(self, context: ConnectionContext) -> None:
        self._context = context
        self.connections: set[Connection] = set()
        self.opening: set[Opening] = set()
        self.lingering: set[Opening] = set()
        self.sessions: dict[Connection, AttachedLogin] = {}
        self.spare = SpareSlots()
        self.starting = False
        self.failed: HandshakeRefused | None = None
        self.draining: Draining | None = None
        self.whenLeft: Callable[[], object] = _nothing

    def count(self) -> int:
        """
        Return the number of all connections, of any kind.
        """
        return len(self.opening) + len(self.connections)

    @property
    def isFull(self) -> bool:
        """
        Whether the next connection would exceed the limit.
        """
        return self.count() >= self._context.settings.max_connections

    # Adding and removing

    def awaitHeader(self, protocol: Opening) -> None:
        """
        Add a trusted proxy's connection, which begins with a header that names its
        client.
        """
        self.opening.add(protocol)
        draining = self.draining
        if draining is not None:
            protocol.finish(draining.refusal, draining.patience)
        elif self.starting:
            protocol.transport.pauseProducing()
        else:
            protocol.begin()

    def open(
        self,
        protocol: Opening,
        connection: Connection,
        name: str,
        login: AttachedLogin | None,
    ) -> None:
        """
        Replace an opening connection by the open connection that its handshake has
        made.

        @param name: the application's name.
        @param login: the client's login, if clients have to log in.
        """
        if login is not None:
            # This comes first: it may raise, and then the client takes no slot.
            login.attach(connection)
            self.sessions[connection] = login
        self.opening.discard(protocol)
        self.connections.add(connection)
        self._context.statistics.countAccepted(name)
        if self.draining is not None:
            self.draining.accepted(connection)

    def mayLinger(self, protocol: Opening) -> bool:
        """
        Return whether a refused connection may wait until its peer has read the reason.
        """
        most = mostLingering(self._context.settings.max_connections)
        if len(self.lingering) >= most:
            return False
        self.lingering.add(protocol)
        return True

    def removeOpening(self, protocol: Opening) -> None:
        """
        Remove a connection that never became a WebSocket, or whose client will be
        admitted now.
        """
        self.opening.discard(protocol)
        self.lingering.discard(protocol)
        self._left()

    def remove(self, connection: Connection) -> None:
        """
        Remove a connection that has ended.
        """
        self.connections.discard(connection)
        session = self.sessions.pop(connection, None)
        if session is not None:
            session.end()
        self._left()

    def _left(self) -> None:
        self.whenLeft()
        if self.draining is not None:
            self.draining.check()

    # Starting and stopping

    def awaitStart(self) -> None:
        """
        Answer only health checks on new connections until L{serve}, because the
        applications are not ready.
        """
        self.starting = True

    def serve(self) -> None:
        """
        Serve all connections, those that have arrived since L{awaitStart} included.
        """
        self.starting = False
        self.failed = None
        for protocol in list(self.opening):
            protocol.transport.resumeProducing()
            protocol.begin()

    def fail(self, refusal: HandshakeRefused) -> None:
        """
        Refuse every request, because an application didn't start.
        """
        self.starting = False
        self.failed = refusal
        for protocol in list(self.opening):
            protocol.finish(refusal, 0.0)

    def closeAll(
        self,
        reason: str = "the server is stopping",
        code: int = CloseCode.GOING_AWAY,
        *,
        patience: float = 0.0,
        after: Deferred[None] | None = None,
    ) -> Deferred[None]:
        """
        Close all connections: see L{wsplug.server.parts.ServerParts}.

        @raise RuntimeError: the connections are being closed already.
        """
        if self.draining is not None:
            raise RuntimeError("the connections are being closed already")
        context = self._context
        self.draining = Draining(
            self.connections,
            self.opening,
            clock=context.clock,
            deadlines=context.deadlines,
            settings=context.settings,
            code=code,
            reason=reason,
            # While the applications start, nothing would serve them.
            patience=0.0 if self.starting else patience,
        )
        return self.draining.begin(after).addCallback(lambda _: context.logLimit.tell())

    def abortAll(self) -> None:
        """
        Abort all connections.
        """
        if self.draining is not None:
            self.draining.abort()
            return
        for connection in list(self.connections):
            abortForStop(connection)
        for protocol in list(self.opening):
            protocol.abort()
