"""
A WebSocket connection: the way of a message between the codec and the application.

In: the transport calls C{dataReceived}, that feeds the codec, the codec calls back once
for each whole message, and that calls the application. Out: the application's
C{sendTextMessage} frames and queues; the queue goes to the transport when the input
that is being handled is done (it is I{corked} until then), or in the same turn of the
reactor where there is none.

The queue: what the transport has no room for stays here, where it can be counted and
bounded. The connection is its transport's producer, and hands it a L{BATCH} at a time.
While the peer doesn't read, nothing is read from it either, so that a client that only
asks and never listens stops itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug.codec import (
    FIN,
    MAX_CONTROL_SIZE,
    OP_BINARY,
    OP_CLOSE,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    RSV1,
    CloseCode,
    Deflater,
    Event,
    Inflater,
    MessageReceiver,
    State,
    advance,
    encode_frame,
    may_be_sent,
    pack_close,
)
from wsplug.errors import ConnectionClosed, ProtocolViolation, Side
from wsplug.interfaces import (
    IHandshakeRequest,
    IPreparedMessage,
    IWebSocketProtocol,
    IWebSocketTransport,
)
from wsplug.server.addresses import nameOfPeer
from wsplug.server.closing import CleanlyClosed, UncleanlyClosed, endWriting
from wsplug.server.deadlines import Deadline, Deadlines
from wsplug.server.flusher import Flusher
from wsplug.server.settings import Settings

__all__ = ["BATCH", "Connection"]

BATCH: Final = 128 * 1024
"""
Bytes that are handed to the transport at a time: what Twisted's transports try to send
in one go. It is also the step in which progress is seen of a peer that reads slowly.
"""

_CORK_SIZE: Final = 64 * 1024
"""
Bytes that a cork holds back at most.
"""

_KEEPALIVE: Final = b"wsplug keepalive"
"""
The payload of our own pings, so that their answers are told from the application's.
"""

# Why nothing is read from the peer, as bits.
_HELD_BY_APPLICATION: Final = 1
_HELD_BY_OUTPUT: Final = 2


@implementer(IWebSocketTransport, IPushProducer)
class Connection:
    """
    One connection, from the 101 on.

    It is the transport's protocol (C{dataReceived}, C{connectionLost}) and producer,
    the codec's sink (C{text_received} and so on), and the application's transport.
    """

    __slots__ = (
        "_application",
        "_blocked",
        "_closeDeadline",
        "_closed",
        "_compressFrom",
        "_deadlines",
        "_deflater",
        "_dirty",
        "_ending",
        "_flusher",
        "_handed",
        "_heard",
        "_held",
        "_keepalive",
        "_name",
        "_pinged",
        "_producer",
        "_producerPaused",
        "_queue",
        "_queued",
        "_receiver",
        "_sendDeadline",
        "_settings",
        "_state",
        "_transport",
        "_whenLost",
        "request",
    )

    _log = Logger()

    def __init__(
        self,
        request: IHandshakeRequest,
        transport: Any,
        application: IWebSocketProtocol,
        *,
        name: str,
        settings: Settings,
        deadlines: Deadlines,
        flusher: Flusher,
        deflater: Deflater | None = None,
        inflater: Inflater | None = None,
        whenLost: Callable[[Connection], object],
    ) -> None:
        """
        @param request: the handshake's.
        @param transport: an C{ITCPTransport}, C{ISSLTransport} or C{IUNIXTransport}.
        @param application: what serves this connection.
        @param name: of the application, for the log.
        @param flusher: says when to hand over what is sent.
        @param deflater: compresses messages to the peer; C{None} where no compression
            was agreed on.
        @param inflater: inflates its messages.
        @param whenLost: is called with the connection once it is gone.
        """
        self.request = request
        self._transport = transport
        self._application: IWebSocketProtocol | None = application
        self._name = name
        self._settings = settings
        self._deadlines = deadlines
        self._flusher = flusher
        self._deflater = deflater
        self._compressFrom = settings.compression_min_size
        self._whenLost = whenLost
        self._receiver = MessageReceiver(
            self, max_message_size=settings.max_message_size, inflater=inflater
        )
        self._state = State.CONNECTING
        self._closed: ConnectionClosed | None = None
        # What goes out: frames, or views of what is left of one.
        self._queue: deque[bytes | memoryview] | None = None
        self._queued = 0
        self._handed = 0
        self._dirty = False
        self._blocked = False
        self._ending: Callable[[Any], None] | None = None
        self._producer: IPushProducer | None = None
        self._producerPaused = False
        self._held = 0
        # When a byte last came, and when a ping went out that waits for one.
        self._heard = deadlines.now()
        self._pinged: float | None = None
        self._keepalive: Deadline | None = None
        self._closeDeadline: Deadline | None = None
        self._sendDeadline: Deadline | None = None

    # Opening

    def open(self, switch: bytes, early: bytes) -> None:
        """
        Begin.

        @param switch: the response that accepts the handshake.
        @param early: what the peer has sent behind its request.
        """
        self._state = advance(self._state, Event.ACCEPT)
        self._transport.registerProducer(self, True)
        self._setKeepalive(self._settings.ping_interval)
        flusher = self._flusher
        flusher.cork()
        try:
            self._write(switch)
            self._tell("negotiationStarted", self)
            if self._state is State.OPEN:
                self._tell("negotiationFinished")
            self._receiver.feed(early)
        finally:
            flusher.uncork()

    # The transport's protocol

    def dataReceived(self, data: bytes) -> None:
        self._heard = self._deadlines.now()
        flusher = self._flusher
        flusher.cork()
        try:
            self._receiver.feed(data)
        finally:
            flusher.uncork()

    def connectionLost(self, reason: Failure) -> None:
        if self._state is State.LOST:
            return
        self._state = advance(self._state, Event.LOSE)
        deadlines = self._deadlines
        for deadline in (self._keepalive, self._closeDeadline, self._sendDeadline):
            deadlines.clear(deadline)
        self._keepalive = self._closeDeadline = self._sendDeadline = None
        self._receiver.stop()
        self._deflater = None
        self._queue = None
        self._queued = self._handed = 0
        self._ending = None
        self._detach()
        closed = self._closed
        if closed is None:
            why = (
                "went away without closing"
                if reason.check(ConnectionDone)
                else reason.getErrorMessage()
            )
            closed = self._closed = UncleanlyClosed(CloseCode.ABNORMAL, why, Side.PEER)
        self._log.info(
            "{peer} {application}: {closed}",
            peer=nameOfPeer(self._transport),
            application=self._name,
            closed=closed,
            code=closed.code,
            reason=closed.reason,
            side=str(closed.side),
            setting=closed.setting,
        )
        self._tell("connectionLost", Failure(closed))
        self._application = None
        self._whenLost(self)

    # The codec's sink

    def text_received(self, message: str) -> None:
        if self._state is not State.OPEN:
            return
        application = self._application
        assert application is not None
        try:
            result = application.textMessageReceived(message)
        except Exception:
            self._applicationFailed(Failure())
        else:
            if result is not None:
                self._waitFor(result)

    def binary_received(self, message: bytes) -> None:
        if self._state is not State.OPEN:
            return
        application = self._application
        assert application is not None
        try:
            result = application.bytesMessageReceived(message)
        except Exception:
            self._applicationFailed(Failure())
        else:
            if result is not None:
                self._waitFor(result)

    def ping_received(self, payload: bytes) -> None:
        if self._state is State.OPEN:
            self._write(encode_frame(FIN | OP_PONG, payload))

    def pong_received(self, payload: bytes) -> None:
        if self._state is not State.OPEN:
            return
        if payload != _KEEPALIVE:
            self._tell("pongReceived", payload)

    def close_received(self, code: int, reason: str) -> None:
        wasOpen = self._state is State.OPEN
        self._state = advance(self._state, Event.RECEIVE_CLOSE)
        if wasOpen:
            self._closed = UncleanlyClosed(code, reason, Side.PEER)
            self._sendClose(code, "")
        self._end(_loseConnection)

    def violation_received(self, violation: ProtocolViolation) -> None:
        wasOpen = self._state is State.OPEN
        if wasOpen:
            self._closed = UncleanlyClosed(
                violation.code, violation.reason, Side.SERVER, violation.setting
            )
            self._write(
                encode_frame(
                    FIN | OP_CLOSE, pack_close(violation.code, violation.reason)
                )
            )
        self._state = advance(self._state, Event.FAIL)
        self._stopReceiving()
        self._end(endWriting)

    # The application's transport

    @property
    def bytesWaiting(self) -> int:
        return self._queued + self._handed if self._blocked else 0

    def sendTextMessage(self, text: str) -> None:
        self._sendMessage(OP_TEXT, text.encode("utf-8"))

    def sendBytesMessage(self, data: bytes) -> None:
        self._sendMessage(OP_BINARY, bytes(data))

    def sendPreparedMessage(self, message: IPreparedMessage) -> None:
        if self._state is not State.OPEN:
            return
        deflater = self._deflater
        if deflater is not None:
            if len(message.payload) < self._compressFrom:
                deflater = None
            elif deflater.takes_over:
                # Compressed by what this connection alone has sent before.
                opcode = OP_TEXT if message.isText else OP_BINARY
                self._sendMessage(opcode, message.payload)
                return
        self._writeMessage(message.frame(deflater))

    def ping(self, payload: bytes = b"") -> None:
        if len(payload) > MAX_CONTROL_SIZE:
            raise ValueError(
                f"a ping has at most {MAX_CONTROL_SIZE} bytes, not {len(payload)} "
                "(RFC 6455 section 5.5)"
            )
        if self._state is State.OPEN:
            self._writeMessage(encode_frame(FIN | OP_PING, bytes(payload)))

    def loseConnection(self, code: int = 1000, reason: str = "") -> None:
        if not may_be_sent(code):  # it is the caller's error, even too late
            raise ValueError(
                f"close code {code} may not be sent (RFC 6455 section 7.4)"
            )
        self.close(code, reason, Side.APPLICATION)

    def abortConnection(self) -> None:
        self._abort(CloseCode.ABNORMAL, "aborted by the application", Side.APPLICATION)

    def attachProducer(self, producer: IPushProducer) -> None:
        if self._producer is not None:
            raise RuntimeError("another producer is attached; detach that first")
        if self._state is not State.OPEN:
            producer.stopProducing()
            return
        self._producer = producer
        self._producerPaused = False
        if self._blocked:
            self._pauseProducer()

    def detachProducer(self) -> None:
        self._producer = None

    # Closing

    def close(
        self, code: int, reason: str, side: Side, setting: str | None = None
    ) -> None:
        """
        Begin to close, if nobody has yet.

        @param setting: the name of the setting that wants it.
        """
        if self._state is not State.OPEN:
            return
        self._closed = UncleanlyClosed(code, reason, side, setting)
        self._sendClose(code, reason)
        self._stopReceiving()
        self._awaitClose()

    def _sendClose(self, code: int, reason: str) -> None:
        self._state = advance(self._state, Event.SEND_CLOSE)
        self._write(encode_frame(FIN | OP_CLOSE, pack_close(code, reason)))

    def _stopReceiving(self) -> None:
        """
        Wait for nothing but the peer's close from now on: what holds up its input, and
        what asks it for signs of life, has no more say.
        """
        self._deadlines.clear(self._keepalive)
        self._keepalive = None
        self._detach()
        if self._held:
            self._held = 0
            self._transport.resumeProducing()
            self._receiver.resume()

    def _end(self, how: Callable[[Any], None]) -> None:
        """
        End the TCP connection once all is sent.

        @param how: L{endWriting}, or L{_loseConnection}.
        """
        self._stopReceiving()
        self._ending = how
        self._awaitClose()
        self._flushSoon()

    def abortForStop(self) -> None:
        """
        End at once: the server can't wait any longer.
        """
        self._abort(
            CloseCode.GOING_AWAY, "the server has stopped", Side.SERVER, "stop-timeout"
        )

    def _awaitClose(self) -> None:
        """
        Give the peer its time to close. It begins when our close frame is out: while
        output waits before that, the send timeout watches over the peer.
        """
        seconds = self._settings.close_timeout
        if self._closeDeadline is None and self._sendDeadline is None and seconds:
            self._closeDeadline = self._deadlines.set(seconds, self._closeTimedOut)

    def _closeTimedOut(self) -> None:
        self._closeDeadline = None
        self._abort(
            CloseCode.ABNORMAL, "did not close in time", Side.SERVER, "close-timeout"
        )

    def _abort(
        self, code: int, reason: str, side: Side, setting: str | None = None
    ) -> None:
        if self._state is State.LOST:
            return
        closed = self._closed
        if closed is None:
            self._closed = UncleanlyClosed(code, reason, side, setting)
        elif self._state is State.CLOSE_SENT and closed.setting is None:
            # Who closed stays who closed; it is this that didn't wait for the answer.
            self._closed = UncleanlyClosed(
                closed.code, closed.reason, closed.side, setting
            )
        self._transport.abortConnection()

    # The application's calls and answers

    def _tell(self, method: str, *arguments: object) -> None:
        """
        Call a method of the application's that isn't called often.
        """
        try:
            result = getattr(self._application, method)(*arguments)
        except Exception:
            self._applicationFailed(Failure())
        else:
            if result is not None:
                self._waitFor(result)

    def _waitFor(self, result: object) -> None:
        """
        Deliver nothing more until what the application has returned has fired.
        """
        if isinstance(result, Coroutine):
            result = Deferred.fromCoroutine(result)
        if not isinstance(result, Deferred):
            return
        result.addErrback(self._applicationFailed)
        if result.called and not result.paused:
            return  # it has fired already, as a coroutine that waited for nothing has
        if self._state is State.OPEN:
            self._hold(_HELD_BY_APPLICATION)
        result.addCallback(lambda _: self._release(_HELD_BY_APPLICATION))

    def _applicationFailed(self, failure: Failure) -> None:
        self._log.failure(
            "{application} failed while it served {peer}",
            failure,
            application=self._name,
            peer=nameOfPeer(self._transport),
        )
        self.close(CloseCode.INTERNAL_ERROR, "internal error", Side.APPLICATION)

    # Reading

    def _hold(self, reason: int) -> None:
        if not self._held:
            self._receiver.pause()
            self._transport.pauseProducing()
        self._held |= reason

    def _release(self, reason: int) -> None:
        if not self._held & reason:
            return
        self._held &= ~reason
        if self._held:
            return
        flusher = self._flusher
        flusher.cork()
        try:
            self._receiver.resume()
        finally:
            flusher.uncork()
        if not self._held and self._state is not State.LOST:
            self._transport.resumeProducing()

    # Writing

    def _sendMessage(self, opcode: int, payload: bytes) -> None:
        if self._state is not State.OPEN:
            return
        first = FIN | opcode
        deflater = self._deflater
        if deflater is not None and len(payload) >= self._compressFrom:
            compressed = deflater.deflate(payload)
            # What takes its context over counts on the peer having seen the message.
            if deflater.takes_over or len(compressed) < len(payload):
                first |= RSV1
                payload = compressed
        self._writeMessage(encode_frame(first, payload))

    def _writeMessage(self, frame: bytes) -> None:
        """
        Send a frame that the peer may be too slow for.
        """
        if self._blocked:
            waiting = self._queued + self._handed
            if waiting + len(frame) > self._settings.send_limit:
                self._sendLimitReached(waiting)
                return
        self._write(frame)

    def _write(self, frame: bytes) -> None:
        if self._queue is None:
            self._queue = deque()
        self._queue.append(frame)
        self._queued += len(frame)
        if self._queued > _CORK_SIZE:
            # Not even a cork holds back any amount: it is the transport that has to
            # say when it is too much.
            self.flush()
        else:
            self._flushSoon()

    def _flushSoon(self) -> None:
        if not self._dirty:
            self._dirty = True
            self._flusher.add(self)

    def flush(self) -> None:
        """
        Hand over what the transport has room for.
        """
        self._dirty = False
        while self._queue and not self._blocked:
            batch = self._takeBatch()
            self._handed += len(batch)
            self._transport.write(batch)
        if not self._blocked:
            self._handed = 0
        if not self._queue and self._ending is not None:
            how = self._ending
            self._ending = None
            self._transport.unregisterProducer()
            closed = self._closed
            if self._state is State.CLOSED and closed is not None:
                # Both close frames are out of our hands (section 7.1.4).
                self._closed = CleanlyClosed(
                    closed.code, closed.reason, closed.side, closed.setting, clean=True
                )
            how(self._transport)

    def _takeBatch(self) -> bytes:
        """
        Take from the queue up to L{BATCH} bytes: whole frames, and the beginning of
        the last.
        """
        queue = self._queue
        assert queue
        pieces: list[bytes | memoryview] = []
        room = BATCH
        while queue and room:
            piece = queue.popleft()
            if len(piece) > room:
                view = memoryview(piece)
                pieces.append(view[:room])
                queue.appendleft(view[room:])
                room = 0
            else:
                pieces.append(piece)
                room -= len(piece)
        if not queue:
            self._queue = None
        self._queued -= BATCH - room
        first = pieces[0]
        if len(pieces) == 1 and isinstance(first, bytes):
            return first
        return b"".join(pieces)

    def pauseProducing(self) -> None:
        """
        The transport has enough.
        """
        if self._blocked:
            return
        self._blocked = True
        self._setSendDeadline()
        if self._sendDeadline is not None:
            self._deadlines.clear(self._closeDeadline)
            self._closeDeadline = None
        if self._state is State.OPEN:
            self._hold(_HELD_BY_OUTPUT)
            self._pauseProducer()

    def resumeProducing(self) -> None:
        """
        The transport has sent all that it had.
        """
        if not self._blocked:
            return
        self._blocked = False
        self._handed = 0
        self._deadlines.clear(self._sendDeadline)
        self._sendDeadline = None
        self.flush()
        if self._blocked:
            return
        if self._state not in (State.OPEN, State.LOST):
            self._awaitClose()
        producer = self._producer
        if producer is not None and self._producerPaused:
            self._producerPaused = False
            self._tellProducer(producer.resumeProducing)
        if not self._blocked:
            self._release(_HELD_BY_OUTPUT)

    def stopProducing(self) -> None:
        """
        The transport won't take anything any more; C{connectionLost} follows.
        """
        self._detach()

    def _detach(self) -> None:
        """
        Tell the application's producer that it is over.
        """
        producer = self._producer
        self._producer = None
        if producer is not None:
            self._tellProducer(producer.stopProducing)

    def _pauseProducer(self) -> None:
        """
        Tell the application's producer to pause, once for all the batches that the
        peer is too slow for.
        """
        producer = self._producer
        if producer is not None and not self._producerPaused:
            self._producerPaused = True
            self._tellProducer(producer.pauseProducing)

    def _tellProducer(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception:
            self._applicationFailed(Failure())

    def _setSendDeadline(self) -> None:
        seconds = self._settings.send_timeout
        if seconds:
            self._sendDeadline = self._deadlines.set(seconds, self._sendTimedOut)

    def _sendTimedOut(self) -> None:
        self._sendDeadline = None
        if self._state is State.OPEN:
            self._tooSlow("does not read", "send-timeout")
        else:
            self._abort(
                CloseCode.ABNORMAL, "does not read", Side.SERVER, "send-timeout"
            )

    def _sendLimitReached(self, waiting: int) -> None:
        self._tooSlow(f"does not read; {waiting} bytes wait for it", "send-limit")

    def _tooSlow(self, reason: str, setting: str) -> None:
        """
        Give up on a peer that doesn't read: drop what no frame is torn apart by, and
        let it have the close frame if it reads again in time.
        """
        self._deadlines.clear(self._sendDeadline)
        self._sendDeadline = None
        queue = self._queue
        if queue:
            begun = queue[0] if isinstance(queue[0], memoryview) else None
            queue.clear()
            self._queued = 0
            if begun is not None:
                queue.append(begun)
                self._queued = len(begun)
        self.close(CloseCode.TRY_AGAIN_LATER, reason, Side.SERVER, setting)

    # Keepalive

    def _setKeepalive(self, seconds: float) -> None:
        if seconds:
            self._keepalive = self._deadlines.set(seconds, self._checkLife)
        else:
            self._keepalive = None

    def _checkLife(self) -> None:
        """
        Ping a peer that has been silent for a ping interval, and drop one that has
        been for a ping timeout more. Only what it sends counts: bytes can be sent to a
        dead peer for many minutes. And one that isn't read from can't be silent.
        """
        settings = self._settings
        now = self._deadlines.now()
        if self._held:
            self._heard = now
        if self._pinged is not None and self._heard < self._pinged:
            self._keepalive = None
            self._abort(
                CloseCode.ABNORMAL,
                f"answered no ping in {settings.ping_timeout:g} seconds",
                Side.SERVER,
                "ping-timeout",
            )
            return
        self._pinged = None
        silence = now - self._heard
        if silence < settings.ping_interval:
            self._setKeepalive(settings.ping_interval - silence)
            return
        if settings.ping_timeout:
            self._pinged = now
        self._setKeepalive(settings.ping_timeout or settings.ping_interval)
        self._write(encode_frame(FIN | OP_PING, _KEEPALIVE))


def _loseConnection(transport: Any) -> None:
    transport.loseConnection()
