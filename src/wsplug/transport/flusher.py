"""
Collects output while input is handled, and flushes it at the end.

A hundred replies to a hundred pipelined requests, or eight broadcasts to a thousand
subscribers, take one system call for each connection instead of one for each message.
No timer delays them: output is flushed at the end of the pass over the readable
sockets, or in the same turn of the reactor if it is sent outside of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from wsplug.transport.bursts import TurnCount

__all__ = ["Flushable", "Flusher"]

_log = Logger(__name__)


class Flushable(Protocol):
    """
    A connection that has something to send.
    """

    def flush(self) -> None:
        """
        Pass as much to the transport as it has room for. If this raises, L{abort} is
        called.
        """

    def abort(self) -> None:
        """
        End the connection at once.
        """


class Flusher:
    """
    Holds back the output of all connections of a server while it is corked.

    @ivar began: the time by the clock when the outermost cork was set. All code under
        the cork uses it, instead of asking the clock for each message.
    @ivar turns: numbers the turns of the reactor.
    """

    __slots__ = (
        "_clock",
        "_corks",
        "_scheduled",
        "_waiting",
        "began",
        "turns",
    )

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: the reactor. It flushes output that is sent without a cork, in the
            same turn.
        """
        self._clock = clock
        self._corks = 0
        self._scheduled = False
        self.turns = TurnCount(clock)
        self._waiting: list[Flushable] = []
        self.began: float = clock.seconds()

    def add(self, connection: Flushable) -> None:
        """
        Add a connection to be flushed. Add it again only after the flush.
        """
        self._waiting.append(connection)
        if not self._corks and not self._scheduled:
            self._scheduled = True
            self._clock.callLater(0, self._flushLater)

    def later(self, call: Callable[[], object]) -> None:
        """
        Make a call in the reactor's next turn.
        """
        self._clock.callLater(0, call)

    def cork(self) -> None:
        """
        Hold output back until L{uncork} was called as often.
        """
        if not self._corks:
            self.began = self._clock.seconds()
        self._corks += 1

    def uncork(self) -> None:
        """
        Flush, if this was the last cork.
        """
        self._corks -= 1
        if not self._corks and self._waiting:
            self._flush()

    def _flushLater(self) -> None:
        self._scheduled = False
        if not self._corks:
            self._flush()

    def _flush(self) -> None:
        # A flush may cause more output, for example when a producer resumes.
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            for connection in waiting:
                try:
                    connection.flush()
                except BaseException:
                    # The others must not wait forever.
                    _log.failure("a connection could not be flushed")
                    self._abort(connection)

    def _abort(self, connection: Flushable) -> None:
        """
        End a connection whose flush has failed: it isn't known what it has sent.
        """
        try:
            connection.abort()
        except BaseException:
            _log.failure("a connection could not be ended")
