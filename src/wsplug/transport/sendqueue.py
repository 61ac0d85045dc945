"""
The output of one connection: collected while it is corked, written as fast as the
transport accepts it, and counted while it waits.

What the transport doesn't accept stays here, where it can be limited and dropped. The
queue is the producer of its transport. A L{DirectTransport} takes as much as the kernel
does. Other transports, such as that of TLS, get one L{BATCH} at a time.
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
Bytes that are handed to the transport at a time: what Twisted's transports try to send
in one go. It is also the step in which progress is seen of a peer that reads slowly.
"""

# A C integer, where this is compiled.
_BATCH: Final = BATCH

_CORK_SIZE: Final = 64 * 1024
"""
Bytes that a cork holds back at most.
"""

_APART_SIZE: Final = 16 * 1024
"""
Bytes of a payload that isn't copied any more to stand behind its header.
"""


class SendQueueOwner(Protocol):
    """
    Who is told of a queue's state.
    """

    def outputBlocked(self) -> None:
        """The transport has enough: what is sent from now on waits."""

    def outputMoved(self) -> None:
        """The transport has sent all that it had."""

    def outputResumed(self) -> None:
        """Nothing waits any more."""

    def outputDrained(self) -> None:
        """All is out, and the transport has room: who has asked is told, once."""

    def outputEnded(self) -> None:
        """The transport takes nothing any more."""

    def outputShed(self, waiting: int) -> None:
        """The server can't hold what waits, which is that many bytes."""


class SendQueue:
    """
    The frames that wait, and the way out.

    @ivar blocked: whether the transport has enough.
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
        @param flusher: says when to hand over what is sent.
        @param owner: is told when the peer is too slow. The queue refers to it until
            L{discard}.
        @param traffic: counts what is sent.
        @param budget: over what waits in all queues together.
        """
        self._transport = transport
        self._traffic = traffic
        self._budget = budget
        # What the budget knows of.
        self._counted = 0
        # Where what is sent goes straight to. Behind what still waits in the
        # transport's buffer it would overtake it.
        self._socket: socket | None = None
        if isinstance(transport, DirectTransport) and transport.isStraight():
            self._socket = transport.getHandle()
        self._flusher = flusher
        self._owner: SendQueueOwner | None = owner
        # Frames in order: bytes for what begins one, a view for what goes on with one
        # that is partly out, or for the payload that follows a header of its own.
        self._pieces: list[bytes | memoryview] | None = None
        self._queued = 0
        # What a transport with a buffer was given since it had room last.
        self._handed = 0
        self._dirty = False
        self.blocked = False
        # Whether the owner is to be told once all is out.
        self._telling = False
        self._whenEmpty: Callable[[], object] | None = None

    @property
    def waiting(self) -> int:
        """
        Bytes that wait for the peer to read: 0 where it keeps up.
        """
        return self._queued + self._handed if self.blocked else 0

    def tellDrained(self) -> bool:
        """
        Have the owner told once all that was sent is out.

        @return: whether it will be: all is out already, where it won't.
        """
        if self._queued or self.blocked:
            self._telling = True
        return self._telling

    def frame(self, first: int, payload: bytes) -> None:
        """
        Send a frame.

        @param first: its first byte.
        @param payload: kept until it is sent.
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
        Send a frame of text.

        @param first: its first byte.
        """
        if len(text) < _APART_SIZE:
            self.write(encode_text(first, text))
        else:
            self.frame(first, text.encode("utf-8"))

    def write(self, frame: bytes) -> None:
        """
        Send what is framed already, or is an HTTP response.
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
            # Not even a cork holds back any amount: it is the transport that has to
            # say when it is too much.
            self.flush()
        elif not self._dirty:
            self._dirty = True
            self._flusher.add(self)

    def end(self, whenEmpty: Callable[[], object]) -> None:
        """
        Send what is here, and nothing more.

        @param whenEmpty: is called once the transport has it all, by then without a
            producer.
        """
        self._whenEmpty = whenEmpty
        if not self._dirty:
            self._dirty = True
            self._flusher.add(self)

    def flush(self) -> None:
        """
        Hand over what the transport has room for.
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
        Send what the kernel takes; what it doesn't stays here.
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
        Hand batches to a transport that has a buffer of its own, until that is full.
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
        Take the first bytes out of some pieces that have more.

        @return: what was taken: whole pieces, and the beginning of another.
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
        Forget what waits here, but for the rest of a frame that is partly out.
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
        Forget everything, and the owner: the connection is gone.
        """
        self._owner = None
        self._socket = None
        self._pieces = None
        self._queued = self._handed = 0
        self._whenEmpty = None
        self._count()

    def abort(self) -> None:
        """
        End the connection at once: something went wrong in a flush.
        """
        self._transport.abortConnection()

    # The budget's holder

    def _count(self) -> None:
        """
        Have the budget know what waits here.
        """
        waiting = self._queued + self._handed if self.blocked else 0
        if waiting != self._counted:
            self._counted = waiting
            self._budget.reserve(self, waiting)

    def shed(self, used: int) -> None:
        """
        The server can't hold all that waits, and most of it is here.
        """
        if self._owner is not None:
            self._owner.outputShed(used)

    # The transport's producer

    def pauseProducing(self) -> None:
        """
        The transport has enough.
        """
        if not self.blocked:
            self.blocked = True
            self._count()
            if self._owner is not None:
                self._owner.outputBlocked()

    def resumeProducing(self) -> None:
        """
        The transport has sent all that it had.
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
        The transport won't take anything any more; C{connectionLost} follows.
        """
        if self._owner is not None:
            self._owner.outputEnded()


classImplements(SendQueue, IPushProducer)
