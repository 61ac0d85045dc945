"""
Handlers that return a Deferred or a coroutine: they hold back their connection's input
until they are done, have a time limit, and are cancelled when the connection is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from wsplug.codec.closecodes import CloseCode
from wsplug.errors import Side
from wsplug.interfaces import IWebSocketApplication, IWebSocketProtocol
from wsplug.server.cancelling import cancel
from wsplug.server.closehandshake import CloseHandshake
from wsplug.server.context import ConnectionContext
from wsplug.server.deadlines import Deadline
from wsplug.server.inputgate import PAUSED_BY_APPLICATION, InputGate
from wsplug.transport.traffic import Traffic

__all__ = [
    "HandlerOwner",
    "HandlerRules",
    "Handlers",
    "ServedApplication",
    "rulesOf",
]


@dataclass(frozen=True)
class HandlerRules:
    """
    Whether an application's handlers overlap, and how long they may take: see
    L{wsplug.interfaces.IHandlerRules}.

    @ivar overlap: whether they overlap. C{None}: they do if the protocol doesn't
        declare L{IWebSocketProtocol}.
    @ivar timeout: the maximum seconds for one handler, 0 for no limit; C{None} for the
        server's setting.
    """

    overlap: bool | None = False
    timeout: float | None = None

    def overlapOf(self, protocol: object) -> bool:
        """
        Return whether a protocol's handlers overlap.
        """
        if not getattr(protocol, "handlersOverlap", True):
            return False
        if self.overlap is None:
            return not IWebSocketProtocol.providedBy(protocol)
        return self.overlap


def rulesOf(application: object, overlap: bool | None) -> HandlerRules:
    """
    Return an application's rules.

    @param application: an L{IWebSocketApplication}, or an object that only has its
        C{buildProtocol}, which may have been written for C{twisted.web.websocket}.
    @param overlap: the mount's rule; C{None} if the application decides.
    """
    if overlap is None:
        overlap = getattr(application, "handlersOverlap", None)
    if overlap is None and IWebSocketApplication.providedBy(application):
        overlap = False
    return HandlerRules(overlap, getattr(application, "handlerTimeout", None))


class ServedApplication(Protocol):
    """
    The part of a mount that a connection uses.
    """

    @property
    def name(self) -> str:
        """The application's name in the log and the statistics."""

    @property
    def handlers(self) -> HandlerRules:
        """The rules for its handlers."""


class HandlerOwner(Protocol):
    """
    The connection that the handlers belong to.
    """

    context: ConnectionContext
    gate: InputGate
    isOpen: bool

    @property
    def closing(self) -> CloseHandshake:
        """The closing handshake."""

    def close(
        self, code: int, reason: str, side: Side, setting: str | None = None
    ) -> None:
        """Start to close."""


class Handlers:
    """
    The running handlers of one connection.

    @ivar hurried: whether L{hurry} was called.
    @ivar seen: how far the paused input has been searched for a close frame: the result
        of L{MessageReceiver.look_ahead<wsplug.codec.MessageReceiver.look_ahead>}.
    """

    __slots__ = (
        "_context",
        "_deadline",
        "_gate",
        "_last",
        "_owner",
        "_running",
        "_since",
        "_timeout",
        "_traffic",
        "hurried",
        "seen",
    )

    def __init__(self, owner: HandlerOwner, traffic: Traffic, timeout: float) -> None:
        """
        @param owner: kept until L{end}.
        @param traffic: counts how long each handler took.
        @param timeout: the maximum seconds for a handler, 0 for no limit.
        """
        self._owner: HandlerOwner | None = owner
        self._context = owner.context
        self._gate = owner.gate
        self._traffic = traffic
        self._timeout = timeout
        self.hurried = False
        self.seen = 0
        # Usually one. An operator's notice or the opening may add another.
        self._running: dict[int, Deferred[Any]] = {}
        self._last = 0
        # When the first of the running handlers started.
        self._since = 0.0
        self._deadline: Deadline | None = None

    def wait(self, handler: Deferred[Any], began: float) -> None:
        """
        Pause the input until a handler is done.

        @param handler: must not fail.
        @param began: the time of the call, if it is measured.
        """
        deadlines = self._context.deadlines
        if not self._running:
            self.seen = 0
        if self._timeout and not self._running:
            self._since = deadlines.now()
            # Most are done soon: the deadline isn't set and cleared for each.
            if self._deadline is None:
                self._deadline = deadlines.set(self._timeout, self._check)
        self._last += 1
        number = self._last
        self._running[number] = handler
        self._gate.pause(PAUSED_BY_APPLICATION)
        handler.addCallback(lambda _: self._done(number, began))

    def _done(self, number: int, began: float) -> None:
        if began:
            self._traffic.observe(began)
        self._running.pop(number, None)
        if not self._running:
            self._gate.resume(PAUSED_BY_APPLICATION)

    def lookAhead(self) -> None:
        """
        Search the paused input for a close frame. If there is one, the peer waits for
        an answer, and the handlers get less time.
        """
        if self._owner is None or self.seen < 0:
            return
        if self._gate.reasons & PAUSED_BY_APPLICATION:
            self.seen = self._gate.lookAhead(self.seen)
            if self.seen < 0:
                self.hurry(self._context.settings.close_timeout)

    def hurry(self, timeout: float) -> None:
        """
        Shorten the time of the running handlers, and of each later one.

        @param timeout: the new maximum in seconds; 0 to change nothing.
        """
        if self.hurried or not timeout or 0 < self._timeout < timeout:
            return
        self.hurried = True
        self._timeout = timeout
        self._since = self._context.deadlines.now()
        self._context.deadlines.clear(self._deadline)
        self._deadline = self._context.deadlines.set(timeout, self._check)

    def cancel(self) -> None:
        """
        Cancel the running handlers in the reactor's next turn. The caller may be one of
        them, and a coroutine can't be cancelled while it runs.
        """
        if self._running:
            self._context.flusher.later(self._cancel)

    def _cancel(self) -> None:
        running = list(self._running.values())
        self._running.clear()
        for handler in running:
            cancel(handler)

    def end(self) -> None:
        """
        Cancel the running handlers, because the connection is lost.
        """
        self._context.deadlines.clear(self._deadline)
        self._deadline = None
        self._owner = None
        self._timeout = 0.0
        self.cancel()

    def _check(self) -> None:
        self._deadline = None
        if not self._running:
            return
        left = self._since + self._timeout - self._context.deadlines.now()
        if left > 0:
            self._deadline = self._context.deadlines.set(left, self._check)
        elif self._owner is not None:
            self._overdue(self._owner)

    def _overdue(self, owner: HandlerOwner) -> None:
        """
        Close a connection whose handlers take too long.
        """
        if self.hurried:
            if owner.closing.loseIfLeft():
                return
            if self.seen < 0 and owner.isOpen:
                # They are cancelled when the connection has ended.
                self._gate.skip(~self.seen)
            else:
                reason = "went away without closing"
                owner.closing.abort(CloseCode.ABNORMAL, reason, Side.PEER)
            return
        reason = f"the application took longer than {self._timeout:g} seconds"
        owner.close(CloseCode.INTERNAL_ERROR, reason, Side.SERVER, "handler-timeout")
        self.cancel()
