"""
The closing handshake of a connection (RFC 6455 section 7): which side has started it,
what the peer may still send, and how the TCP connection ends.
"""

from __future__ import annotations

from copy import copy
from typing import Any, Protocol

from twisted.python.failure import Failure

from wsplug.codec.closecodes import CloseCode, pack_close
from wsplug.codec.frames import FIN, OP_CLOSE
from wsplug.codec.lifecycle import Event, State, advance
from wsplug.errors import ConnectionClosed, ProtocolViolation, Side
from wsplug.server.closing import (
    LATE_LARGE_SIZE,
    LATE_SIZE,
    CleanlyClosed,
    LateInput,
    UncleanlyClosed,
    endWriting,
)
from wsplug.server.context import ConnectionContext
from wsplug.server.deadlines import Deadline
from wsplug.server.inputgate import InputGate
from wsplug.transport.sendqueue import SendQueue

__all__ = ["CloseHandshake", "ClosingOwner", "failureOf"]


class ClosingOutput(Protocol):
    """
    The part of a connection that watches its output.
    """

    @property
    def deadline(self) -> Deadline | None:
        """When the peer must have read the waiting output; C{None} if there is none."""

    def stopProducer(self) -> None:
        """Stop the application's producer."""


class ClosingKeepalive(Protocol):
    """
    The part of a connection that pings the peer.
    """

    def stop(self) -> None:
        """Stop pinging."""


class ClosingOwner(Protocol):
    """
    The connection that is closed.
    """

    context: ConnectionContext
    gate: InputGate
    isOpen: bool
    queue: SendQueue
    transport: Any

    @property
    def keepalive(self) -> ClosingKeepalive | None:
        """Pings the peer; C{None} if that is off."""

    @property
    def output(self) -> ClosingOutput:
        """Watches the output."""

    def lose(self, reason: Failure) -> None:
        """Release everything: the connection is lost."""


class CloseHandshake:
    """
    The closing handshake of one connection, from the first close or error on.

    @ivar state: the connection's state; L{State.OPEN} until it is being closed.
    @ivar closed: why the connection ends, once that is known.
    @ivar left: why the transport was lost, while earlier input is still being
        delivered.
    @ivar parting: whether the connection is lost and its last input is searched for a
        close frame.
    """

    __slots__ = ("_deadline", "_late", "_owner", "closed", "left", "parting", "state")

    def __init__(self, owner: ClosingOwner) -> None:
        self._owner = owner
        self.state = State.OPEN
        self.closed: ConnectionClosed | None = None
        self.left: Failure | None = None
        self.parting = False
        # Input that arrives when the connection isn't open any more.
        self._late: LateInput | None = None
        self._deadline: Deadline | None = None

    def _advance(self, event: Event) -> None:
        self.state = advance(self.state, event)
        self._owner.isOpen = False

    # Starting to close

    def begin(self, code: int, reason: str, side: Side, setting: str | None) -> None:
        """
        Start to close an open connection.

        @param setting: the name of the setting that causes it.
        """
        payload = pack_close(code, reason)
        self.closed = UncleanlyClosed(code, reason, side, setting)
        if self.loseIfLeft():
            return
        self._sendClose(payload)
        self._stopServing()
        self.awaitPeer()

    def received(self, code: int, reason: str) -> None:
        """
        Handle the peer's close frame. It is the answer to ours, or it gets one.
        """
        if self.parting or self.left is not None:
            self.closed = UncleanlyClosed(code, reason, Side.PEER)
            self.loseIfLeft()
            return
        wasOpen = self._owner.isOpen
        self._advance(Event.RECEIVE_CLOSE)
        if wasOpen:
            self.closed = UncleanlyClosed(code, reason, Side.PEER)
            self._sendClose(pack_close(code))
        self._end()

    def fail(self, violation: ProtocolViolation) -> None:
        """
        Fail the connection (section 7.1.7): the peer has broken a rule.
        """
        if self.parting or self.left is not None:
            self.loseIfLeft()
            return
        code, reason = violation.code, violation.reason
        if self._owner.isOpen:
            self.closed = UncleanlyClosed(code, reason, Side.SERVER, violation.setting)
            self._owner.queue.frame(FIN | OP_CLOSE, pack_close(code, reason))
        self._advance(Event.FAIL)
        self._end()

    def exceed(self, code: int, reason: str, setting: str) -> None:
        """
        Fail a connection whose peer is over a limit. Nothing more that it sends is
        delivered.
        """
        if self.state is State.LOST:
            return  # its last input is only searched for a close frame
        self._owner.gate.stop()
        if self.state in (State.OPEN, State.CLOSE_SENT):
            self.fail(ProtocolViolation(code, reason, setting))

    def abort(
        self, code: int, reason: str, side: Side, setting: str | None = None
    ) -> None:
        """
        End the connection without a closing handshake.
        """
        if self.state is State.LOST:
            return
        closed = self.closed
        if closed is None:
            self.closed = UncleanlyClosed(code, reason, side, setting)
        elif self.state is State.CLOSE_SENT and closed.setting is None:
            # The side that closed remains; it didn't wait for the answer.
            self.closed = UncleanlyClosed(
                closed.code, closed.reason, closed.side, setting
            )
        if self.loseIfLeft():
            return
        self._owner.queue.discard()
        self._owner.transport.abortConnection()

    def loseIfLeft(self) -> bool:
        """
        Release everything if the peer has already gone.

        @return: whether it has.
        """
        if self.left is None:
            return False
        self._owner.lose(self.left)
        return True

    # While it closes

    def _sendClose(self, payload: bytes) -> None:
        self._advance(Event.SEND_CLOSE)
        self._owner.queue.frame(FIN | OP_CLOSE, payload)

    def _stopServing(self) -> None:
        """
        From now on, wait only for the peer's close frame: nothing pauses the input any
        more, and keepalive stops.
        """
        owner = self._owner
        if owner.keepalive is not None:
            owner.keepalive.stop()
        owner.output.stopProducer()
        owner.gate.open()

    def awaitPeer(self) -> None:
        """
        Start the close timeout. It begins when our close frame has been sent; while
        output waits before it, the send timeout applies.
        """
        if self.state is State.LOST:
            return
        owner = self._owner
        seconds = owner.context.settings.close_timeout
        if self._deadline is None and owner.output.deadline is None and seconds:
            self._deadline = owner.context.deadlines.set(seconds, self._timedOut)

    def stopWaiting(self) -> None:
        """
        Stop the close timeout.
        """
        if self._deadline is None:
            return
        self._owner.context.deadlines.clear(self._deadline)
        self._deadline = None

    def _timedOut(self) -> None:
        self.stopWaiting()
        self.abort(
            CloseCode.ABNORMAL, "did not close in time", Side.SERVER, "close-timeout"
        )

    def takeLate(self, size: int) -> None:
        """
        Limit how much is read while waiting for the peer's close frame. Other frames
        may be on their way in front of it.

        @param size: the bytes that have arrived.
        """
        if self.state is State.LOST:
            return
        owner = self._owner
        if self._late is None:
            self._late = LateInput(owner.transport)
        limit = LATE_SIZE
        closed = self.closed
        if self.state is State.CLOSE_SENT:
            limit = owner.context.settings.max_message_size + LATE_LARGE_SIZE
        elif closed is not None and closed.code == CloseCode.MESSAGE_TOO_BIG:
            limit = LATE_LARGE_SIZE
        isTimed = self._deadline is not None or owner.output.deadline is not None
        self._late.take(size, isTimed, self._timedOut, limit)

    # The end

    def _end(self) -> None:
        """
        End the TCP connection once all output has been sent.
        """
        self._stopServing()
        self.awaitPeer()
        self._owner.queue.end(self._endTransport)

    def _endTransport(self) -> None:
        transport = self._owner.transport
        if self.state is State.FAILED:
            # The peer may still be sending, and has to see why the connection ends.
            endWriting(transport)
            return
        closed = self.closed
        if self.state is State.CLOSED and closed is not None:
            # Both sides have sent a close frame (section 7.1.4).
            self.closed = CleanlyClosed(
                closed.code, closed.reason, closed.side, closed.setting, clean=True
            )
        transport.loseConnection()

    def lose(self) -> None:
        """
        Record that the connection is lost, and release it.
        """
        self._advance(Event.LOSE)
        self.stopWaiting()
        self.left = None
        del self._owner


def failureOf(closed: ConnectionClosed) -> Failure:
    """
    Return a failure for the reason why a connection ended, without a traceback. A
    traceback's frames would keep the connection in memory.
    """
    return Failure(copy(closed))
