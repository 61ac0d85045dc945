"""
Draining: closes all of a server's connections when it stops or restarts.

Connections are closed in batches and in random order, spread over a time. So the
clients don't all reconnect at the same moment, and those that connected first aren't
always the first to be closed. What is still open at the deadline is aborted.
"""

from __future__ import annotations

from collections.abc import Set
from math import ceil
from random import Random
from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from wsplug.codec.closecodes import CloseCode
from wsplug.errors import HandshakeRefused, Side
from wsplug.server.deadlines import Deadline, Deadlines
from wsplug.server.settings import Settings

if TYPE_CHECKING:
    from wsplug.server.connection import Connection

__all__ = ["Draining", "Opening", "abortForStop"]

_BATCH: Final = 100
"""
The maximum number of connections that are closed at once, in one batch.
"""

_FULL_DRAIN: Final = 5000
"""
The number of connections from which on the whole drain time is used.
"""

_GIVEN_UP: Final = 5.0
"""
The maximum seconds to wait for aborted connections to close. Only a defect can delay
them longer, and the process has to end all the same.
"""

_PAUSE: Final = 0.05
"""
The average number of seconds between two batches.
"""


class Opening(Protocol):
    """
    A connection that isn't a WebSocket yet.
    """

    transport: Any

    def begin(self) -> None:
        """
        Start reading: the server is ready.
        """

    def finish(self, refusal: HandshakeRefused, patience: float) -> None:
        """
        End, because the server stops.

        @param refusal: the answer to a request that comes too late.
        @param patience: the seconds for which a request may still arrive.
        """

    def abort(self) -> None:
        """
        Abort the connection.
        """


def abortForStop(connection: Connection) -> None:
    """
    Abort a connection, because the stop timeout is over.
    """
    connection.closing.abort(
        CloseCode.GOING_AWAY, "the server has stopped", Side.SERVER, "stop-timeout"
    )


class Draining:
    """
    Closes all connections of a server, once.

    @ivar patience: the seconds for which connections whose request hasn't arrived yet
        are served; 0 if they are refused.
    @ivar refusal: the answer to later requests.
    """

    _log = Logger()

    def __init__(
        self,
        connections: Set[Connection],
        opening: Set[Opening],
        *,
        clock: IReactorTime,
        deadlines: Deadlines,
        settings: Settings,
        code: int,
        reason: str,
        patience: float = 0.0,
        random: Random | None = None,
    ) -> None:
        """
        @param connections: the open connections. The set changes as they open and
            close.
        @param opening: the connections that aren't WebSockets yet.
        @param code: the close code.
        @param reason: the close reason.
        @param patience: see the attribute.
        @param random: randomizes the order and the pauses.
        """
        self.patience = patience
        self.refusal = HandshakeRefused(
            503, reason, headers=[(b"Retry-After", b"5")], setting=None
        )
        self._connections = connections
        self._opening = opening
        self._clock = clock
        self._deadlines = deadlines
        self._settings = settings
        self._code = code
        self._reason = reason
        self._random = random if random is not None else Random()
        self._waiting = True
        self._done: Deferred[None] = Deferred()
        self._next: IDelayedCall | None = None
        self._deadline: Deadline | None = None
        self._count: Deadline | None = None
        self._last: Deadline | None = None
        self._isGivenUp = False
        self._end = 0.0

    def begin(self, after: Deferred[None] | None = None) -> Deferred[None]:
        """
        Start to close.

        @param after: fires when no connection can arrive any more. Without it, none
            can. It must not fail.
        @return: fires with C{None} when all connections have closed. It doesn't fail.
        """
        for protocol in list(self._opening):
            protocol.finish(self.refusal, self.patience)
        connections = list(self._connections)
        self._random.shuffle(connections)
        self._tellBatch(connections, self._batchSize(len(connections)))
        timeout = self._settings.stop_timeout
        if timeout:
            self._end = self._clock.seconds() + timeout
            self._deadline = self._deadlines.set(timeout, self.abort)
        self._countLater()
        if after is None:
            self._waiting = False
        else:
            after.addCallback(self._portsClosed)
        self.check()
        return self._done

    def _portsClosed(self, _: object) -> None:
        self._waiting = False
        self.check()

    def _batchSize(self, count: int) -> int:
        """
        Return the number of connections to close in a batch. Each one needs time to
        answer before the deadline.
        """
        settings = self._settings
        seconds = settings.drain_time * min(1.0, count / _FULL_DRAIN)
        if settings.stop_timeout:
            seconds = min(seconds, settings.stop_timeout / 2)
        if count <= _BATCH or seconds < _PAUSE:
            return max(count, 1)
        return ceil(count * _PAUSE / seconds)

    def _tellBatch(self, connections: list[Connection], size: int) -> None:
        batch, rest = connections[:size], connections[size:]
        for connection in batch:
            self._tell(connection)
        self._next = None
        if rest:
            pause = _PAUSE * self._random.uniform(0.5, 1.5)
            self._next = self._clock.callLater(pause, self._tellBatch, rest, size)

    def _tell(self, connection: Connection) -> None:
        connection.close(self._code, self._reason, Side.SERVER)

    def accepted(self, connection: Connection) -> None:
        """
        A connection has opened while the server drains: it is closed as well.
        """
        self._clock.callLater(0, self._tell, connection)

    def _countLater(self) -> None:
        seconds = max(1.0, self._settings.stop_timeout / 10)
        self._count = self._deadlines.set(seconds, self._countDown)

    def _countDown(self) -> None:
        left = len(self._connections) + len(self._opening)
        if not left:
            pass  # it is a port that is waited for
        elif self._settings.stop_timeout:
            self._log.info(
                "{left} connections are left, with {seconds} seconds to close",
                left=left,
                seconds=ceil(max(0.0, self._end - self._clock.seconds())),
            )
        else:
            self._log.info("{left} connections are left", left=left)
        self._countLater()

    def abort(self) -> None:
        """
        Abort the connections that remain, and each one that still arrives.
        """
        self.patience = 0.0
        for connection in list(self._connections):
            self._tell(connection)  # so that it has the code and reason of this
            abortForStop(connection)
        for protocol in list(self._opening):
            protocol.abort()
        if self._deadline is not None:
            self._deadlines.clear(self._deadline)
            self._deadline = None
        if self._last is None and not self._done.called:
            self._last = self._deadlines.set(_GIVEN_UP, self._giveUp)

    def _giveUp(self) -> None:
        """
        End the drain although some aborted connections haven't closed.
        """
        left = len(self._connections) + len(self._opening)
        if left:
            self._log.error(
                "{left} aborted connections have not closed; the "
                "server ends without them",
                left=left,
            )
            self._isGivenUp = True
            self.check()

    def check(self) -> None:
        """
        End the drain if the last connection has closed.
        """
        if self._waiting or self._done.called:
            return
        if not self._isGivenUp and (self._connections or self._opening):
            return
        for deadline in (self._deadline, self._count, self._last):
            self._deadlines.clear(deadline)
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._done.callback(None)
