"""
Pauses a connection's input, and decides when the transport reads again.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from wsplug.codec.receiver import MessageReceiver
from wsplug.transport.direct import hasEnded, watchForEnd
from wsplug.transport.flusher import Flusher

__all__ = [
    "PAUSED_BY_APPLICATION",
    "PAUSED_BY_OUTPUT",
    "PAUSED_BY_WORK",
    "READ_ON",
    "GateOwner",
    "InputGate",
]

READ_ON: Final = 4096
"""
The bytes that are still read and kept while a handler pauses the input. In most cases,
that is enough to notice the end of the connection and the answers to pings. The
transport may add one read.
"""

PAUSED_BY_APPLICATION: Final = 1
"""
A bit of L{InputGate.reasons}: a handler is still processing a message.
"""

PAUSED_BY_OUTPUT: Final = 2
"""
Likewise: the peer doesn't read its output.
"""

PAUSED_BY_WORK: Final = 4
"""
Likewise: it is the turn of other busy connections.
"""

# C integers in the compiled build.
_APPLICATION: Final = PAUSED_BY_APPLICATION
_READ_ON: Final = READ_ON


class GateOwner(Protocol):
    """
    The connection that the input belongs to.
    """

    def peerEnded(self) -> None:
        """The peer has ended its output while its input is paused."""

    def inputResumed(self) -> None:
        """A reason to hold the input is gone. What was read is delivered, if it was the
        last one."""


class InputGate:
    """
    Pauses the delivery of one connection's messages, and the reading from its
    transport.

    @ivar reasons: why the input is paused, as bits; 0 if it isn't.
    @ivar heard: the time by the clock when a byte last arrived.
    """

    __slots__ = (
        "_flusher",
        "_owner",
        "_readPaused",
        "_receiver",
        "_transport",
        "heard",
        "reasons",
    )

    def __init__(
        self,
        owner: GateOwner,
        transport: Any,
        receiver: MessageReceiver,
        flusher: Flusher,
    ) -> None:
        """
        @param owner: kept until L{end}.
        @param receiver: delivers the messages.
        @param flusher: corked while messages are delivered.
        """
        self._owner: GateOwner | None = owner
        self._transport = transport
        self._receiver = receiver
        self._flusher = flusher
        # Whether the transport is paused.
        self._readPaused = False
        self.reasons = 0
        self.heard: float = flusher.began

    def lastHeard(self, now: float) -> float:
        """
        Return the time when a byte last arrived. While reading is paused, that is now.
        """
        if self._readPaused:  # its silence means nothing
            owner = self._owner
            byApplication = self.reasons & _APPLICATION
            if owner is not None and byApplication and hasEnded(self._transport):
                owner.peerEnded()
            self.heard = now
        return self.heard

    def pause(self, reason: int) -> None:
        """
        Stop delivering messages.

        @param reason: one of the bits.
        """
        if not self.reasons:
            self._receiver.pause()
        self.reasons |= reason
        # If only the application pauses the input, reading goes on for a little, to
        # notice the end of the connection and the answers to pings.
        if reason != _APPLICATION:
            self.pauseReading()

    def resume(self, reason: int) -> None:
        """
        Deliver messages again, unless there is another reason to pause.
        """
        if not self.reasons & reason:
            return
        self.reasons &= ~reason
        if not self.reasons:
            flusher = self._flusher
            flusher.cork()
            try:
                self._receiver.resume()
            finally:
                flusher.uncork()
        if self._owner is not None:
            self._owner.inputResumed()
        if self._owner is not None:
            self._readAgain()

    def keep(self, size: int) -> None:
        """
        Stop reading if enough is kept.

        @param size: the bytes that are kept.
        """
        if size > _READ_ON:
            self.pauseReading()

    def pauseReading(self) -> None:
        """
        Stop reading.
        """
        if not self._readPaused:
            self._readPaused = True
            self._transport.pauseProducing()
        if self.reasons == _APPLICATION and self._owner is not None:
            watchForEnd(self._transport, self._owner.peerEnded)

    def open(self) -> None:
        """
        Resume, whatever the reasons to pause were.
        """
        if self.reasons:
            self.reasons = 0
            self._resumeReading()
            self._receiver.resume()

    def lookAhead(self, seen: int) -> int:
        """
        Search the kept input for a close frame: see
        L{MessageReceiver.look_ahead<wsplug.codec.MessageReceiver.look_ahead>}.
        """
        return self._receiver.look_ahead(seen)

    def skip(self, size: int) -> None:
        """
        Skip some bytes of the kept input, up to the beginning of a frame, whatever the
        reasons to pause were.
        """
        flusher = self._flusher
        flusher.cork()
        try:
            self.reasons = 0
            self._resumeReading()
            self._receiver.skip(size)
            self._receiver.resume()
        finally:
            flusher.uncork()

    def stop(self) -> None:
        """
        Ignore everything else that the peer sends.
        """
        self._receiver.stop()

    def end(self) -> None:
        """
        Release the owner: the connection is lost.
        """
        self._owner = None

    def _resumeReading(self) -> None:
        if self._readPaused:
            self._readPaused = False
            self._transport.resumeProducing()

    def _readAgain(self) -> None:
        """
        Start reading again, if the reasons to pause allow it.
        """
        if not self.reasons:
            self._resumeReading()
        elif self.reasons == _APPLICATION and self._readPaused:
            if self._receiver.incomplete_size() > _READ_ON:
                self.pauseReading()
            else:
                self._resumeReading()
