"""
What happens to a connection whose peer reads slowly: its input and its producer are
paused, and it is closed when too much waits for it, or for too long.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure

from wsplug.codec.closecodes import CloseCode
from wsplug.errors import ConnectionClosed, Side
from wsplug.server.closehandshake import CloseHandshake, failureOf
from wsplug.server.context import ConnectionContext
from wsplug.server.deadlines import Deadline
from wsplug.server.inputgate import PAUSED_BY_OUTPUT, InputGate
from wsplug.server.producers import AttachedProducer
from wsplug.transport.bursts import Burst
from wsplug.transport.progress import Progress
from wsplug.transport.sendqueue import BATCH, SendQueue

__all__ = ["OutputOwner", "OutputWatch", "watchCallbacks"]


class OutputOwner(Protocol):
    """
    Whose output it is.
    """

    context: ConnectionContext
    gate: InputGate
    isOpen: bool
    queue: SendQueue
    transport: Any

    @property
    def closing(self) -> CloseHandshake:
        """How it is closed."""

    def close(
        self, code: int, reason: str, side: Side, setting: str | None = None
    ) -> None:
        """Begin to close."""

    def applicationFailed(self, failure: Failure) -> None:
        """The application's producer has raised."""


class OutputWatch:
    """
    Hears what becomes of one connection's send queue.

    @ivar deadline: when the peer must have read something; C{None} while nothing waits
        for it.
    """

    __slots__ = ("_burst", "_drained", "_owner", "_producer", "_progress", "deadline")

    def __init__(self, owner: OutputOwner) -> None:
        """
        @param owner: is referred to until L{end}.
        """
        self._owner: OutputOwner | None = owner
        # Once something was made to wait.
        self._burst: Burst | None = None
        # Who waits for all that was sent to be out.
        self._drained: list[Deferred[None]] | None = None
        self._producer: AttachedProducer | None = None
        # How far the peer had come when the deadline was set.
        self._progress: Progress | None = None
        self.deadline: Deadline | None = None

    def mayWait(self, size: int) -> bool:
        """
        Say whether the queue may get longer still, and give up on a peer for which it
        may not: see L{Burst}. The memory of all is bounded at once, by the budget.
        """
        owner = self._owner
        if owner is None:
            return False
        waiting = owner.queue.waiting
        context = owner.context
        turn = context.flusher.turns.number()
        if self._burst is None:
            self._burst = Burst()
        if self._burst.allows(turn, waiting, size, context.settings.max_send_buffer):
            return True
        self._tooSlow(
            owner, f"does not read; {waiting} bytes wait for it", "max-send-buffer"
        )
        return False

    # What the queue tells

    def outputBlocked(self) -> None:
        owner = self._owner
        if owner is None:
            return
        context = owner.context
        stalled = context.statistics.stalled
        if owner not in stalled:
            stalled.add(owner)
            context.statistics.stalls += 1
            if self._burst is None:
                self._burst = Burst()
            self._burst.begin(context.flusher.turns.number(), owner.queue.waiting)
        seconds = context.settings.send_timeout
        if seconds:
            self.deadline = context.deadlines.set(seconds, self._timedOut)
            self._progress = owner.context.askProgress(owner.transport)
        if owner.isOpen:
            owner.gate.pause(PAUSED_BY_OUTPUT)
            if self._producer is not None:
                self._producer.pause()
        elif seconds:
            owner.closing.stopWaiting()

    def outputMoved(self) -> None:
        if self._owner is not None:
            self._owner.context.deadlines.clear(self.deadline)
            self.deadline = None

    def outputResumed(self) -> None:
        owner = self._owner
        if owner is None:
            return
        if not owner.isOpen:
            owner.closing.awaitPeer()
        if self._producer is not None:
            self._producer.resume()
        if not owner.queue.blocked:
            owner.context.statistics.stalled.discard(owner)
            owner.gate.resume(PAUSED_BY_OUTPUT)

    def outputDrained(self) -> None:
        owner = self._owner
        waiting, self._drained = self._drained, None
        for drained in waiting or ():
            drained.callback(None)
            if owner is not None:
                watchCallbacks(owner, drained)

    def outputEnded(self) -> None:
        self.stopProducer()

    def outputShed(self, waiting: int) -> None:
        owner = self._owner
        if owner is None:
            return
        if owner.isOpen:
            reason = f"the server is full; {waiting} bytes wait for it"
            self._tooSlow(owner, reason, "max-send-buffer-total")
        if owner.queue.waiting > waiting // 2:
            # What is partly out can't be taken back by itself.
            reason = "the server is full, and it does not read"
            owner.closing.abort(
                CloseCode.ABNORMAL, reason, Side.SERVER, "max-send-buffer-total"
            )

    # What the application asks for

    def whenDrained(self) -> Deferred[None]:
        """
        Wait until all that was sent is out.

        @return: fires with C{None} then; fails with why the connection has ended before
            that. It can be cancelled.
        """
        owner = self._owner
        assert owner is not None
        if owner.queue.tellDrained():
            return self.waitForEnd()
        return watchCallbacks(owner, succeed(None))

    def waitForEnd(self) -> Deferred[None]:
        """
        Wait for the end of a connection that sends nothing more.
        """
        drained: Deferred[None] = Deferred(self._forgetDrained)
        if self._drained is None:
            self._drained = []
        self._drained.append(drained)
        return drained

    def _forgetDrained(self, drained: Deferred[None]) -> None:
        if self._drained is not None and drained in self._drained:
            self._drained.remove(drained)

    def attachProducer(self, producer: IPushProducer) -> None:
        """
        Pause and resume a producer as the peer reads; stop it if it is too late.

        @raise RuntimeError: there is another one.
        """
        if self._producer is not None:
            raise RuntimeError("another producer is attached; detach that first")
        owner = self._owner
        if owner is None or not owner.isOpen or owner.closing.left is not None:
            producer.stopProducing()
            return
        self._producer = AttachedProducer(producer, owner.applicationFailed)
        if owner.queue.blocked:
            self._producer.pause()

    def detachProducer(self) -> None:
        """
        Let the producer go.
        """
        self._producer = None

    def stopProducer(self) -> None:
        """
        Tell the producer that it is over.
        """
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stop()

    # The end

    def end(self, closed: ConnectionClosed) -> None:
        """
        Let go of everything: the connection is gone.

        @param closed: why: those who wait for all to be out are told so.
        """
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.context.deadlines.clear(self.deadline)
            owner.context.statistics.stalled.discard(owner)
        self.deadline = None
        self.stopProducer()
        waiting, self._drained = self._drained, None
        for drained in waiting or ():
            drained.errback(failureOf(closed))
            if owner is not None:
                watchCallbacks(owner, drained)

    # Slow peers

    def _timedOut(self) -> None:
        self.deadline = None
        owner = self._owner
        if owner is None:
            return
        if self._hasRead(owner):
            context = owner.context
            seconds = context.settings.send_timeout
            self.deadline = context.deadlines.set(seconds, self._timedOut)
        elif owner.isOpen:
            self._tooSlow(owner, "does not read", "send-timeout")
        else:
            owner.closing.abort(
                CloseCode.ABNORMAL, "does not read", Side.SERVER, "send-timeout"
            )

    def _hasRead(self, owner: OutputOwner) -> bool:
        """
        Say whether the peer has read a batch since it was looked at last, though the
        kernel has no room for one yet.
        """
        before = self._progress
        progress = self._progress = owner.context.askProgress(owner.transport)
        if progress is None or before is None:
            return False
        return progress.taken - before.taken >= BATCH

    def _tooSlow(self, owner: OutputOwner, reason: str, setting: str) -> None:
        """
        Give up on a peer that doesn't read: drop what no frame is torn apart by, and
        let it have the close frame if it reads again in time.
        """
        self.outputMoved()
        owner.queue.dropUnsent()
        owner.close(CloseCode.TRY_AGAIN_LATER, reason, Side.SERVER, setting)


def watchCallbacks(owner: OutputOwner, drained: Deferred[None]) -> Deferred[None]:
    """
    Have what fails behind a Deferred of C{whenDrained}, which has fired, be the
    application's failure, once whoever asked has had the time to handle it.

    @return: the same.
    """
    owner.context.flusher.later(lambda: drained.addErrback(owner.applicationFailed))
    return drained
