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
    What hears of the output.
    """

    @property
    def deadline(self) -> Deadline | None:
        """When the peer must have read what waits for it; C{None} for nothing."""

    def stopProducer(self) -> None:
        """Tell the application's producer that it is over."""


class ClosingKeepalive(Protocol):
    """
    What watches over a silent peer.
    """

    def stop(self) -> None:
        """Ask for nothing any more."""


class ClosingOwner(Protocol):
    """
    What is being closed.
    """

    context: ConnectionContext
    gate: InputGate
    isOpen: bool
    queue: SendQueue
    transport: Any

    @property
    def keepalive(self) -> ClosingKeepalive | None:
        """What watches over a silent peer."""

    @property
    def output(self) -> ClosingOutput:
        """What hears of the output."""

    def lose(self, reason: Failure) -> None:
        """Let go of everything: the connection is gone."""


class CloseHandshake:
    """
    The end of one connection, from when somebody begins to close it.

    @ivar state: where the connection is; L{State.OPEN} until it is being closed.
    @ivar closed: why it ends, once that is known.
    @ivar left: why the transport is gone, while what came before is still delivered.
    @ivar parting: whether the connection is lost, and its last input is looked through
        for a close frame.
    """

    __slots__ = ("_deadline", "_late", "_owner", "closed", "left", "parting", "state")

    def __init__(self, owner: ClosingOwner) -> None:
        self._owner = owner
        self.state = State.OPEN
        self.closed: ConnectionClosed | None = None
        self.left: Failure | None = None
        self.parting = False
        # What comes when the connection isn't open any more.
        self._late: LateInput | None = None
        self._deadline: Deadline | None = None

    def _advance(self, event: Event) -> None:
        self.state = advance(self.state, event)
        self._owner.isOpen = False

    # How it begins

    def begin(self, code: int, reason: str, side: Side, setting: str | None) -> None:
        """
        Begin to close an open connection.

        @param setting: the name of the setting that wants it.
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
        Take the peer's close frame: an answer, or what wants one.
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
            return  # its last input is looked through
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
            # Who closed stays who closed; it is this that didn't wait for the answer.
            self.closed = UncleanlyClosed(
                closed.code, closed.reason, closed.side, setting
            )
        if self.loseIfLeft():
            return
        self._owner.queue.discard()
        self._owner.transport.abortConnection()

    def loseIfLeft(self) -> bool:
        """
        Let go of everything if the peer has left already.

        @return: whether it has.
        """
        if self.left is None:
            return False
        self._owner.lose(self.left)
        return True

    # How it goes on

    def _sendClose(self, payload: bytes) -> None:
        self._advance(Event.SEND_CLOSE)
        self._owner.queue.frame(FIN | OP_CLOSE, payload)

    def _stopServing(self) -> None:
        """
        Wait for nothing but the peer's close frame from now on: what holds up its
        input, and what asks it for signs of life, has no more say.
        """
        owner = self._owner
        if owner.keepalive is not None:
            owner.keepalive.stop()
        owner.output.stopProducer()
        owner.gate.open()

    def awaitPeer(self) -> None:
        """
        Give the peer its time to close. It begins when our close frame is out: while
        output waits before that, the send timeout watches over the peer.
        """
        if self.state is State.LOST:
            return
        owner = self._owner
        seconds = owner.context.settings.close_timeout
        if self._deadline is None and owner.output.deadline is None and seconds:
            self._deadline = owner.context.deadlines.set(seconds, self._timedOut)

    def stopWaiting(self) -> None:
        """
        Give the peer its time later, or no more.
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
        Read only so much more of a peer that nobody listens to: while its close frame
        has to come, what may be on the way in front of it.

        @param size: bytes that have come.
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

    # How it ends

    def _end(self) -> None:
        """
        End the TCP connection once all is sent.
        """
        self._stopServing()
        self.awaitPeer()
        self._owner.queue.end(self._endTransport)

    def _endTransport(self) -> None:
        transport = self._owner.transport
        if self.state is State.FAILED:
            # The peer may still be sending, and is to see why this ends.
            endWriting(transport)
            return
        closed = self.closed
        if self.state is State.CLOSED and closed is not None:
            # Both close frames are out of our hands (section 7.1.4).
            self.closed = CleanlyClosed(
                closed.code, closed.reason, closed.side, closed.setting, clean=True
            )
        transport.loseConnection()

    def lose(self) -> None:
        """
        Note that the connection is gone, and let go of it.
        """
        self._advance(Event.LOSE)
        self.stopWaiting()
        self.left = None
        del self._owner


def failureOf(closed: ConnectionClosed) -> Failure:
    """
    Make a failure of why a connection ended, for one who is told of it. One that was
    raised leads to the frames that it went through, and those lead to the connection.
    """
    return Failure(copy(closed))
