"""
Handles peers that read slowly: their input and their producer are paused, and they are
closed if too much output waits for them, or for too long.
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
    The connection that the output belongs to.
    """

    context: ConnectionContext
    gate: InputGate
    isOpen: bool
    queue: SendQueue
    transport: Any

    @property
    def closing(self) -> CloseHandshake:
        """The closing handshake."""

    def close(
        self, code: int, reason: str, side: Side, setting: str | None = None
    ) -> None:
        """Start to close."""

    def applicationFailed(self, failure: Failure) -> None:
        """The application's producer has raised."""


class OutputWatch:
    """
    Watches one connection's send queue.

    @ivar deadline: when the peer must have read something; C{None} while no output
        waits.
    """

    __slots__ = ("_burst", "_drained", "_owner", "_producer", "_progress", "deadline")

    def __init__(self, owner: OutputOwner) -> None:
        """
        @param owner: kept until L{end}.
        """
        self._owner: OutputOwner | None = owner
        # Made when output first has to wait.
        self._burst: Burst | None = None
        # The Deferreds that wait until all output has been sent.
        self._drained: list[Deferred[None]] | None = None
        self._producer: AttachedProducer | None = None
        # How much the peer had acknowledged when the deadline was set.
        self._progress: Progress | None = None
        self.deadline: Deadline | None = None

    def mayWait(self, size: int) -> bool:
        """
        Return whether the queue may grow. If not, close the connection: see L{Burst}.
        The budget limits the memory of all connections separately.
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
        self._tooSlow(owner, f"does not read; {waiting} bytes wait", "max-send-buffer")
        return False

    # Called by the queue

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
            reason = f"the server's send buffers are full; {waiting} bytes wait"
            self._tooSlow(owner, reason, "max-send-buffer-total")
        if owner.queue.waiting > waiting // 2:
            # A frame that is partly sent can't be dropped alone.
            reason = "the server's send buffers are full, and the client does not read"
            owner.closing.abort(
                CloseCode.ABNORMAL, reason, Side.SERVER, "max-send-buffer-total"
            )

    # Called by the application

    def whenDrained(self) -> Deferred[None]:
        """
        Wait until all output has been sent.

        @return: fires with C{None}. If the connection ends before, it fails with the
            reason. You can cancel it.
        """
        owner = self._owner
        assert owner is not None
        if owner.queue.tellDrained():
            return self.waitForEnd()
        return watchCallbacks(owner, succeed(None))

    def waitForEnd(self) -> Deferred[None]:
        """
        Wait for the end of a connection that is closing.
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
        Attach a producer: pause and resume it, depending on how fast the peer reads. If
        the connection isn't open, stop it.

        @raise RuntimeError: another producer is attached.
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
        Detach the producer.
        """
        self._producer = None

    def stopProducer(self) -> None:
        """
        Stop the producer.
        """
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stop()

    # The end

    def end(self, closed: ConnectionClosed) -> None:
        """
        Release everything: the connection is lost.

        @param closed: why it ended. The Deferreds of L{whenDrained} fail with it.
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
        Return whether the peer has read a batch since the last check, although the
        kernel has no room for another one yet.
        """
        before = self._progress
        progress = self._progress = owner.context.askProgress(owner.transport)
        if progress is None or before is None:
            return False
        return progress.taken - before.taken >= BATCH

    def _tooSlow(self, owner: OutputOwner, reason: str, setting: str) -> None:
        """
        Close the connection of a peer that doesn't read: drop the waiting frames that
        are whole, and send the close frame if it reads again in time.
        """
        self.outputMoved()
        owner.queue.dropUnsent()
        owner.close(CloseCode.TRY_AGAIN_LATER, reason, Side.SERVER, setting)


def watchCallbacks(owner: OutputOwner, drained: Deferred[None]) -> Deferred[None]:
    """
    Treat an error in a callback of a Deferred from C{whenDrained} as the application's
    failure, unless another callback handles it in time.

    @return: the same Deferred.
    """
    owner.context.flusher.later(lambda: drained.addErrback(owner.applicationFailed))
    return drained
