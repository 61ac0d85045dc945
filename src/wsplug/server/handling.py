"""
The handlers of a connection that take their time: what holds its input until it is
done, how long it may, and what becomes of it when the connection is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred

from wsplug.interfaces import IWebSocketApplication, IWebSocketProtocol
from wsplug.server.cancelling import cancel
from wsplug.server.deadlines import Deadline, Deadlines
from wsplug.transport.flusher import Flusher

__all__ = [
    "READ_ON",
    "HandlerOwner",
    "HandlerRules",
    "Handlers",
    "ServedApplication",
    "rulesOf",
]

READ_ON: Final = 4096
"""
Bytes that are read from a connection, and kept, while a handler holds its input: enough
to see its end, and the answers to pings, in most cases. The transport may add one read.
"""


@dataclass(frozen=True)
class HandlerRules:
    """
    How the handlers of an application's connections are treated: see
    L{wsplug.interfaces.IHandlerRules}.

    @ivar overlap: whether they overlap; C{None} for that where a protocol doesn't
        declare L{IWebSocketProtocol}.
    @ivar timeout: seconds that one may take, 0 for any; C{None} for the server's
        setting.
    """

    overlap: bool | None = False
    timeout: float | None = None

    def overlapOf(self, protocol: object) -> bool:
        """
        Say whether a protocol's handlers overlap.
        """
        if not getattr(protocol, "handlersOverlap", True):
            return False
        if self.overlap is None:
            return not IWebSocketProtocol.providedBy(protocol)
        return self.overlap


def rulesOf(application: object, overlap: bool | None) -> HandlerRules:
    """
    Find an application's rules.

    @param application: an L{IWebSocketApplication}, or what has its C{buildProtocol}
        alone: that may be written for C{twisted.web.websocket}.
    @param overlap: what the mount says; C{None} where that is the application's affair.
    """
    if overlap is None:
        overlap = getattr(application, "handlersOverlap", None)
    if overlap is None and IWebSocketApplication.providedBy(application):
        overlap = False
    return HandlerRules(overlap, getattr(application, "handlerTimeout", None))


class ServedApplication(Protocol):
    """
    What a connection knows of the application whose protocol serves it.
    """

    @property
    def name(self) -> str:
        """What the log and the statistics call it."""

    @property
    def handlers(self) -> HandlerRules:
        """How its handlers are treated."""


class HandlerOwner(Protocol):
    """
    Whose handlers they are.
    """

    def handlersOverdue(self) -> None:
        """One has taken too long."""


class Handlers:
    """
    Those of one connection that aren't done.

    @ivar hurried: whether they have been told to L{hurry}.
    @ivar seen: how far what they hold has been looked through for a close frame: what
        L{MessageReceiver.look_ahead<wsplug.codec.MessageReceiver.look_ahead>} says.
    """

    __slots__ = (
        "_deadline",
        "_deadlines",
        "_flusher",
        "_last",
        "_owner",
        "_running",
        "_since",
        "_timeout",
        "hurried",
        "seen",
    )

    def __init__(
        self,
        owner: HandlerOwner,
        deadlines: Deadlines,
        flusher: Flusher,
        timeout: float,
    ) -> None:
        """
        @param owner: is referred to until L{end}.
        @param flusher: has something done in the reactor's next turn.
        @param timeout: seconds that they may take, 0 for any.
        """
        self._owner: HandlerOwner | None = owner
        self._deadlines = deadlines
        self._flusher = flusher
        self._timeout = timeout
        self.hurried = False
        self.seen = 0
        # One at a time, but for what an operator's notice or the beginning has led to.
        self._running: dict[int, Deferred[Any]] = {}
        self._last = 0
        # When there was none before.
        self._since = 0.0
        self._deadline: Deadline | None = None

    def add(self, handler: Deferred[Any]) -> int:
        """
        Note one that isn't done.

        @return: its number, for L{remove}.
        """
        if not self._running:
            self.seen = 0
        if self._timeout and not self._running:
            self._since = self._deadlines.now()
            # Most are done soon: it isn't set and cleared for each of them.
            if self._deadline is None:
                self._deadline = self._deadlines.set(self._timeout, self._check)
        self._last += 1
        self._running[self._last] = handler
        return self._last

    def remove(self, number: int) -> bool:
        """
        Note that one is done.

        @return: whether all are.
        """
        self._running.pop(number, None)
        return not self._running

    def hurry(self, timeout: float) -> None:
        """
        Give those that run, and each that comes later, less time.

        @param timeout: in seconds, 0 for no less.
        """
        if self.hurried or not timeout or 0 < self._timeout < timeout:
            return
        self.hurried = True
        self._timeout = timeout
        self._since = self._deadlines.now()
        self._deadlines.clear(self._deadline)
        self._deadline = self._deadlines.set(timeout, self._check)

    def cancel(self) -> None:
        """
        Cancel those that aren't done: in the reactor's next turn. It may be one of them
        that has led to this, and nobody can cancel a coroutine while it runs.
        """
        if self._running:
            self._flusher.later(self._cancel)

    def _cancel(self) -> None:
        running = list(self._running.values())
        self._running.clear()
        for handler in running:
            cancel(handler)

    def end(self) -> None:
        """
        Cancel them: the connection is lost.
        """
        self._deadlines.clear(self._deadline)
        self._deadline = None
        self._owner = None
        self._timeout = 0.0
        self.cancel()

    def _check(self) -> None:
        self._deadline = None
        if not self._running:
            return
        left = self._since + self._timeout - self._deadlines.now()
        if left > 0:
            self._deadline = self._deadlines.set(left, self._check)
        elif self._owner is not None:
            self._owner.handlersOverdue()
