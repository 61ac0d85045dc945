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
    One connection, from the response with status 101 on.

    It is the transport's protocol (C{dataReceived}, C{connectionLost}), the codec's
    sink (C{text_received} and so on), and the application's transport. Its parts do the
    rest: the L{InputGate} pauses the input, the L{InboundLimits} limit it, the
    L{SendQueue} and the L{OutputWatch} handle the output, the L{CloseHandshake} closes.

    @ivar request: the handshake's request.
    @ivar context: what all connections share.
    @ivar transport: the transport of the TCP connection.
    @ivar isOpen: whether neither side has started to close it.
    @ivar opened: the time by the clock when it opened.
    @ivar gate: pauses the input.
    @ivar limits: the limits of the input.
    @ivar queue: the output that waits.
    @ivar output: watches the output.
    @ivar keepalive: pings the peer; C{None} if that is off.
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
        @param request: the handshake's request.
        @param transport: an C{ITCPTransport}, C{ISSLTransport} or C{IUNIXTransport}.
        @param application: the protocol that serves this connection.
        @param served: the name and the rules of the application that has made the
            protocol.
        @param context: what all connections share.
        @param account: the account of the address or the user; C{None} if no limit
            applies.
        @param agreement: the compression that the handshake has agreed on; C{None} for
            none.
        @param whenLost: called with the connection when it is lost.
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
        self._traffic = context.statistics.trafficOf(served.name)
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
        self.queue = self.makeQueue()
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
        # Made when a side closes, or when the connection is lost.
        self._closing: CloseHandshake | None = None

    # Opening

    def makeQueue(self) -> SendQueue:
        """
        Make the queue of what is sent.
        """
        return SendQueue(
            self.transport,
            self._flusher,
            self.output,
            self._traffic,
            self.context.sendBuffers,
        )

    def open(self, switch: bytes, early: bytes) -> None:
        """
        Start to serve the connection.

        @param switch: the response that accepts the handshake.
        @param early: the bytes that the peer has sent after its request.
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
            self.dataReceived(early)
        finally:
            flusher.uncork()

    def limitMessages(self, size: int) -> None:
        """
        Limit messages to a number of bytes until L{switchProtocol}.
        """
        most = self.context.settings.max_message_size
        self._receiver.limit(min(size, most))

    def switchProtocol(self, application: IWebSocketProtocol, text: str) -> Any:
        """
        Have another protocol serve the connection from now on. The present protocol
        calls this. No message is delivered until the returned Deferred has fired. If
        the connection is not open any more, this does nothing.

        @param text: a message to send before any that the new protocol sends.
        @return: the result of the new protocol's C{negotiationFinished}.
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
        Return the buffer of an incomplete large message, to read into it instead of
        calling L{dataReceived}: see L{MessageReceiver.get_buffer}.
        """
        return self._receiver.get_buffer()

    def bufferUpdated(self, size: int) -> None:
        """
        Process the bytes that were read into the buffer from L{getBuffer}.

        @param size: the number of bytes.
        """
        self._take(size, None)

    def _take(self, size: int, data: bytes | None) -> None:
        """
        Process input from the peer.

        @param size: the number of bytes.
        @param data: the bytes; C{None} if they were read into the buffer from
            L{getBuffer}.
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
            # The peer closed the transport in order: deliver what it sent before, as
            # long as the application can process it.
            self.closing.left = reason
            if self.keepalive is not None:
                self.keepalive.stop()
            self.queue.discard()
            self.peerEnded()
            return
        self.lose(reason)

    def peerEnded(self) -> None:
        """
        The peer sends nothing more, while a handler still pauses earlier input. That is
        delivered once the handler is done. Handlers have less time from now on, so that
        none waits forever for input that can't arrive.
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
        Release everything: the connection is lost.
        """
        closing = self.closing
        if closing.state is State.LOST:
            return
        try:
            closing.lose()
            if self.keepalive is not None:
                self.keepalive.stop()
            if self.gate.reasons and closing.closed is None:
                # The input that wasn't delivered may contain a close frame.
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
            if context.settings.log_connections:
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
            # Free the slot even if something failed.
            self._whenLost(self)

    # The codec's sink

    def text_received(self, message: str) -> None:
        self._deliver(message, True)

    def binary_received(self, message: bytes) -> None:
        self._deliver(message, False)

    def _deliver(self, message: Any, isText: bool) -> None:
        """
        Pass a message to the application.
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

    @property
    def clientName(self) -> str | None:
        """
        What the application calls its client: see
        L{wsplug.interfaces.INamesClient}.
        """
        name: str | None = getattr(self._application, "clientName", None)
        return name

    def notify(self, text: str) -> bool:
        """
        Have the application send a notice from the operator to its client.

        @return: whether the protocol provides L{wsplug.interfaces.INoticeReceiver}.
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
            text.encode("utf-8")  # raises even if the connection is already closed

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
            # With context takeover, later messages refer to this one: it must be sent.
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
        Send a prepared message, without the checks of C{sendPreparedMessage}.

        @param message: an instance of exactly this class, as the compiled build needs.
        """
        if not self.isOpen:
            return
        deflater = self._deflater
        if deflater is not None:
            if len(message.payload) < self.context.settings.compression_min_size:
                deflater = None
            elif deflater.takes_over:
                # With context takeover, each connection compresses by itself.
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
        # Check the arguments even if the connection is already closed.
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
        The closing handshake. It is made when it is first needed: most connections stay
        open for long.
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
        Call one of the application's methods that are called rarely.
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
        Pause the input until the Deferred or coroutine that a handler returned is done,
        unless handlers overlap.

        @param began: the time of the call, if it is measured.
        """
        traffic = self._traffic
        if isinstance(result, LATER):
            result = toDeferred(result)
            result.addErrback(self.applicationFailed)
            # A coroutine that waited for nothing is done already.
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
            # The handler was cancelled because the connection ends.
            failure.cleanFailure()
            return
        _log.failure(
            "{application} failed while serving {peer}",
            failure,
            application=self._traffic.application,
            peer=nameOfAddress(self.request.getClientAddress()),
        )
        self.close(CloseCode.INTERNAL_ERROR, "internal error", Side.APPLICATION)
        # The traceback's frames keep the connection in memory.
        failure.cleanFailure()


# A call instead of the decorator: a compiled class can't have one.
classImplements(Connection, IServerConnection)
