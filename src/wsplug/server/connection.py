"""
A WebSocket connection: it carries messages between the codec and the application.

Input: the transport calls C{dataReceived}, which feeds the codec. The codec calls back
once for each whole message, and the callback calls the application. Output: the
application's C{sendTextMessage} puts a frame into the L{SendQueue}. The queue is
I{corked} while input is handled, and is flushed to the transport at the end. Outside of
that, it is flushed in the same turn of the reactor.

While the peer doesn't read, the server reads nothing from it. A client that only sends
requests and reads no answers therefore stops itself.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import classImplements

from wsplug.awaiting import LATER, toDeferred
from wsplug.codec.closecodes import CloseCode
from wsplug.codec.compression import Deflater
from wsplug.codec.deflate import DeflateAgreement
from wsplug.codec.frames import (
    FIN,
    MAX_CONTROL_SIZE,
    OP_BINARY,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    RSV1,
)
from wsplug.codec.lifecycle import State
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
from wsplug.server.closehandshake import CloseHandshake, failureOf
from wsplug.server.closing import UncleanlyClosed, logClosing
from wsplug.server.context import ConnectionContext
from wsplug.server.disconnects import explainLoss
from wsplug.server.handling import Handlers, ServedApplication
from wsplug.server.inboundlimits import InboundLimits
from wsplug.server.inputgate import PAUSED_BY_APPLICATION, InputGate
from wsplug.server.keepalive import KEEPALIVE, Keepalive
from wsplug.server.output import OutputWatch, watchCallbacks
from wsplug.server.prepared import PreparedMessage
from wsplug.transport.sendqueue import SendQueue

__all__ = ["Connection"]

_log = Logger(__name__)


class Connection:
    """
    One connection, from the 101 on.

    It is the transport's protocol (C{dataReceived}, C{connectionLost}), the codec's
    sink (C{text_received} and so on), and the application's transport. Its parts do the
    rest: the L{InputGate} holds the input, the L{InboundLimits} limit it, the
    L{SendQueue} and the L{OutputWatch} have what goes out, the L{CloseHandshake} has
    the end.

    @ivar request: the handshake's.
    @ivar context: what all connections share.
    @ivar transport: the TCP connection's.
    @ivar isOpen: whether nobody has begun to close it.
    @ivar opened: when it began, by the clock.
    @ivar gate: what holds the input.
    @ivar limits: the bounds of what comes in.
    @ivar queue: what goes out.
    @ivar output: what hears of that.
    @ivar keepalive: watches over a silent peer; C{None} where that is off.
    """

    __slots__ = (
        "_application",
        "_closing",
        "_deflater",
        "_flusher",
        "_handlers",
        "_inflates",
        "_overlaps",
        "_receiver",
        "_served",
        "_statistics",
        "_traffic",
        "_whenLost",
        "context",
        "gate",
        "isOpen",
        "keepalive",
        "limits",
        "opened",
        "output",
        "queue",
        "request",
        "transport",
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
        policy = context.deflatePolicy
        inflater = None
        self._deflater: Deflater | None = None
        if agreement is not None and policy is not None:
            self._deflater = policy.deflater(agreement)
            inflater = policy.inflater(agreement)
        meter = None
        if account is not None and context.rates is not None:
            meter = Meter(context.rates, context.clock.seconds())
        flusher = context.flusher
        self.request = request
        self.transport = transport
        self.context = context
        self._application: IWebSocketProtocol | None = application
        self._served = served
        self._overlaps = served.handlers.overlapOf(application)
        self._handlers: Handlers | None = None
        self._statistics = context.statistics
        self._traffic = traffic = context.statistics.trafficOf(served.name)
        self._flusher = flusher
        self._whenLost = whenLost
        self._inflates = inflater is not None
        self._receiver = MessageReceiver(
            self,
            max_message_size=settings.max_message_size,
            max_fragments=settings.max_fragments,
            inflater=inflater,
        )
        self.isOpen = False
        self.output = OutputWatch(self)
        self.queue = SendQueue(
            transport, flusher, self.output, traffic, context.sendBuffers
        )
        self.gate = InputGate(self, transport, self._receiver, flusher)
        self.limits = InboundLimits(
            self,
            account=account,
            meter=meter,
            budget=context.incompleteMessages,
            scheduler=context.scheduler,
        )
        self.opened: float = flusher.began
        self.keepalive: Keepalive | None = None
        # Once somebody closes it, or it is lost.
        self._closing: CloseHandshake | None = None

    # Opening

    def open(self, switch: bytes, early: bytes) -> None:
        """
        Begin.

        @param switch: the response that accepts the handshake.
        @param early: what the peer has sent behind its request.
        """
        self.isOpen = True
        self.transport.registerProducer(self.queue, True)
        flusher = self._flusher
        flusher.cork()
        try:
            self.gate.heard = self.opened = flusher.began
            if self.context.settings.ping_interval:
                self.keepalive = Keepalive(self)
            self.queue.write(switch)
            self._tell("negotiationStarted", self)
            if self.isOpen:
                self._tell("negotiationFinished")
            self._take(len(early), early)
        finally:
            flusher.uncork()

    def limitMessages(self, size: int) -> None:
        """
        Take messages of no more than so many bytes from now on, until
        L{switchProtocol}.
        """
        most = self.context.settings.max_message_size
        self._receiver.limit(min(size, most))

    def switchProtocol(self, application: IWebSocketProtocol, text: str) -> Any:
        """
        Have another protocol serve the connection from now on, as if it had from the
        beginning; do nothing if the connection is not open any more. The protocol that
        serves it so far calls this. Nothing more is delivered to that until what this
        returns has fired.

        @param text: a message to be sent before whatever the new one sends.
        @return: what its C{negotiationFinished} does.
        """
        if not self.isOpen:
            return None
        self._receiver.limit(self.context.settings.max_message_size)
        self._application = application
        self._overlaps = self._served.handlers.overlapOf(application)
        self.sendTextMessage(text)
        self._tell("negotiationStarted", self)
        return application.negotiationFinished() if self.isOpen else None

    # The transport's protocol

    def dataReceived(self, data: bytes) -> None:
        self._take(len(data), data)

    def getBuffer(self) -> PayloadBuffer | None:
        """
        Give the buffer of a large message that is under way, to be read into instead
        of a L{dataReceived}: see L{MessageReceiver.get_buffer}.
        """
        return self._receiver.get_buffer()

    def bufferUpdated(self, size: int) -> None:
        """
        Go on with what was read into L{getBuffer}.

        @param size: how many bytes were.
        """
        self._take(size, None)

    def _take(self, size: int, data: bytes | None) -> None:
        """
        Take what has come from the peer.

        @param size: how many bytes.
        @param data: the bytes; C{None} where they were read into L{getBuffer}.
        """
        flusher = self._flusher
        gate = self.gate
        limits = self.limits
        receiver = self._receiver
        flusher.cork()
        try:
            gate.heard = flusher.began
            self._traffic.receivedBytes += size
            if not self.isOpen:
                self.closing.takeLate(size)
            limits.takeBytes(size, flusher.began)
            if data is None:
                receiver.buffer_updated(size)
            else:
                receiver.feed(data)
            incomplete = receiver.incomplete_size()
            limits.reserve(incomplete)
            if gate.reasons:
                gate.keep(incomplete)
                if self._handlers is not None:
                    self._handlers.lookAhead()
        finally:
            flusher.uncork()

    def connectionLost(self, reason: Failure) -> None:
        if (
            self._handlers is not None
            and self.gate.reasons == PAUSED_BY_APPLICATION
            and self._receiver.incomplete_size()
            and self.context.settings.close_timeout
            and reason.check(ConnectionDone)
        ):
            # It has ended in order: what it sent before is delivered, as long as the
            # application goes on with it.
            self.closing.left = reason
            if self.keepalive is not None:
                self.keepalive.stop()
            self.queue.discard()
            self.peerEnded()
            return
        self.lose(reason)

    def peerEnded(self) -> None:
        """
        The peer sends nothing more, while a handler holds what it has sent before. That
        is delivered if the handlers are fast; but none of them waits for ever for what
        doesn't come.
        """
        if self._handlers is not None:
            self._handlers.hurry(self.context.settings.close_timeout)

    def inputResumed(self) -> None:
        if self.gate.reasons:
            if self._handlers is not None:
                self._handlers.lookAhead()
        elif self._closing is not None:
            self._closing.loseIfLeft()

    def lose(self, reason: Failure) -> None:
        """
        Let go of everything: the connection is gone.
        """
        closing = self.closing
        if closing.state is State.LOST:
            return
        try:
            closing.lose()
            if self.keepalive is not None:
                self.keepalive.stop()
            if self.gate.reasons and closing.closed is None:
                # The peer may have closed in what was read of it and not delivered.
                closing.parting = True
                self._receiver.resume()
            self._receiver.stop()
            self.gate.end()
            self.limits.end()
            self._deflater = None
            self.queue.discard()
            closed = closing.closed
            if closed is None:
                closed = closing.closed = UncleanlyClosed(
                    CloseCode.ABNORMAL, explainLoss(reason), Side.PEER
                )
            context = self.context
            client = self.request.getClientAddress()
            logClosing(context.logLimit, client, self.name, closed)
            self.output.end(closed)
            self._tell("connectionLost", Failure(closed))
            self._application = None
            if self._handlers is not None:
                self._handlers.end()
            self._statistics.countClosed(
                context.deadlines.now(), client, self.name, self.opened, closed
            )
        finally:
            # Whatever happened: its slot is somebody else's.
            self._whenLost(self)

    # The codec's sink

    def text_received(self, message: str) -> None:
        self._deliver(message, True)

    def binary_received(self, message: bytes) -> None:
        self._deliver(message, False)

    def _deliver(self, message: Any, isText: bool) -> None:
        """
        Give a message to the application.
        """
        limits = self.limits
        if limits.isMetered:
            limits.takeMessage(self._flusher.began)
        if self._inflates:
            limits.takeInflated(len(message), self._flusher.began)
        if not self.isOpen:
            return
        application: Any = self._application
        statistics = self._statistics
        traffic = self._traffic
        traffic.receivedMessages += 1
        before = statistics.serving
        statistics.serving = traffic.application
        began = 0.0 if traffic.latency is None else perf_counter()
        try:
            if isText:
                result = application.textMessageReceived(message)
            else:
                result = application.bytesMessageReceived(message)
        except BaseException:  # an application's sys.exit() doesn't end the server
            self.applicationFailed(Failure())
        else:
            if result is not None:
                self._waitFor(result, began)
            elif began:
                traffic.observe(began)
        finally:
            statistics.serving = before

    def ping_received(self, payload: bytes) -> None:
        if self.limits.isMetered:
            self.limits.takeMessage(self._flusher.began)
        if self.isOpen:
            self.queue.frame(FIN | OP_PONG, payload)

    def pong_received(self, payload: bytes) -> None:
        if self.limits.isMetered:
            self.limits.takeMessage(self._flusher.began)
        if not self.isOpen:
            return
        if payload != KEEPALIVE:
            self._tell("pongReceived", payload)

    def close_received(self, code: int, reason: str) -> None:
        self.closing.received(code, reason)

    def fragments_received(self, count: int) -> None:
        self.limits.takeFragments(count)

    def violation_received(self, violation: ProtocolViolation) -> None:
        self.closing.fail(violation)

    # What operators see and do

    @property
    def name(self) -> str:
        """
        The application's name.
        """
        return self._traffic.application

    @property
    def isStalled(self) -> bool:
        """
        Whether output waits for the client.
        """
        return self.queue.blocked

    def notify(self, text: str) -> bool:
        """
        Have the application tell its client something of the operator's.

        @return: whether it can: its protocol is an
            L{wsplug.interfaces.INoticeReceiver}.
        """
        if not self.isOpen or not hasattr(self._application, "noticeReceived"):
            return False
        self._tell("noticeReceived", text)
        return True

    # The application's transport

    @property
    def bufferedAmount(self) -> int:
        return self.queue.waiting

    def whenDrained(self) -> Deferred[None]:
        closing = self._closing
        if closing is not None and closing.state is State.LOST:
            assert closing.closed is not None
            return watchCallbacks(self, fail(failureOf(closing.closed)))
        if closing is not None and closing.left is not None:
            return self.output.waitForEnd()
        return self.output.whenDrained()

    def sendTextMessage(self, text: str) -> None:
        if type(text) is not str:
            text = toText(text)
        if self._deflater is not None or self.queue.blocked:
            self._sendMessage(OP_TEXT, text.encode("utf-8"))
        elif self.isOpen:
            self._traffic.sentMessages += 1
            self.queue.text(FIN | OP_TEXT, text)
        else:
            text.encode("utf-8")  # what can't be sent is an error, even too late

    def sendBytesMessage(self, data: bytes) -> None:
        self._sendMessage(OP_BINARY, data if type(data) is bytes else toBytes(data))

    def _sendMessage(self, opcode: int, payload: bytes) -> None:
        if not self.isOpen:
            return
        self._traffic.sentMessages += 1
        first = FIN | opcode
        deflater = self._deflater
        if (
            deflater is not None
            and len(payload) >= self.context.settings.compression_min_size
        ):
            compressed = deflater.deflate(payload)
            # What takes its context over counts on the peer having seen the message.
            if deflater.takes_over or len(compressed) < len(payload):
                first |= RSV1
                payload = compressed
        if not self.queue.blocked or self.output.mayWait(len(payload)):
            self.queue.frame(first, payload)

    def sendPreparedMessage(self, message: IPreparedMessage) -> None:
        if not isinstance(message, PreparedMessage):
            kind = type(message).__name__
            raise TypeError(f"a prepared message must be a PreparedMessage, not {kind}")
        self.sendPrepared(message)

    def sendPrepared(self, message: PreparedMessage) -> None:
        """
        Do what C{sendPreparedMessage} does.

        @param message: of this class and no other, as the compiled build takes it.
        """
        if not self.isOpen:
            return
        deflater = self._deflater
        if deflater is not None:
            if len(message.payload) < self.context.settings.compression_min_size:
                deflater = None
            elif deflater.takes_over:
                # Compressed by what this connection alone has sent before.
                opcode = OP_TEXT if message.isText else OP_BINARY
                self._sendMessage(opcode, message.payload)
                return
        self._traffic.sentMessages += 1
        frame = message.frame(deflater)
        if not self.queue.blocked or self.output.mayWait(len(frame)):
            self.queue.write(frame)

    def ping(self, payload: bytes = b"") -> None:
        payload = toBytes(payload, "the payload of a ping", hint="")
        if len(payload) > MAX_CONTROL_SIZE:
            raise ValueError(
                f"a ping has at most {MAX_CONTROL_SIZE} bytes, not {len(payload)} "
                "(RFC 6455 section 5.5)"
            )
        if self.isOpen and (
            not self.queue.blocked or self.output.mayWait(len(payload))
        ):
            self.queue.frame(FIN | OP_PING, payload)

    def loseConnection(self, code: int | None = 1000, reason: str | None = "") -> None:
        # What is wrong is the caller's error, even too late.
        number, text = toClose(code, reason)
        self.close(number, text, Side.APPLICATION)

    def abortConnection(self) -> None:
        self.closing.abort(
            CloseCode.ABNORMAL, "aborted by the application", Side.APPLICATION
        )

    def attachProducer(self, producer: IPushProducer) -> None:
        self.output.attachProducer(producer)

    def detachProducer(self) -> None:
        self.output.detachProducer()

    # Closing

    @property
    def closing(self) -> CloseHandshake:
        """
        How it is closed. Most connections have none of it for as long as they live.
        """
        closing = self._closing
        if closing is None:
            closing = self._closing = CloseHandshake(self)
        return closing

    def close(
        self, code: int, reason: str, side: Side, setting: str | None = None
    ) -> None:
        if self.isOpen:
            self.closing.begin(code, reason, side, setting)

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
            self.applicationFailed(Failure())
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
        traffic = self._traffic
        if isinstance(result, LATER):
            result = toDeferred(result)
            result.addErrback(self.applicationFailed)
            # It may have fired already, as a coroutine that waited for nothing has.
            if not result.called or result.paused:
                if self.isOpen and not self._overlaps:
                    handlers = self._handlers
                    if handlers is None:
                        timeout = self._served.handlers.timeout
                        if timeout is None:
                            timeout = self.context.settings.handler_timeout
                        handlers = self._handlers = Handlers(self, traffic, timeout)
                    handlers.wait(result, began)
                elif began:
                    result.addCallback(lambda _: traffic.observe(began))
                return
        if began:
            traffic.observe(began)

    def applicationFailed(self, failure: Failure) -> None:
        if not self.isOpen and failure.check(ConnectionClosed, CancelledError):
            # It was told that the connection ends, and leaves it at that.
            failure.cleanFailure()
            return
        _log.failure(
            "{application} failed while serving {peer}",
            failure,
            application=self._traffic.application,
            peer=nameOfAddress(self.request.getClientAddress()),
        )
        self.close(CloseCode.INTERNAL_ERROR, "internal error", Side.APPLICATION)
        # Its frames refer to the connection, and Twisted's to it.
        failure.cleanFailure()


# A function and no decorator: compiled, this is no class that could carry one.
classImplements(Connection, IServerConnection)
