"""
A connection that the verbose log is about. It logs each frame, and does otherwise what
any other connection does.

Other connections have nothing of this: which class a connection has is decided at its
handshake.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.codec.deflate import DeflateAgreement
from wsplug.codec.frames import (
    FIN,
    OP_BINARY,
    OP_CLOSE,
    OP_CONTINUATION,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    RSV1,
    encode_text,
    encode_unmasked,
)
from wsplug.codec.masking import PayloadBuffer, apply_mask
from wsplug.errors import ProtocolViolation
from wsplug.guard.admission import Account
from wsplug.interfaces import IHandshakeRequest, IWebSocketProtocol
from wsplug.networks import nameOfAddress
from wsplug.printable import escapeUnprintable
from wsplug.server.connection import Connection
from wsplug.server.context import ConnectionContext
from wsplug.server.handling import ServedApplication
from wsplug.server.prepared import PreparedMessage
from wsplug.server.redacting import HIDDEN
from wsplug.transport.sendqueue import SendQueue

__all__ = ["TracedConnection"]

# The verbose log's, so that all of it has one namespace.
_log = Logger("wsplug.server.verbose")

_SHOWN: Final = 100
"""
Bytes of a payload that are logged.
"""

_APART: Final = 64
"""
Frames of one read that are handled each for itself. All others are handled together, as
those of other connections are, so that clients take turns.
"""

_KINDS: Final = {
    OP_CONTINUATION: "continuation",
    OP_TEXT: "text",
    OP_BINARY: "binary",
    OP_CLOSE: "close",
    OP_PING: "ping",
    OP_PONG: "pong",
}


class _Trace:
    """
    Logs the frames of one connection.

    @ivar hides: whether what the client sends now may be a password or a token.
    """

    def __init__(self, peer: str, application: str) -> None:
        self._peer = peer
        self.application = application
        self.hides = False

    def frame(
        self,
        direction: str,
        first: int,
        size: int,
        start: bytes | None,
        note: str = "",
    ) -> None:
        """
        Log a frame.

        @param direction: C{"received"} or C{"sent"}.
        @param first: the first byte of its header.
        @param size: bytes in its payload, as it is on the wire.
        @param start: the first bytes of the payload; C{None} if it is compressed.
        @param note: what else there is to say.
        """
        opcode = first & 0x0F
        kind = _KINDS.get(opcode, f"opcode {opcode}")
        if opcode == OP_CONTINUATION and first & FIN:
            note = ", last" + note
        elif not first & FIN:
            note = ", more follows" + note
        if start is not None and opcode == OP_CLOSE and len(start) >= 2:
            start = b"%d %s" % (int.from_bytes(start[:2], "big"), start[2:])
            start = start.rstrip()
        self.message(direction, kind, size, start, note)

    def message(
        self,
        direction: str,
        kind: str,
        size: int,
        start: bytes | None,
        note: str = "",
    ) -> None:
        """
        Log a frame, or a whole message after its decompression.
        """
        shown = None
        if start is not None:
            shown = escapeUnprintable(
                start[:_SHOWN].decode("utf-8", "backslashreplace")
            )
            if direction == "received" and self.hides and kind not in _CONTROL:
                shown = HIDDEN
            if shown and max(size, len(start)) > _SHOWN:
                shown += "..."
        text = "{peer} {application}: {direction} {frame}, {size} bytes"
        _log.debug(
            text + ": {payload}" if shown else text,
            peer=self._peer,
            application=self.application,
            direction=direction,
            frame=kind + note,
            size=size,
            payload=shown,
        )

    def dropped(self, size: int) -> None:
        """
        Log that frames which are logged as sent aren't sent after all.
        """
        _log.debug(
            "{peer} {application}: dropped {size} bytes that waited to be sent",
            peer=self._peer,
            application=self.application,
            size=size,
        )


_CONTROL: Final = frozenset({"close", "ping", "pong"})
_CONTROL_BIT: Final = 0x08


class _Cutter:
    """
    Cuts what a client sends into frames, and logs each.
    """

    def __init__(self, trace: _Trace) -> None:
        self._trace = trace
        # The header of the current frame, as far as it has come; the bytes of its
        # payload that are still to come, and those to be shown.
        self._head = bytearray()
        self._isBegun = False
        self._left = self._size = 0
        self._shown = bytearray()
        self._mask = b""
        self._isLogged = False
        self._isCompressed = False
        self._isStopped = False
        # For each message that has come whole: whether it was compressed.
        self._messages: deque[bool] = deque()

    def cut(self, data: bytes) -> Iterator[bytes]:
        """
        Cut at the end of each frame, and log a frame before the piece with its end. The
        pieces are those that the connection takes as if each had come alone, so that
        answers are logged behind what they answer.
        """
        position = start = count = 0
        while position < len(data) and not self._isStopped:
            if not self._isBegun:
                position += self._readHead(data[position : position + 14])
            if not self._isBegun:
                continue
            taken = data[position : position + self._left]
            position += len(taken)
            self._left -= len(taken)
            self._shown += taken[: _SHOWN - len(self._shown)]
            if not self._left or len(self._shown) == _SHOWN:
                self._logOnce()
            if self._left:
                continue
            self._finish()
            if count < _APART:
                count += 1
                yield data[start:position]
                start = position
        if start < len(data) or not data:
            yield data[start:]

    def _readHead(self, data: bytes) -> int:
        """
        Collect the header of a frame.

        @return: the number of bytes that belong to it.
        """
        head = self._head
        before = len(head)
        head += data
        size = 2
        extra = 0
        if len(head) >= 2:
            extra = {126: 2, 127: 8}.get(head[1] & 0x7F, 0)
            size = 2 + extra + (4 if head[1] & 0x80 else 0)
        del head[size:]
        if len(head) == size:
            self._isBegun = True
            length = int.from_bytes(head[2 : 2 + extra], "big")
            self._left = self._size = length if extra else head[1] & 0x7F
            self._mask = bytes(head[2 + extra :])
            if head[0] & 0x0F in (OP_TEXT, OP_BINARY):
                self._isCompressed = bool(head[0] & RSV1)
        return len(head) - before

    def _logOnce(self) -> None:
        if self._isLogged:
            return
        self._isLogged = True
        first = self._head[0]
        note = ", incomplete" if self._left and self._isStopped else ""
        if self._isCompressed and not first & _CONTROL_BIT:
            self._trace.frame(
                "received", first, self._size, None, ", compressed" + note
            )
            return
        start = bytes(self._shown)
        if self._mask:
            start = apply_mask(start, self._mask)
        self._trace.frame("received", first, self._size, start, note)

    def _finish(self) -> None:
        first = self._head[0]
        if first & FIN and not first & _CONTROL_BIT:
            self._messages.append(self._isCompressed)
        self._head.clear()
        self._shown.clear()
        self._isBegun = self._isLogged = False

    def wasCompressed(self) -> bool:
        """
        Return whether the message that is delivered now was compressed.
        """
        return self._messages.popleft() if self._messages else False

    def stop(self) -> None:
        """
        Log the frame that hasn't come whole, and nothing more.
        """
        self._isStopped = True
        if self._isBegun:
            self._logOnce()


class _TracedQueue(SendQueue):
    """
    Logs each frame that is sent.

    @ivar plain: the message that is being sent, before its compression.
    """

    trace: _Trace | None = None
    plain: bytes | None = None

    def frame(self, first: int, payload: bytes) -> None:
        self.write(encode_unmasked(first, payload))

    def text(self, first: int, text: str) -> None:
        self.write(encode_text(first, text))

    def write(self, frame: bytes) -> None:
        trace = self.trace
        # The answer to the handshake, which begins with an H, isn't a frame.
        if trace is not None and frame[0] & FIN:
            self._log(trace, frame)
        super().write(frame)

    def _log(self, trace: _Trace, frame: bytes) -> None:
        first = frame[0]
        head = 2 + {126: 2, 127: 8}.get(frame[1], 0)
        size = len(frame) - head
        start: bytes | None = frame[head : head + _SHOWN]
        note = ""
        if first & RSV1:
            plain = self.plain
            start = None if plain is None else plain[: _SHOWN + 1]
            note = f", compressed from {len(plain)}" if plain is not None else ""
        trace.frame("sent", first, size, start, note)

    def dropUnsent(self) -> None:
        before = self.waiting
        super().dropUnsent()
        if self.trace is not None and before > self.waiting:
            self.trace.dropped(before - self.waiting)

    def discard(self) -> None:
        self.trace = None
        super().discard()


class TracedConnection(Connection):
    """
    A connection whose frames are logged.
    """

    def __init__(
        self,
        request: IHandshakeRequest,
        transport: Any,
        application: IWebSocketProtocol,
        served: ServedApplication,
        context: ConnectionContext,
        *,
        account: Account | None = None,
        agreement: DeflateAgreement | None = None,
        whenLost: Callable[[Connection], object],
    ) -> None:
        peer = nameOfAddress(request.getClientAddress())
        self._trace = _Trace(peer, served.name)
        self._trace.hides = bool(getattr(application, "readsCredentials", False))
        self._cutter = _Cutter(self._trace)
        super().__init__(
            request,
            transport,
            application,
            served,
            context,
            account=account,
            agreement=agreement,
            whenLost=whenLost,
        )

    def makeQueue(self) -> SendQueue:
        context = self.context
        traffic = context.statistics.trafficOf(self._trace.application)
        self._queue = queue = _TracedQueue(
            self.transport, context.flusher, self.output, traffic, context.sendBuffers
        )
        queue.trace = self._trace
        return queue

    # Input

    def dataReceived(self, data: bytes) -> None:
        flusher = self.context.flusher
        flusher.cork()
        try:
            for piece in self._cutter.cut(data):
                super().dataReceived(piece)
        finally:
            flusher.uncork()

    def getBuffer(self) -> PayloadBuffer | None:
        # All of it comes through dataReceived.
        return None

    def text_received(self, message: str) -> None:
        if self._cutter.wasCompressed():
            payload = message.encode("utf-8")
            self._trace.message("received", "text message", len(payload), payload)
        super().text_received(message)

    def binary_received(self, message: bytes) -> None:
        if self._cutter.wasCompressed():
            self._trace.message("received", "binary message", len(message), message)
        super().binary_received(message)

    def violation_received(self, violation: ProtocolViolation) -> None:
        self._cutter.stop()
        super().violation_received(violation)

    def switchProtocol(self, application: IWebSocketProtocol, text: str) -> Any:
        self._trace.hides = False
        return super().switchProtocol(application, text)

    def lose(self, reason: Failure) -> None:
        self._cutter.stop()
        super().lose(reason)

    # Output

    def sendTextMessage(self, text: str) -> None:
        self._queue.plain = text.encode("utf-8") if isinstance(text, str) else None
        super().sendTextMessage(text)
        self._queue.plain = None

    def sendBytesMessage(self, data: bytes) -> None:
        self._queue.plain = data if isinstance(data, bytes) else None
        super().sendBytesMessage(data)
        self._queue.plain = None

    def sendPrepared(self, message: PreparedMessage) -> None:
        self._queue.plain = message.payload
        super().sendPrepared(message)
        self._queue.plain = None
