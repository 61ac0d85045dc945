"""
The output of one connection. It is collected while corked, written as fast as the
transport accepts it, and counted while it waits.

Output that the transport doesn't accept stays here, where it can be limited and
dropped. The queue is the producer of its transport. A L{DirectTransport} accepts as
much as the kernel does. Other transports, such as that of TLS, get one L{BATCH} at a
time.
"""

from __future__ import annotations

from collections.abc import Callable
from socket import socket
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IPushProducer
from zope.interface import classImplements

from wsplug.codec.frames import encode_header, encode_text, encode_unmasked
from wsplug.transport.direct import DirectTransport
from wsplug.transport.flusher import Flusher
from wsplug.transport.memorybudget import MemoryBudget
from wsplug.transport.sockets import send_pieces
from wsplug.transport.traffic import Traffic

__all__ = ["BATCH", "SendQueue", "SendQueueOwner"]

BATCH: Final = 128 * 1024
"""
The bytes that are passed to the transport at a time, which is what Twisted's transports
try to send at once. It is also the step in which a slow peer's progress is noticed.
"""

# A C integer in the compiled build.
_BATCH: Final = BATCH

_CORK_SIZE: Final = 64 * 1024
"""
The maximum number of bytes that a cork holds back.
"""

_APART_SIZE: Final = 16 * 1024
"""
The size in bytes from which on a payload isn't copied to follow its header.
"""


class SendQueueOwner(Protocol):
    """
    The part of a connection that a queue reports to.
    """

    def outputBlocked(self) -> None:
        """The transport is full: further output waits."""

    def outputMoved(self) -> None:
        """The transport has sent all that it was given."""

    def outputResumed(self) -> None:
        """No output waits any more."""

    def outputDrained(self) -> None:
        """All output has been sent. It is called once after C{tellDrained}."""

    def outputEnded(self) -> None:
        """The transport accepts no more output."""

    def outputShed(self, waiting: int) -> None:
        """The budget is exceeded, and this queue uses most of it: C{waiting} bytes."""


class SendQueue:
    """
    The waiting frames of one connection.

    @ivar blocked: whether the transport is full.
    """

    __slots__ = (
        "_budget",
        "_counted",
        "_dirty",
        "_flusher",
        "_handed",
        "_owner",
        "_pieces",
        "_queued",
        "_socket",
        "_telling",
        "_traffic",
        "_transport",
        "_whenEmpty",
        "blocked",
    )

    def __init__(
        self,
        transport: Any,
        flusher: Flusher,
        owner: SendQueueOwner,
        traffic: Traffic,
        budget: MemoryBudget,
    ) -> None:
        """
        @param transport: an C{ITCPTransport}, C{ISSLTransport} or C{IUNIXTransport}.
        @param flusher: decides when output is passed to the transport.
        @param owner: notified of the queue's state. It is kept until L{discard}.
        @param traffic: counts the output.
        @param budget: for the output that waits in all queues together.
        """
        self._transport = transport
        self._traffic = traffic
        self._budget = budget
        # The bytes that are reserved in the budget.
        self._counted = 0
        # The socket, if output may be written to it directly. It may not while earlier
        # output waits in the transport's buffer.
        self._socket: socket | None = None
        if isinstance(transport, DirectTransport) and transport.isStraight():
            self._socket = transport.getHandle()
        self._flusher = flusher
        self._owner: SendQueueOwner | None = owner
        # Frames in order. Bytes are the beginning of a frame. A view is the rest of a
        # frame that is partly sent, or a payload that follows its header.
        self._pieces: list[bytes | memoryview] | None = None
        self._queued = 0
        # The bytes that a buffering transport was given since it last had room.
        self._handed = 0
        self._dirty = False
        self.blocked = False
        # Whether the owner wants to know when all output has been sent.
        self._telling = False
        self._whenEmpty: Callable[[], object] | None = None

    @property
    def waiting(self) -> int:
        """
        The bytes that wait for the peer to read; 0 if it keeps up.
        """
        return self._queued + self._handed if self.blocked else 0

    def tellDrained(self) -> bool:
        """
        Call the owner's C{outputDrained} when all output has been sent.

        @return: whether it will be called; if not, all output has been sent already.
        """
        if self._queued or self.blocked:
            self._telling = True
        return self._telling

    def frame(self, first: int, payload: bytes) -> None:
        """
        Send a frame.

        @param first: its first byte.
        @param payload: kept until it has been sent.
        """
        size = len(payload)
        if size < _APART_SIZE:
            self.write(encode_unmasked(first, payload))
            return
        header = encode_header(first, size)
        if self._pieces is None:
            self._pieces = []
        self._pieces.append(header)
        self._pieces.append(memoryview(payload))
        self._added(len(header) + size)

    def text(self, first: int, text: str) -> None:
        """
        Send a text frame.

        @param first: its first byte.
        """
        if len(text) < _APART_SIZE:
            self.write(encode_text(first, text))
        else:
            self.frame(first, text.encode("utf-8"))

    def write(self, frame: bytes) -> None:
        """
        Send a complete frame, or an HTTP response.
        """
        pieces = self._pieces
        if pieces is None:
            self._pieces = [frame]
        else:
            pieces.append(frame)
        self._added(len(frame))

    def _added(self, size: int) -> None:
        if self._owner is None:  # too late
            self._pieces = None
            return
        self._queued += size
        self._traffic.sentBytes += size
        if self.blocked:
            self._count()
        if self._queued > _CORK_SIZE:
            # A cork holds back a limited amount, so that the transport can signal when
            # it is full.
            self.flush()
        elif not self._dirty:
            self._dirty = True
            self._flusher.add(self)

    def end(self, whenEmpty: Callable[[], object]) -> None:
        """
        Send the waiting output, and nothing more.

        @param whenEmpty: called when the transport has all of it, after its producer
            was unregistered.
        """
        self._whenEmpty = whenEmpty
        if not self._dirty:
            self._dirty = True
            self._flusher.add(self)

    def flush(self) -> None:
        """
        Pass as much to the transport as it has room for.
        """
        self._dirty = False
        if self._queued and not self.blocked:
            if self._socket is not None:
                self._send()
            else:
                self._hand()
        whenEmpty = self._whenEmpty
        if whenEmpty is not None and not self._queued:
            self._whenEmpty = None
            self._transport.unregisterProducer()
            whenEmpty()
        if self._telling and not self._queued and not self.blocked:
            self._telling = False
            if self._owner is not None:
                self._owner.outputDrained()

    def _send(self) -> None:
        """
        Send as much as the kernel accepts. The rest stays in the queue.
        """
        target = self._socket
        pieces = self._pieces
        assert target is not None
        assert pieces is not None
        sent = send_pieces(target, pieces)
        if sent == self._queued:
            self._pieces = None
            self._queued = 0
            return
        self._queued -= sent
        self._cut(pieces, sent)
        self._transport.waitForRoom()
        self.pauseProducing()

    def _hand(self) -> None:
        """
        Pass batches to a transport that has a buffer of its own, until it is full.
        """
        while self._queued and not self.blocked:
            pieces = self._pieces
            assert pieces is not None
            if self._queued <= _BATCH:
                self._pieces = None
                size = self._queued
                self._queued = 0
            else:
                size = _BATCH
                self._queued -= size
                pieces = self._cut(pieces, size)
            self._handed += size
            whole = pieces[0]
            if len(pieces) > 1 or not isinstance(whole, bytes):
                whole = b"".join(pieces)
            self._transport.write(whole)
        if not self.blocked:
            self._handed = 0

    def _cut(
        self, pieces: list[bytes | memoryview], size: int
    ) -> list[bytes | memoryview]:
        """
        Remove the first bytes of a list of pieces.

        @return: the removed bytes: whole pieces, and the beginning of another.
        """
        count = 0
        while len(pieces[count]) <= size:
            size -= len(pieces[count])
            count += 1
        taken = pieces[:count]
        if size:
            view = memoryview(pieces[count])
            taken.append(view[:size])
            pieces[count] = view[size:]
        del pieces[:count]
        return taken

    def dropUnsent(self) -> None:
        """
        Drop the waiting output, except the rest of a frame that is partly sent.
        """
        pieces = self._pieces
        if pieces is None:
            return
        count = 0
        size = 0
        while count < len(pieces) and isinstance(pieces[count], memoryview):
            size += len(pieces[count])
            count += 1
        del pieces[count:]
        self._queued = size
        self._count()

    def discard(self) -> None:
        """
        Drop everything and release the owner: the connection is lost.
        """
        self._owner = None
        self._socket = None
        self._pieces = None
        self._queued = self._handed = 0
        self._whenEmpty = None
        self._count()

    def abort(self) -> None:
        """
        Abort the connection, because a flush has failed.
        """
        self._transport.abortConnection()

    # The budget's holder

    def _count(self) -> None:
        """
        Reserve memory in the budget for the waiting output.
        """
        waiting = self._queued + self._handed if self.blocked else 0
        if waiting != self._counted:
            self._counted = waiting
            self._budget.reserve(self, waiting)

    def shed(self, used: int) -> None:
        """
        Report that the budget is exceeded, and that this queue uses most of it.
        """
        if self._owner is not None:
            self._owner.outputShed(used)

    # The transport's producer

    def pauseProducing(self) -> None:
        """
        The transport is full.
        """
        if not self.blocked:
            self.blocked = True
            self._count()
            if self._owner is not None:
                self._owner.outputBlocked()

    def resumeProducing(self) -> None:
        """
        The transport has sent all that it was given.
        """
        if not self.blocked:
            return
        self.blocked = False
        self._handed = 0
        self._count()
        if self._owner is not None:
            self._owner.outputMoved()
        self.flush()
        if not self.blocked and self._owner is not None:
            self._owner.outputResumed()

    def stopProducing(self) -> None:
        """
        The transport accepts no more output. C{connectionLost} follows.
        """
        if self._owner is not None:
            self._owner.outputEnded()


classImplements(SendQueue, IPushProducer)
