"""
The gate in front of a connection's input: what closes it, and when the transport reads
again.
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
Bytes that are read from a connection, and kept, while a handler holds its input: enough
to see its end, and the answers to pings, in most cases. The transport may add one read.
"""

PAUSED_BY_APPLICATION: Final = 1
"""
A bit of L{InputGate.reasons}: a handler isn't done with a message.
"""

PAUSED_BY_OUTPUT: Final = 2
"""
The peer doesn't read.
"""

PAUSED_BY_WORK: Final = 4
"""
It is the turn of other connections that make much work.
"""

# C integers, where this is compiled.
_APPLICATION: Final = PAUSED_BY_APPLICATION
_READ_ON: Final = READ_ON


class GateOwner(Protocol):
    """
    Whose input it is.
    """

    def peerEnded(self) -> None:
        """The peer sends nothing more, though its input is held."""

    def inputResumed(self) -> None:
        """A reason to hold the input is gone. What was read is delivered, if it was the
        last one."""


class InputGate:
    """
    Holds the messages of one connection back, and stops reading from its transport.

    @ivar reasons: why the input is held, as bits; 0 where it isn't.
    @ivar heard: when a byte last came, by the clock.
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
        @param owner: is referred to until L{end}.
        @param receiver: delivers the messages.
        @param flusher: is corked while messages are delivered.
        """
        self._owner: GateOwner | None = owner
        self._transport = transport
        self._receiver = receiver
        self._flusher = flusher
        # Whether the transport was told not to read.
        self._readPaused = False
        self.reasons = 0
        self.heard: float = flusher.began

    def lastHeard(self, now: float) -> float:
        """
        Say when a byte last came: now, while nothing is read on purpose.
        """
        if self._readPaused:  # one that isn't read from can't be silent
            owner = self._owner
            byApplication = self.reasons & _APPLICATION
            if owner is not None and byApplication and hasEnded(self._transport):
                owner.peerEnded()
            self.heard = now
        return self.heard

    def pause(self, reason: int) -> None:
        """
        Deliver no more messages.

        @param reason: one of the bits.
        """
        if not self.reasons:
            self._receiver.pause()
        self.reasons |= reason
        # While it is the application alone that wants nothing more, a little is read
        # on: the connection's loss, and the answers to pings, are to be seen.
        if reason != _APPLICATION:
            self.pauseReading()

    def resume(self, reason: int) -> None:
        """
        Deliver messages again, if there is no other reason to hold them.
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
        Stop reading where enough is kept.

        @param size: bytes that are kept.
        """
        if size > _READ_ON:
            self.pauseReading()

    def pauseReading(self) -> None:
        """
        Read nothing more.
        """
        if not self._readPaused:
            self._readPaused = True
            self._transport.pauseProducing()
        if self.reasons == _APPLICATION and self._owner is not None:
            watchForEnd(self._transport, self._owner.peerEnded)

    def open(self) -> None:
        """
        Hold nothing any more, whatever the reasons were.
        """
        if self.reasons:
            self.reasons = 0
            self._resumeReading()
            self._receiver.resume()

    def lookAhead(self, seen: int) -> int:
        """
        Look for a close frame in what is held: see
        L{MessageReceiver.look_ahead<wsplug.codec.MessageReceiver.look_ahead>}.
        """
        return self._receiver.look_ahead(seen)

    def skip(self, size: int) -> None:
        """
        Go on behind some bytes of what is held, where a frame begins, whatever the
        reasons to hold it were.
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
        Take nothing more of what the peer sends.
        """
        self._receiver.stop()

    def end(self) -> None:
        """
        Let go of the owner: the connection is gone.
        """
        self._owner = None

    def _resumeReading(self) -> None:
        if self._readPaused:
            self._readPaused = False
            self._transport.resumeProducing()

    def _readAgain(self) -> None:
        """
        Read as far as what holds the input allows.
        """
        if not self.reasons:
            self._resumeReading()
        elif self.reasons == _APPLICATION and self._readPaused:
            if self._receiver.incomplete_size() > _READ_ON:
                self.pauseReading()
            else:
                self._resumeReading()
