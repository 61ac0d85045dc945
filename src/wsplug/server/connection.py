"""
A WebSocket connection: the way of a message between the codec and the application.

In: the transport calls C{dataReceived}, that feeds the codec, the codec calls back once
for each whole message, and that calls the application. Out: the application's
C{sendTextMessage} frames, and puts the frame into the L{SendQueue}; that goes to the
transport when the input that is being handled is done (it is I{corked} until then), or
in the same turn of the reactor where there is none.

While the peer doesn't read, nothing is read from it either, so that a client that only
asks and never listens stops itself.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from copy import copy
from time import perf_counter
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import classImplements

from wsplug.codec.closecodes import CloseCode, pack_close
from wsplug.codec.compression import Deflater
from wsplug.codec.deflate import DeflateAgreement
from wsplug.codec.frames import (
    FIN,
    MAX_CONTROL_SIZE,
    OP_BINARY,
    OP_CLOSE,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    RSV1,
)
from wsplug.codec.lifecycle import Event, State, advance
from wsplug.codec.masking import PayloadBuffer
from wsplug.codec.receiver import MessageReceiver
from wsplug.errors import ConnectionClosed, ProtocolViolation, Side
from wsplug.guard.admission import Account
from wsplug.guard.metering import Meter
from wsplug.interfaces import (
    IHandshakeRequest,
    IPreparedMessage,
    IServerConnection,
    IWebSocketProtocol,
)
from wsplug.networks import nameOfAddress
from wsplug.payloads import toBytes, toClose, toText
from wsplug.server.closing import (
    LATE_LARGE_SIZE,
    LATE_SIZE,
    CleanlyClosed,
    LateInput,
    UncleanlyClosed,
    endWriting,
    logClosing,
)
from wsplug.server.context import ConnectionContext
from wsplug.server.deadlines import Deadline
from wsplug.server.handling import READ_ON, Handlers, ServedApplication
from wsplug.server.intake import Intake
from wsplug.server.keepalive import Keepalive
from wsplug.server.losing import explainLoss
from wsplug.server.prepared import PreparedMessage
from wsplug.server.producing import AttachedProducer
from wsplug.transport.bursts import Burst
from wsplug.transport.direct import hasEnded, watchForEnd
from wsplug.transport.progress import Progress
from wsplug.transport.sendqueue import BATCH, SendQueue

__all__ = ["Connection"]

_log = Logger(__name__)

_KEEPALIVE: Final = b"wsplug keepalive"
"""
The payload of our own pings, so that their answers are told from the application's.
"""

# A C integer, where this is compiled.
_READ_ON: Final = READ_ON

# Why nothing is delivered, as bits.
_HELD_BY_APPLICATION: Final = 1
_HELD_BY_OUTPUT: Final = 2
_HELD_TO_REST: Final = 4


class Connection:
    """
    One connection, from the 101 on.

    It is the transport's protocol (C{dataReceived}, C{connectionLost}), the codec's
    sink (C{text_received} and so on), and the application's transport.

    @ivar request: the handshake's.
    @ivar intake: what limits what comes in.
    @ivar opened: when it began, by the clock.
    """

    __slots__ = (
        "_application",
        "_burst",
        "_closeDeadline",
        "_closed",
        "_compressFrom",
        "_context",
        "_deflater",
        "_drained",
        "_flusher",
        "_handlerTimeout",
        "_handlers",
        "_heard",
        "_held",
        "_inflates",
        "_isOpen",
        "_keepalive",
        "_late",
        "_left",
        "_overlaps",
        "_parting",
        "_paused",
        "_producer",
        "_progress",
        "_queue",
        "_receiver",
        "_rules",
        "_sendDeadline",
        "_state",
        "_statistics",
        "_traffic",
        "_transport",
        "_whenLost",
        "intake",
        "opened",
        "request",
    )

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
        """
        @param request: the handshake's.
        @param transport: an C{ITCPTransport}, C{ISSLTransport} or C{IUNIXTransport}.
        @param application: what serves this connection.
        @param served: the name and the rules of the application that has made it.
        @param context: what all connections share.
        @param account: of the address or the user; C{None} where no limit is for it.
        @param agreement: what the handshake has agreed on; C{None} where nothing is
            compressed.
        @param whenLost: is called with the connection once it is gone.
        """
        settings = context.settings
        flusher = context.flusher
        policy = context.deflatePolicy
        inflater = None
        self._deflater: Deflater | None = None
        if agreement is not None and policy is not None:
            self._deflater = policy.deflater(agreement)
            inflater = policy.inflater(agreement)
        meter = None
        if account is not None and context.rates is not None:
            meter = Meter(context.rates, context.clock.seconds())
        self.request = request
        self._transport = transport
        self._application: IWebSocketProtocol | None = application
        self._context = context
        self._statistics = context.statistics
        self._traffic = traffic = context.statistics.trafficOf(served.name)
        self._flusher = flusher
        self._compressFrom = settings.compression_min_size
        self._whenLost = whenLost
        self._receiver = MessageReceiver(
            self,
            max_message_size=settings.max_message_size,
            max_fragments=settings.max_fragments,
            inflater=inflater,
        )
        self._queue = SendQueue(transport, flusher, self, traffic, context.waiting)
        # Once something was made to wait.
        self._burst: Burst | None = None
        # Who waits for all that was sent to be out.
        self._drained: list[Deferred[None]] | None = None
        self._inflates = inflater is not None
        self.intake = Intake(
            self,
            account=account,
            meter=meter,
            ceiling=context.unfinished,
            turns=context.turns,
        )
        self._state = State.CONNECTING
        # Whether it is State.OPEN, for those who ask for each message.
        self._isOpen = False
        self._closed: ConnectionClosed | None = None
        # What comes when it isn't State.OPEN any more.
        self._late: LateInput | None = None
        self._producer: AttachedProducer | None = None
        self._held = 0
        # Whether the transport was told not to read.
        self._paused = False
        self._rules = rules = served.handlers
        self._overlaps = rules.overlapOf(application)
        self._handlerTimeout: float = (
            settings.handler_timeout if rules.timeout is None else rules.timeout
        )
        self._handlers: Handlers | None = None
        # Why the transport is gone, while what came before is still delivered.
        self._left: Failure | None = None
        # The connection is lost; its input is looked through for a close frame.
        self._parting = False
        # When a byte last came.
        self._heard: float = flusher.began
        self.opened: float = flusher.began
        self._keepalive: Keepalive | None = None
        self._closeDeadline: Deadline | None = None
        self._sendDeadline: Deadline | None = None
        # How far the peer had come when that was set.
        self._progress: Progress | None = None

    # Opening

    def open(self, switch: bytes, early: bytes) -> None:
        """
        Begin.

        @param switch: the response that accepts the handshake.
        @param early: what the peer has sent behind its request.
        """
        self._advance(Event.ACCEPT)
        self._transport.registerProducer(self._queue, True)
        flusher = self._flusher
        flusher.cork()
        try:
            self._heard = self.opened = flusher.began
            self._traffic.receivedBytes += len(early)
            if self._context.settings.ping_interval:
                self._keepalive = Keepalive(
                    self, self._context.settings, self._context.deadlines
                )
            self._queue.write(switch)
            self._tell("negotiationStarted", self)
            if self._isOpen:
                self._tell("negotiationFinished")
            self.intake.takeBytes(len(early), flusher.began)
            self._receiver.feed(early)
            self.intake.hold(self._receiver.unfinished())
            self._lookAhead()
        finally:
            flusher.uncork()

    def _advance(self, event: Event) -> None:
        self._state = advance(self._state, event)
        self._isOpen = self._state is State.OPEN

    def limitMessages(self, size: int) -> None:
        """
        Take messages of no more than so many bytes from now on, until L{serveWith}.
        """
        most = self._context.settings.max_message_size
        self._receiver.limit(min(size, most))

    def serveWith(self, application: IWebSocketProtocol, text: str) -> Any:
        """
        Have another one serve the connection from now on, as if it had from the
        beginning; nothing if it isn't open any more. What serves it so far calls this,
        and has nothing more delivered until what this returns has fired.

        @param text: a message to be sent before whatever it sends.
        @return: what its C{negotiationFinished} does.
        """
        if not self._isOpen:
            return None
        self._receiver.limit(self._context.settings.max_message_size)
        self._application = application
        self._overlaps = self._rules.overlapOf(application)
        self._sendText(text)
        self._tell("negotiationStarted", self)
        return application.negotiationFinished() if self._isOpen else None

    # The transport's protocol

    def dataReceived(self, data: bytes) -> None:
        flusher = self._flusher
        flusher.cork()
        try:
            self._heard = flusher.began
            self._traffic.receivedBytes += len(data)
            if not self._isOpen:
                self._takeLate(len(data))
            self.intake.takeBytes(len(data), flusher.began)
            self._receiver.feed(data)
            unfinished = self._receiver.unfinished()
            self.intake.hold(unfinished)
            if self._held:
                if unfinished > _READ_ON:
                    self._pause()
                self._lookAhead()
        finally:
            flusher.uncork()

    def space(self) -> PayloadBuffer | None:
        """
        Give the place of a large message that is under way, to be read into in place
        of a L{dataReceived}: see L{MessageReceiver.space}.
        """
        return self._receiver.space()

    def filled(self, size: int) -> None:
        """
        Go on with what was read into L{space}.

        @param size: how many bytes were.
        """
        flusher = self._flusher
        flusher.cork()
        try:
            self._heard = flusher.began
            self._traffic.receivedBytes += size
            if not self._isOpen:
                self._takeLate(size)
            self.intake.takeBytes(size, flusher.began)
            self._receiver.filled(size)
            self.intake.hold(self._receiver.unfinished())
        finally:
            flusher.uncork()

    def _takeLate(self, size: int) -> None:
        """
        Read only so much more of a peer that nobody listens to: while its close frame
        has to come, what may be on the way in front of it.
        """
        if self._late is None:
            self._late = LateInput(self._transport)
        limit = LATE_SIZE
        closed = self._closed
        if self._state is State.CLOSE_SENT:
            limit = self._context.settings.max_message_size + LATE_LARGE_SIZE
        elif closed is not None and closed.code == CloseCode.MESSAGE_TOO_BIG:
            limit = LATE_LARGE_SIZE
        isTimed = self._closeDeadline is not None or self._sendDeadline is not None
        self._late.take(size, isTimed, self._closeTimedOut, limit)

    def connectionLost(self, reason: Failure) -> None:
        if (
            self._handlers is not None
            and self._held == _HELD_BY_APPLICATION
            and self._receiver.unfinished()
            and self._context.settings.close_timeout
            and reason.check(ConnectionDone)
        ):
            # It has ended in order: what it sent before is delivered, as long as the
            # application goes on with it.
            self._left = reason
            self._stopKeepalive()
            self._queue.discard()
            self.peerEnded()
            return
        self._lose(reason)

    def peerEnded(self) -> None:
        """
        The peer sends nothing more, while a handler holds what it has sent before. That
        is delivered if the handlers are fast; but none of them waits for ever for what
        doesn't come.
        """
        if self._handlers is not None:
            self._handlers.hurry(self._context.settings.close_timeout)

    def _lookAhead(self) -> None:
        """
        Find out whether the peer has closed behind what a handler holds. It waits for
        an answer then, and not for ever.
        """
        handlers = self._handlers
        if handlers is None or handlers.seen < 0 or self._left is not None:
            return
        if self._held & _HELD_BY_APPLICATION:
            handlers.seen = self._receiver.look_ahead(handlers.seen)
            if handlers.seen < 0:
                self.peerEnded()

    def _skipToClose(self, size: int) -> None:
        """
        Go on with the peer's close frame, without what is in front of it. The handlers
        are cancelled when that has led to the connection's end.

        @param size: how much that is.
        """
        flusher = self._flusher
        flusher.cork()
        try:
            self._held = 0
            self._resume()
            self._receiver.skip(size)
            self._receiver.resume()
        finally:
            flusher.uncork()

    def _lose(self, reason: Failure) -> None:
        """
        Let go of everything: the connection is gone.
        """
        if self._state is State.LOST:
            return
        try:
            self._letGo(reason)
        finally:
            # Whatever happened: its place is somebody else's.
            self._whenLost(self)

    def _letGo(self, reason: Failure) -> None:
        self._advance(Event.LOSE)
        self._stopKeepalive()
        for deadline in (self._closeDeadline, self._sendDeadline):
            self._context.deadlines.clear(deadline)
        self._closeDeadline = self._sendDeadline = None
        self._statistics.stalled.discard(self)
        if self._held and self._closed is None:
            self._hearLastWords()
        self._receiver.stop()
        self.intake.end()
        self._deflater = None
        self._queue.discard()
        self._detach()
        closed = self._closed
        if closed is None:
            closed = self._closed = UncleanlyClosed(
                CloseCode.ABNORMAL, explainLoss(reason), Side.PEER
            )
        name = self._traffic.application
        client = self.request.getClientAddress()
        logClosing(self._context.logLimit, client, name, closed)
        self._failDrained(closed)
        self._tell("connectionLost", Failure(closed))
        self._application = None
        if self._handlers is not None:
            self._handlers.end()
        self._statistics.countClosed(
            self._context.deadlines.now(),
            client,
            name,
            self.opened,
            closed,
        )

    def _loseIfLeft(self) -> bool:
        """
        Let go of everything if the peer has left already.

        @return: whether it has.
        """
        if self._left is None:
            return False
        self._lose(self._left)
        return True

    def _hearLastWords(self) -> None:
        """
        Find out whether the peer, which is gone, has closed in what was read of it and
        not delivered.
        """
        self._parting = True
        self._receiver.resume()

    # The codec's sink

    def text_received(self, message: str) -> None:
        intake = self.intake
        if intake.isMetered:
            intake.takeMessage(self._flusher.began)
        if self._inflates:
            intake.takeInflated(len(message), self._flusher.began)
        if not self._isOpen:
            return
        application = self._application
        assert application is not None
        statistics = self._statistics
        traffic = self._traffic
        traffic.receivedMessages += 1
        before = statistics.serving
        statistics.serving = traffic.application
        began = 0.0 if traffic.latency is None else perf_counter()
        try:
            result = application.textMessageReceived(message)
        except BaseException:  # an application's sys.exit() doesn't end the server
            self._applicationFailed(Failure())
        else:
            if result is not None:
                self._waitFor(result, began)
            elif began:
                traffic.observe(began)
        finally:
            statistics.serving = before

    def binary_received(self, message: bytes) -> None:
        intake = self.intake
        if intake.isMetered:
            intake.takeMessage(self._flusher.began)
        if self._inflates:
            intake.takeInflated(len(message), self._flusher.began)
        if not self._isOpen:
            return
        application = self._application
        assert application is not None
        statistics = self._statistics
        traffic = self._traffic
        traffic.receivedMessages += 1
        before = statistics.serving
        statistics.serving = traffic.application
        began = 0.0 if traffic.latency is None else perf_counter()
        try:
            result = application.bytesMessageReceived(message)
        except BaseException:  # an application's sys.exit() doesn't end the server
            self._applicationFailed(Failure())
        else:
            if result is not None:
                self._waitFor(result, began)
            elif began:
                traffic.observe(began)
        finally:
            statistics.serving = before

    def ping_received(self, payload: bytes) -> None:
        if self.intake.isMetered:
            self.intake.takeMessage(self._flusher.began)
        if self._isOpen:
            self._queue.frame(FIN | OP_PONG, payload)

    def pong_received(self, payload: bytes) -> None:
        if self.intake.isMetered:
            self.intake.takeMessage(self._flusher.began)
        if not self._isOpen:
            return
        if payload != _KEEPALIVE:
            self._tell("pongReceived", payload)

    def close_received(self, code: int, reason: str) -> None:
        if self._parting or self._left is not None:
            self._closed = UncleanlyClosed(code, reason, Side.PEER)
            self._loseIfLeft()
            return
        wasOpen = self._isOpen
        self._advance(Event.RECEIVE_CLOSE)
        if wasOpen:
            self._closed = UncleanlyClosed(code, reason, Side.PEER)
            self._sendClose(pack_close(code))
        self._end()

    def fragments_received(self, count: int) -> None:
        self.intake.takeFragments(count)

    def violation_received(self, violation: ProtocolViolation) -> None:
        if self._parting or self._left is not None:
            self._loseIfLeft()
            return
        wasOpen = self._isOpen
        if wasOpen:
            self._closed = UncleanlyClosed(
                violation.code, violation.reason, Side.SERVER, violation.setting
            )
            self._queue.frame(
                FIN | OP_CLOSE, pack_close(violation.code, violation.reason)
            )
        self._advance(Event.FAIL)
        self._end()

    # What operators see and do

    @property
    def name(self) -> str:
        """
        The application's name.
        """
        return self._traffic.application

    @property
    def isOpen(self) -> bool:
        """
        Whether nobody has begun to close it.
        """
        return self._isOpen

    @property
    def isStalled(self) -> bool:
        """
        Whether output waits for the client.
        """
        return self._queue.blocked

    def notify(self, text: str) -> bool:
        """
        Have the application tell its client something of the operator's.

        @return: whether it can: its protocol is an
            L{wsplug.interfaces.INoticeReceiver}.
        """
        if not self._isOpen or not hasattr(self._application, "noticeReceived"):
            return False
        self._tell("noticeReceived", text)
        return True

    # The application's transport

    @property
    def bytesWaiting(self) -> int:
        return self._queue.waiting

    def whenDrained(self) -> Deferred[None]:
        if self._state is State.LOST:
            assert self._closed is not None
            return self._toBeJudged(fail(_copyOf(self._closed)))
        if not self._queue.tellDrained() and self._left is None:
            return self._toBeJudged(succeed(None))
        drained: Deferred[None] = Deferred(self._forgetDrained)
        if self._drained is None:
            self._drained = []
        self._drained.append(drained)
        return drained

    def _forgetDrained(self, drained: Deferred[None]) -> None:
        if self._drained is not None and drained in self._drained:
            self._drained.remove(drained)

    def _failDrained(self, closed: ConnectionClosed) -> None:
        """
        Tell those who wait for all to be out that it never will be.
        """
        waiting, self._drained = self._drained, None
        for drained in waiting or ():
            drained.errback(_copyOf(closed))
            self._toBeJudged(drained)

    def _toBeJudged(self, drained: Deferred[None]) -> Deferred[None]:
        """
        Have what fails behind a Deferred of L{whenDrained}, which has fired, be the
        application's failure, once whoever asked has had the time to handle it.
        """
        self._flusher.later(lambda: drained.addErrback(self._applicationFailed))
        return drained

    def sendTextMessage(self, text: str) -> None:
        self._sendText(text if type(text) is str else toText(text))

    def sendBytesMessage(self, data: bytes) -> None:
        self._sendMessage(OP_BINARY, data if type(data) is bytes else toBytes(data))

    def sendPreparedMessage(self, message: IPreparedMessage) -> None:
        if not isinstance(message, PreparedMessage):
            raise TypeError(
                f"a prepared message is a PreparedMessage, not {type(message).__name__}"
            )
        self.sendPrepared(message)

    def sendPrepared(self, message: PreparedMessage) -> None:
        """
        Do what C{sendPreparedMessage} does.

        @param message: of this class and no other, as the compiled build takes it.
        """
        if not self._isOpen:
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
        self._traffic.sentMessages += 1
        frame = message.frame(deflater)
        if not self._queue.blocked or self._mayWait(len(frame)):
            self._queue.write(frame)

    def ping(self, payload: bytes = b"") -> None:
        payload = toBytes(payload, "the payload of a ping", hint="")
        if len(payload) > MAX_CONTROL_SIZE:
            raise ValueError(
                f"a ping has at most {MAX_CONTROL_SIZE} bytes, not {len(payload)} "
                "(RFC 6455 section 5.5)"
            )
        if self._isOpen and (not self._queue.blocked or self._mayWait(len(payload))):
            self._queue.frame(FIN | OP_PING, payload)

    def loseConnection(self, code: int | None = 1000, reason: str | None = "") -> None:
        # What is wrong is the caller's error, even too late.
        number, text = toClose(code, reason)
        self.close(number, text, Side.APPLICATION)

    def abortConnection(self) -> None:
        self._abort(CloseCode.ABNORMAL, "aborted by the application", Side.APPLICATION)

    def attachProducer(self, producer: IPushProducer) -> None:
        if self._producer is not None:
            raise RuntimeError("another producer is attached; detach that first")
        if not self._isOpen or self._left is not None:
            producer.stopProducing()
            return
        self._producer = AttachedProducer(producer, self._applicationFailed)
        if self._queue.blocked:
            self._producer.pause()

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
        if not self._isOpen:
            return
        payload = pack_close(code, reason)
        self._closed = UncleanlyClosed(code, reason, side, setting)
        if self._loseIfLeft():
            return
        self._sendClose(payload)
        self._stopReceiving()
        self._awaitClose()

    def _sendClose(self, payload: bytes) -> None:
        self._advance(Event.SEND_CLOSE)
        self._queue.frame(FIN | OP_CLOSE, payload)

    def _stopReceiving(self) -> None:
        """
        Wait for nothing but the peer's close from now on: what holds up its input, and
        what asks it for signs of life, has no more say.
        """
        self._stopKeepalive()
        self._detach()
        if self._held:
            self._held = 0
            self._resume()
            self._receiver.resume()

    def _end(self) -> None:
        """
        End the TCP connection once all is sent.
        """
        self._stopReceiving()
        self._awaitClose()
        self._queue.end(self._endTransport)

    def _endTransport(self) -> None:
        if self._state is State.FAILED:
            # It may still be sending, and is to see why this ends.
            endWriting(self._transport)
            return
        closed = self._closed
        if self._state is State.CLOSED and closed is not None:
            # Both close frames are out of our hands (section 7.1.4).
            self._closed = CleanlyClosed(
                closed.code, closed.reason, closed.side, closed.setting, clean=True
            )
        self._transport.loseConnection()

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
        seconds = self._context.settings.close_timeout
        if self._closeDeadline is None and self._sendDeadline is None and seconds:
            self._closeDeadline = self._context.deadlines.set(
                seconds, self._closeTimedOut
            )

    def _closeTimedOut(self) -> None:
        self._context.deadlines.clear(self._closeDeadline)
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
        if self._loseIfLeft():
            return
        self._queue.discard()
        self._transport.abortConnection()

    # Limits

    def intakeRests(self) -> None:
        self._hold(_HELD_TO_REST)

    def intakeGoesOn(self) -> None:
        self._release(_HELD_TO_REST)

    def intakeFailed(self) -> None:
        self._abort(CloseCode.INTERNAL_ERROR, "internal error", Side.SERVER)

    def intakeExceeded(self, code: int, reason: str, setting: str) -> None:
        # No more is heard of what the peer sends.
        self._receiver.stop()
        if self._state in (State.OPEN, State.CLOSE_SENT):
            self.violation_received(ProtocolViolation(code, reason, setting))

    # The application's calls and answers

    def _tell(self, method: str, *arguments: object) -> None:
        """
        Call a method of the application's that isn't called often.
        """
        statistics = self._statistics
        before = statistics.serving
        statistics.serving = self._traffic.application
        try:
            result = getattr(self._application, method)(*arguments)
        except BaseException:  # an application's sys.exit() doesn't end the server
            self._applicationFailed(Failure())
        else:
            if result is not None:
                self._waitFor(result, 0.0)
        finally:
            statistics.serving = before

    def _waitFor(self, result: object, began: float) -> None:
        """
        Deliver nothing more until what the application has returned has fired, unless
        its handlers overlap.

        @param began: when it was called, where that is to be known.
        """
        if isinstance(result, Coroutine):
            result = Deferred.fromCoroutine(result)
        if isinstance(result, Deferred):
            result.addErrback(self._applicationFailed)
            # It may have fired already, as a coroutine that waited for nothing has.
            if not result.called or result.paused:
                number = 0
                if self._isOpen and not self._overlaps:
                    if self._handlers is None:
                        self._handlers = Handlers(
                            self,
                            self._context.deadlines,
                            self._flusher,
                            self._handlerTimeout,
                        )
                    number = self._handlers.add(result)
                    self._hold(_HELD_BY_APPLICATION)
                result.addCallback(lambda _: self._goOn(number, began))
                return
        if began:
            self._traffic.observe(began)

    def _goOn(self, number: int, began: float) -> None:
        """
        Go on after the application.

        @param number: what its handler is known by; 0 for one that held nothing.
        """
        if began:
            self._traffic.observe(began)
        if self._handlers is not None and number and self._handlers.remove(number):
            self._release(_HELD_BY_APPLICATION)

    def handlersOverdue(self) -> None:
        assert self._handlers is not None
        if self._handlers.hurried:
            if self._loseIfLeft():
                return
            if self._handlers.seen < 0 and self._isOpen:
                self._skipToClose(~self._handlers.seen)
            else:
                reason = "went away without closing"
                self._abort(CloseCode.ABNORMAL, reason, Side.PEER)
            return
        reason = f"the application took longer than {self._handlerTimeout:g} seconds"
        self.close(CloseCode.INTERNAL_ERROR, reason, Side.SERVER, "handler-timeout")
        self._handlers.cancel()

    def _applicationFailed(self, failure: Failure) -> None:
        if not self._isOpen and failure.check(ConnectionClosed, CancelledError):
            # It was told that the connection ends, and leaves it at that.
            failure.cleanFailure()
            return
        _log.failure(
            "{application} failed while it served {peer}",
            failure,
            application=self._traffic.application,
            peer=nameOfAddress(self.request.getClientAddress()),
        )
        self.close(CloseCode.INTERNAL_ERROR, "internal error", Side.APPLICATION)
        # Its frames refer to the connection, and Twisted's to it.
        failure.cleanFailure()

    # Reading

    def _hold(self, reason: int) -> None:
        if not self._held:
            self._receiver.pause()
        self._held |= reason
        # While it is the application alone that wants nothing more, a little is read
        # on: the connection's loss, and the answers to pings, are to be seen.
        if reason != _HELD_BY_APPLICATION:
            self._pause()

    def _pause(self) -> None:
        """
        Read nothing more.
        """
        if not self._paused:
            self._paused = True
            self._transport.pauseProducing()
        if self._held == _HELD_BY_APPLICATION:
            watchForEnd(self._transport, self.peerEnded)

    def _resume(self) -> None:
        """
        Read again.
        """
        if self._paused:
            self._paused = False
            self._transport.resumeProducing()

    def _release(self, reason: int) -> None:
        if not self._held & reason:
            return
        self._held &= ~reason
        if not self._held:
            flusher = self._flusher
            flusher.cork()
            try:
                self._receiver.resume()
            finally:
                flusher.uncork()
        if not self._held and self._loseIfLeft():
            return
        if self._state is not State.LOST:
            self._lookAhead()
            self._readAgain()

    def _readAgain(self) -> None:
        """
        Read as far as what holds the input allows.
        """
        if not self._held:
            self._resume()
        elif self._held == _HELD_BY_APPLICATION and self._paused:
            if self._receiver.unfinished() > _READ_ON:
                watchForEnd(self._transport, self.peerEnded)
            else:
                self._resume()

    # Writing

    def _sendText(self, text: str) -> None:
        if self._deflater is not None or self._queue.blocked:
            self._sendMessage(OP_TEXT, text.encode("utf-8"))
        elif self._isOpen:
            self._traffic.sentMessages += 1
            self._queue.text(FIN | OP_TEXT, text)
        else:
            text.encode("utf-8")  # what can't be sent is an error, even too late

    def _sendMessage(self, opcode: int, payload: bytes) -> None:
        if not self._isOpen:
            return
        self._traffic.sentMessages += 1
        first = FIN | opcode
        deflater = self._deflater
        if deflater is not None and len(payload) >= self._compressFrom:
            compressed = deflater.deflate(payload)
            # What takes its context over counts on the peer having seen the message.
            if deflater.takes_over or len(compressed) < len(payload):
                first |= RSV1
                payload = compressed
        if not self._queue.blocked or self._mayWait(len(payload)):
            self._queue.frame(first, payload)

    def _mayWait(self, size: int) -> bool:
        """
        Say whether the queue may get longer still, and give up on a peer for which it
        may not: see L{Burst}. The memory of all is bounded at once, by the ceiling.
        """
        waiting = self._queue.waiting
        turn = self._flusher.turns.number()
        if self._burst is None:
            self._burst = Burst()
        if self._burst.allows(
            turn, waiting, size, self._context.settings.max_send_buffer
        ):
            return True
        self._tooSlow(f"does not read; {waiting} bytes wait for it", "max-send-buffer")
        return False

    def outputBlocked(self) -> None:
        stalled = self._statistics.stalled
        if self not in stalled:
            stalled.add(self)
            self._statistics.stalls += 1
            if self._burst is None:
                self._burst = Burst()
            self._burst.begin(self._flusher.turns.number(), self._queue.waiting)
        seconds = self._context.settings.send_timeout
        if seconds:
            self._sendDeadline = self._context.deadlines.set(
                seconds, self._sendTimedOut
            )
            self._progress = self.askProgress()
            self._context.deadlines.clear(self._closeDeadline)
            self._closeDeadline = None
        if self._isOpen:
            self._hold(_HELD_BY_OUTPUT)
            if self._producer is not None:
                self._producer.pause()

    def outputMoved(self) -> None:
        self._context.deadlines.clear(self._sendDeadline)
        self._sendDeadline = None

    def outputResumed(self) -> None:
        if self._state not in (State.OPEN, State.LOST):
            self._awaitClose()
        if self._producer is not None:
            self._producer.resume()
        if not self._queue.blocked:
            self._statistics.stalled.discard(self)
            self._release(_HELD_BY_OUTPUT)

    def outputDrained(self) -> None:
        waiting, self._drained = self._drained, None
        for drained in waiting or ():
            drained.callback(None)
            self._toBeJudged(drained)

    def outputEnded(self) -> None:
        self._detach()

    def outputShed(self, waiting: int) -> None:
        if self._isOpen:
            reason = f"the server is full; {waiting} bytes wait for it"
            self._tooSlow(reason, "max-send-buffer-total")
        if self._queue.waiting > waiting // 2:
            # What is partly out can't be taken back by itself.
            reason = "the server is full, and it does not read"
            self._abort(
                CloseCode.ABNORMAL, reason, Side.SERVER, "max-send-buffer-total"
            )

    def _detach(self) -> None:
        """
        Tell the application's producer that it is over.
        """
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stop()

    def _sendTimedOut(self) -> None:
        self._sendDeadline = None
        if self._hasRead():
            seconds = self._context.settings.send_timeout
            self._sendDeadline = self._context.deadlines.set(
                seconds, self._sendTimedOut
            )
        elif self._isOpen:
            self._tooSlow("does not read", "send-timeout")
        else:
            self._abort(
                CloseCode.ABNORMAL, "does not read", Side.SERVER, "send-timeout"
            )

    def _hasRead(self) -> bool:
        """
        Say whether the peer has read a batch since it was looked at last, though the
        kernel has no room for one yet.
        """
        before = self._progress
        progress = self._progress = self.askProgress()
        if progress is None or before is None:
            return False
        return progress.taken - before.taken >= BATCH

    def _tooSlow(self, reason: str, setting: str) -> None:
        """
        Give up on a peer that doesn't read: drop what no frame is torn apart by, and
        let it have the close frame if it reads again in time.
        """
        self.outputMoved()
        self._queue.dropUnsent()
        self.close(CloseCode.TRY_AGAIN_LATER, reason, Side.SERVER, setting)

    # Keepalive

    def lastHeard(self) -> float:
        if self._paused:  # one that isn't read from can't be silent
            if self._held & _HELD_BY_APPLICATION and hasEnded(self._transport):
                self.peerEnded()
            self._heard = self._context.deadlines.now()
        return self._heard

    def askProgress(self) -> Progress | None:
        return self._context.askProgress(self._transport)

    def sendPing(self) -> None:
        self._queue.frame(FIN | OP_PING, _KEEPALIVE)

    def pingTimedOut(self) -> None:
        self._abort(
            CloseCode.ABNORMAL,
            f"answered no ping in {self._context.settings.ping_timeout:g} seconds",
            Side.SERVER,
            "ping-timeout",
        )

    def _stopKeepalive(self) -> None:
        keepalive, self._keepalive = self._keepalive, None
        if keepalive is not None:
            keepalive.stop()


def _copyOf(closed: ConnectionClosed) -> Failure:
    """
    Make a failure of why a connection ended, for one who is told of it. One that was
    raised leads to the frames that it went through, and those lead here.
    """
    return Failure(copy(closed))


# A function and no decorator: compiled, this is no class that could carry one.
classImplements(Connection, IServerConnection)
