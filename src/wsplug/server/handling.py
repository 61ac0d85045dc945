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

    context: ConnectionContext
    gate: InputGate
    isOpen: bool

    @property
    def closing(self) -> CloseHandshake:
        """How it is closed."""

    def close(
        self, code: int, reason: str, side: Side, setting: str | None = None
    ) -> None:
        """Begin to close."""


class Handlers:
    """
    Those of one connection that aren't done.

    @ivar hurried: whether they have been told to L{hurry}.
    @ivar seen: how far what they hold has been looked through for a close frame: what
        L{MessageReceiver.look_ahead<wsplug.codec.MessageReceiver.look_ahead>} says.
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
        @param owner: is referred to until L{end}.
        @param traffic: counts how long each took.
        @param timeout: seconds that they may take, 0 for any.
        """
        self._owner: HandlerOwner | None = owner
        self._context = owner.context
        self._gate = owner.gate
        self._traffic = traffic
        self._timeout = timeout
        self.hurried = False
        self.seen = 0
        # One at a time, but for what an operator's notice or the beginning has led to.
        self._running: dict[int, Deferred[Any]] = {}
        self._last = 0
        # When there was none before.
        self._since = 0.0
        self._deadline: Deadline | None = None

    def wait(self, handler: Deferred[Any], began: float) -> None:
        """
        Hold the input until a handler is done.

        @param handler: doesn't fail.
        @param began: when it was called, where that is to be known.
        """
        deadlines = self._context.deadlines
        if not self._running:
            self.seen = 0
        if self._timeout and not self._running:
            self._since = deadlines.now()
            # Most are done soon: it isn't set and cleared for each of them.
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
        Find out whether the peer has closed behind what a handler holds. It waits for
        an answer then, and not for ever.
        """
        if self._owner is None or self.seen < 0:
            return
        if self._gate.reasons & PAUSED_BY_APPLICATION:
            self.seen = self._gate.lookAhead(self.seen)
            if self.seen < 0:
                self.hurry(self._context.settings.close_timeout)

    def hurry(self, timeout: float) -> None:
        """
        Give those that run, and each that comes later, less time.

        @param timeout: in seconds, 0 for no less.
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
        Cancel those that aren't done: in the reactor's next turn. It may be one of them
        that has led to this, and nobody can cancel a coroutine while it runs.
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
        Cancel them: the connection is lost.
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
                # They are cancelled when that has led to the connection's end.
                self._gate.skip(~self.seen)
            else:
                reason = "went away without closing"
                owner.closing.abort(CloseCode.ABNORMAL, reason, Side.PEER)
            return
        reason = f"the application took longer than {self._timeout:g} seconds"
        owner.close(CloseCode.INTERNAL_ERROR, reason, Side.SERVER, "handler-timeout")
        self.cancel()
