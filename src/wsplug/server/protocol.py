"""
The HTTP phase of each connection, until a handshake is accepted or refused.

The L{RequestReader} parses the head of each request once. The L{Exchange} answers plain
requests, one after another. When a handshake is accepted, the L{Connection} replaces
this protocol as the receiver of the transport's calls.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IHandshakeListener,
    ISSLTransport,
    ITCPTransport,
    IUNIXTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug.codec import RequestHead, encode_refusal, encode_switch, wants_upgrade
from wsplug.errors import HandshakeRefused
from wsplug.guard.admission import Account
from wsplug.interfaces import IWebSocketProtocol
from wsplug.networks import nameOfAddress
from wsplug.server.accepting import logAccepted
from wsplug.server.admittance import Admittance
from wsplug.server.closing import (
    LATE_LARGE_SIZE,
    LATE_SIZE,
    LateInput,
    endIdle,
    endWriting,
    logRefusal,
)
from wsplug.server.connection import Connection
from wsplug.server.content import Content
from wsplug.server.context import ConnectionContext
from wsplug.server.deadlines import SingleDeadline
from wsplug.server.disconnects import explainTLS, speaksTLS
from wsplug.server.earlyinput import EarlyInput
from wsplug.server.handshakes import (
    PendingHandshake,
    chooseSubprotocol,
    logUnspoken,
    receiveHandshake,
)
from wsplug.server.http.exchange import Exchange
from wsplug.server.mounts import Mount
from wsplug.server.request import splitTarget
from wsplug.server.requestreader import RequestReader
from wsplug.server.roster import Roster
from wsplug.server.spare import PATIENCE
from wsplug.server.tracing import TracedConnection
from wsplug.transport.direct import DirectTransport

__all__ = ["WebSocketServerProtocol"]

_SILENCE: Final = 10.0
"""
Seconds without any output that an application may take to answer a client that has
closed its side for writing, if C{open-timeout} is off.
"""

_REST: Final = 1.0
"""
Seconds that the rest of a body has to arrive in when the server stops.
"""


@implementer(IHandshakeListener)
class WebSocketServerProtocol(Protocol):
    """
    One connection, up to its 101 or its refusal.

    @ivar client: the address of the client: the transport's peer, or the address that a
        trusted proxy names in the current request.
    @ivar account: counts this connection for its client; C{None} until the client is
        known.
    @ivar excess: the refusal of all requests but health checks, if the server was full
        when the connection was made.
    """

    _log = Logger()

    client: IAddress
    account: Account | None = None
    excess: HandshakeRefused | None = None

    # Reads requests until the connection is refused or ends. What is there during the
    # HTTP phase only is released in _handOver.
    _reader: RequestReader | None = None
    _handshake: PendingHandshake | None = None
    _exchange: Exchange | None = None

    # The head of the current request, for the verbose log only.
    _head: RequestHead | None = None

    # Whether the connection ends with the last response, and whether the client has
    # closed its side for writing.
    _refused = False
    _sentAll = False

    # Whether TLS, if the transport uses it, has completed its handshake.
    _secured = False

    # What arrives after the last response, and how many bytes of it are read.
    _late: LateInput | None = None
    _lateLimit = LATE_SIZE

    # The WebSocket that has replaced this protocol.
    _connection: Connection | None = None

    def __init__(
        self,
        context: ConnectionContext,
        roster: Roster,
        admittance: Admittance,
        content: Content,
    ) -> None:
        self.context = context
        self.content = content
        self._roster = roster
        self._admittance = admittance
        self._deadline = SingleDeadline(context.deadlines)

    # What the transport calls

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self.client = transport.getPeer()
        self._reader = RequestReader(
            self.context.settings,
            self._admittance,
            self.client,
            getattr(transport, "proxyHeader", None),
        )
        budget = self.context.incompleteMessages
        self._early = EarlyInput(budget, self._refuseWaiting)
        # Twisted's UNIX sockets also provide ITCPTransport, and old versions of them
        # fail at this.
        if ITCPTransport.providedBy(transport) and not IUNIXTransport.providedBy(
            transport
        ):
            transport.setTcpNoDelay(True)
        refusal = self._admittance.admit(self)
        if refusal is not None:
            self.refuse(refusal)
            if refusal.status == 429 and ISSLTransport.providedBy(transport):
                # Sending the answer takes a TLS handshake, which the limit is to save.
                transport.abortConnection()
        elif self._roster.draining is not None:
            draining = self._roster.draining
            self.finish(draining.refusal, draining.patience)
        elif not self._roster.starting:
            self.begin()

    def begin(self) -> None:
        """
        Expect a request from now on, or serve one that has arrived already.
        """
        if self._reader is None:
            return  # refused already
        if self._exchange is None:
            self._awaitHead()
        early = self._early.take()
        if early:
            self._read(early)

    def handshakeCompleted(self) -> None:
        """
        The TLS handshake is complete.
        """
        self._secured = True

    def dataReceived(self, data: bytes) -> None:
        if self._connection is not None:
            # The caller has kept this method since before the upgrade.
            self._connection.dataReceived(data)
            return
        exchange = self._exchange
        if self._reader is None:
            # Refused: discard what arrives until the peer closes, too.
            if self._late is None:
                self._late = LateInput(self.transport)
            self._late.take(
                len(data), self._deadline.isSet, self.abort, self._lateLimit
            )
            return
        handshake = self._handshake
        if (handshake is not None and handshake.isWaiting) or (
            self._early and self._roster.starting
        ):
            self._early.add(data)
            self._early.count()
        elif exchange is not None and exchange.busy:
            self._read(exchange.feed(data))
        else:
            self._read(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._connection is not None:
            self._connection.connectionLost(reason)
            return
        self._deadline.clear()
        why = explainTLS(reason)
        if why is not None and self._reader is not None:
            self._logTLS(why)
        self._reader = None
        self._early.stop()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            try:
                exchange.lose(reason)
            except BaseException:
                self._log.failure("a page failed when its connection was lost")
        handshake, self._handshake = self._handshake, None
        if handshake is not None:
            handshake.lose()
        self._admittance.removeOpening(self)

    # Clients that close their side for writing after a request

    def __conform__(self, interface: object) -> Any:
        """
        Adapt this to C{IHalfCloseableProtocol} while there is something to send to a
        client that has closed its side. Transports ask for the adapter. Without it, the
        connection is lost: before a request is complete, and after the upgrade.
        """
        if interface is not IHalfCloseableProtocol:
            return None
        exchange = self._exchange
        if self._refused or (exchange is not None and not exchange.awaitsBody):
            return self
        return None

    def readConnectionLost(self) -> None:
        """
        The client has closed its side for writing. It can also have gone away: this
        shows only when something is sent to it.
        """
        self._sentAll = True
        self._endWhenDone()

    def writeConnectionLost(self) -> None:
        """
        This side is closed for writing, by L{refuse}.
        """

    def _endWhenDone(self) -> None:
        """
        End the connection after the last response. If an application produces no output
        for a while, the client counts as gone.
        """
        exchange = self._exchange
        if self._refused or exchange is None:
            # A deadline is set already.
            transport: Any = self.transport
            transport.loseConnection()
            return
        self._deadline.clear()
        if exchange.busy:
            exchange.isStalled()
            self._awaitResponse()
        else:
            exchange.loseConnection()

    def _awaitResponse(self) -> None:
        # Also if open-timeout is off, because the client may be gone.
        seconds = self.context.settings.open_timeout or _SILENCE
        self._deadline.set(seconds, self._responseMissing)

    def _responseMissing(self) -> None:
        exchange = self._exchange
        if exchange is None or exchange.isStalled():
            self.abort()
        else:
            self._awaitResponse()

    # Requests

    def _read(self, data: bytes) -> None:
        """
        Serve one request after another, until the data is used up or a response has to
        be waited for.
        """
        self._readRequests(data)
        if self._sentAll and self._reader is not None:
            self._endWhenDone()

    def _readRequests(self, data: bytes) -> None:
        while data and self._reader is not None:
            reader = self._reader
            head = reader.feed(data)
            self.client = reader.client
            if head is None:
                # An empty line doesn't begin a request (RFC 9112 section 2.2).
                if reader.begun and not (self._deadline.isSet or self._roster.starting):
                    self._awaitHead()
                return
            self._deadline.clear()
            if isinstance(head, HandshakeRefused):
                self.refuse(head)
                return
            if self.context.verbose is not None:
                self._head = head
            unwelcome = self._admittance.refusalOf(self.client)
            if unwelcome is not None:
                self.refuse(unwelcome)
                return
            rest, reader.rest = reader.rest, b""
            if not self._mayBeServed(head, rest):
                return
            if wants_upgrade(head):
                if not self._sentAll:
                    self._receiveHandshake(reader, head, rest)
                return
            data = self._servePage(reader, head, rest)

    @property
    def hasBegunHead(self) -> bool:
        """
        Whether a part of the next request's head has arrived.
        """
        return self._reader is not None and self._reader.begun

    def _mayBeServed(self, head: RequestHead, rest: bytes) -> bool:
        """
        Return whether a request is served now. If the server is full, it is refused. If
        the applications are still starting, it waits. Health checks are always served.
        """
        starting = self._roster.starting
        if self.excess is None and not starting:
            return True
        path = splitTarget(head.target)[0]
        if self.content.isHealthCheck(path) and not wants_upgrade(head):
            return True
        self._releaseExchange()
        if self.excess is not None:
            self.refuse(self.excess)
        else:
            transport: Any = self.transport
            transport.pauseProducing()
            self._early.add(head.raw + rest)
            # Last, because this may refuse the request.
            self._early.count()
        return False

    def _servePage(
        self, reader: RequestReader, head: RequestHead, rest: bytes
    ) -> bytes:
        misdirected = reader.refusalOfHost(head, self.transport)
        if misdirected is not None:
            self.refuse(misdirected)
            return b""
        exchange = self._exchange
        if exchange is None:
            exchange = self._exchange = Exchange(self)
        if self._roster.draining is not None or self.excess is not None:
            # So that nobody keeps a slot that is meant for health checks.
            exchange.end()
        return exchange.serve(head, rest, reader.named)

    def requestDone(self, behind: bytes) -> None:
        """
        Continue after a response that took time.

        @param behind: the bytes behind its request.
        """
        self._read(behind)

    def requestFailed(self, failure: Failure) -> None:
        """
        End the connection after an exception of an application, or of the server, that
        leaves no response.
        """
        if self.context.logLimit.allows(self.client, "failed requests"):
            self._log.failure(
                "a request of {peer} failed", failure, peer=nameOfAddress(self.client)
            )
        exchange = self._exchange
        if exchange is None or not exchange.isStarted:
            self.refuse(HandshakeRefused(500, "the application failed"))
        else:
            self.abort()

    def _releaseExchange(self) -> None:
        """
        Take the transport back from the exchange.
        """
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.release()

    # Handshakes

    def _receiveHandshake(
        self, reader: RequestReader, head: RequestHead, rest: bytes
    ) -> None:
        self._releaseExchange()
        if self.context.verbose is not None:
            self.context.verbose.requested(self.client, head)
        if reader.named.address is not None:
            refusal = self._admittance.admitClient(self)
            if refusal is not None:
                self.refuse(refusal)
                return
        handshake = receiveHandshake(
            self,
            head,
            self.transport,
            reader.named,
            context=self.context,
            admittance=self._admittance,
            mounts=self.content.mounts,
        )
        if isinstance(handshake, HandshakeRefused):
            self.refuse(handshake)
            return
        misdirected = reader.refusalOfHost(head, self.transport)
        if misdirected is not None:
            self.refuse(misdirected)
            return
        self._early.add(rest)
        self._handshake = handshake
        handshake.ask()

    def changeAccount(self, account: Account) -> None:
        """
        Count the connection on another account.
        """
        self.account = account

    def waitForAnswer(self) -> None:
        """
        Pause reading until the application has answered, or takes too long.
        """
        transport: Any = self.transport
        transport.pauseProducing()
        seconds = self.context.settings.open_timeout
        self._deadline.set(seconds, self._answerTimedOut)
        self._early.count()

    def answerReceived(self) -> None:
        """
        Read again: the application has answered.
        """
        self._deadline.clear()
        transport: Any = self.transport
        transport.resumeProducing()

    def _answerTimedOut(self) -> None:
        if self._handshake is not None:
            self._handshake.refuseLate()

    def accept(
        self, application: IWebSocketProtocol | None, handshake: PendingHandshake
    ) -> None:
        """
        Open the WebSocket connection.

        @param application: the application's protocol; C{None} if it refuses.
        """
        if self._reader is None:
            return  # lost or refused meanwhile
        mount, request = handshake.mount, handshake.request
        if application is None:
            refusal = HandshakeRefused(403, "the application refuses the connection")
            self.refuse(refusal, mount.name)
            return
        connection, switch = self._connect(application, handshake)
        context = self.context
        if context.verbose is not None:
            context.verbose.answered(self.client, switch)
        request.compact()
        early = self._early.take()
        self._roster.open(self, connection, mount.name, handshake.session)
        if context.settings.log_connections:
            logAccepted(context.logLimit, self.client, mount.name, request.path)
        transport: Any = self.transport
        self._handOver(connection)
        try:
            connection.open(switch, early)
        except BaseException:
            # The connection is counted already: only its loss releases the slot.
            self._log.failure("a connection could not be opened")
            transport.abortConnection()

    def _connect(
        self, application: IWebSocketProtocol, handshake: PendingHandshake
    ) -> tuple[Connection, bytes]:
        """
        Make the connection.

        @return: the connection, and the response that opens it.
        """
        context, mount, request = self.context, handshake.mount, handshake.request
        subprotocol = request.subprotocol = chooseSubprotocol(request, mount)
        if subprotocol is None and request.subprotocols:
            offered = len(request.subprotocols)
            logUnspoken(context.logLimit, self.client, offered, mount)
        agreement = None
        if mount.compression and context.deflatePolicy is not None:
            agreement = context.deflatePolicy.negotiate(handshake.upgrade.extensions)
        verbose = context.verbose
        isTraced = verbose is not None and verbose.covers(self.client)
        connection = (TracedConnection if isTraced else Connection)(
            request,
            self.transport,
            application,
            mount,
            context,
            account=self.account,
            agreement=agreement,
            whenLost=self._admittance.remove,
        )
        switch = encode_switch(
            handshake.upgrade.key,
            subprotocol,
            agreement.header() if agreement is not None else None,
            request.takeResponseHeaders(),
        )
        return connection, switch

    def _handOver(self, connection: Connection) -> None:
        """
        Have the transport call the connection directly, and release everything that
        only the HTTP phase needs.
        """
        transport: Any = self.transport
        factory = self.factory
        self.__dict__.clear()
        # A small dictionary has room for five entries.
        self.connected = 1
        self.factory = factory
        self.transport = transport
        self._connection = connection
        if isinstance(transport, DirectTransport):
            transport.upgrade(connection)
        else:
            calls: Any = self
            calls.dataReceived = connection.dataReceived

    def refuseWith(self, failure: Failure, mount: Mount) -> None:
        """
        Refuse a handshake because the application refuses it, or has failed.
        """
        if isinstance(failure.value, HandshakeRefused):
            self.refuse(failure.value, mount.name)
        else:
            if self.context.logLimit.allows(self.client, "failed handshakes"):
                self._log.failure(
                    "{application} failed in the handshake of {peer}",
                    failure,
                    application=mount.name,
                    peer=nameOfAddress(self.client),
                )
            refusal = HandshakeRefused(500, "the application failed")
            self.refuse(refusal, mount.name)
        # The frames of its traceback refer to the failure again.
        failure.cleanFailure()

    # Ends

    def refuse(self, refusal: HandshakeRefused, name: str = "") -> None:
        """
        Answer with an error and end the connection.

        @param name: the name of the application that refuses; empty if it isn't known.
        """
        reader = self._reader
        if reader is None:
            return
        logRefusal(self._log, self.context.logLimit, self.client, refusal, name)
        self._admittance.countRefused(self.client, name, refusal)
        # A response to HEAD has no body (RFC 9110 section 9.3.2), even if the head of
        # the request is incomplete.
        answer = encode_refusal(refusal, reader.method)
        if self.context.verbose is not None:
            head = None if reader.begun else self._head
            self.context.verbose.refused(self.client, head, answer)
        self.answerLast(answer, LATE_LARGE_SIZE if refusal.status == 413 else LATE_SIZE)

    def _refuseWaiting(self, refusal: HandshakeRefused) -> None:
        """
        Refuse a request that may be waiting for an application.
        """
        handshake = self._handshake
        if handshake is not None and handshake.isWaiting:
            handshake.refuse(refusal)
        else:
            self.refuse(refusal)

    def answerLast(self, data: bytes, lateLimit: int = LATE_LARGE_SIZE) -> None:
        """
        Send a response and end the connection, whatever the client still sends.

        @param lateLimit: the bytes that are read and discarded after it, so that the
            client can see the response. If L{_lateLimit} is larger, it stays.
        """
        self._reader = None
        self._refused = True
        self._lateLimit = max(self._lateLimit, lateLimit)
        self._early.take()
        if self._handshake is not None:
            self._handshake.logOut()
        self._roster.spare.leave(self)
        if self._exchange is not None:
            self._exchange.release()
        transport: Any = self.transport
        transport.write(data)
        transport.resumeProducing()
        if not self._roster.mayLinger(self):
            self._endIdle()
            return
        endWriting(transport)
        self._deadline.set(self.context.settings.close_timeout, self.abort)

    def _endIdle(self) -> None:
        """
        End a connection without a current request. A client that has yet to read
        earlier output has C{close-timeout} for it.
        """
        self._reader = None
        endIdle(self.transport)
        self._deadline.set(self.context.settings.close_timeout, self.abort)

    def finish(self, refusal: HandshakeRefused, patience: float) -> None:
        """
        End the connection because the server stops. A response that is being made is
        finished first. A request that is incomplete, or that waits for an application,
        may still be answered within the given time.

        @param refusal: answers a request that takes longer.
        @param patience: the time in seconds; 0 to refuse at once. An incomplete body
            always has L{_REST}.
        """
        exchange = self._exchange
        reader = self._reader
        if reader is None:
            return  # refused already
        if exchange is not None and exchange.busy:
            exchange.end()
            if exchange.awaitsBody:
                seconds = max(patience, _REST)
                self._deadline.set(seconds, lambda: self._bodyMissing(refusal))
        elif exchange is not None and not reader.begun:
            self._endIdle()
        elif not patience and not reader.begun and speaksTLS(self.transport):
            # Browsers keep such connections for later, and don't close them when they
            # get an answer.
            self._endIdle()
        elif not patience:
            self._refuseWaiting(refusal)
        elif self._handshake is None or not self._handshake.isWaiting:
            self._deadline.set(patience, lambda: self.finish(refusal, 0))

    def _bodyMissing(self, refusal: HandshakeRefused) -> None:
        if self._exchange is not None and self._exchange.awaitsBody:
            # A large part of the body can be on its way, and the client sees the
            # response only if this is read.
            self._lateLimit = LATE_LARGE_SIZE
            self.refuse(refusal)

    def _logTLS(self, reason: str, setting: str | None = None) -> None:
        """
        Log why TLS has failed. The peer can't be told in HTTP.
        """
        if self.context.logLimit.allows(self.client, "failed in TLS", setting):
            self._log.info(
                "{peer} failed in TLS: {reason}",
                peer=nameOfAddress(self.client),
                reason=reason,
                setting=setting,
            )

    def abort(self) -> None:
        """
        End the connection at once.
        """
        transport: Any = self.transport
        transport.abortConnection()

    def giveWay(self) -> None:
        """
        End a connection over the server's limit, because another one needs its slot.
        """
        if self._exchange is None and self.excess is not None:
            self.refuse(self.excess)
            if not speaksTLS(self.transport) or self._secured:
                return
        # The response is sent, or TLS hasn't begun.
        self.abort()

    def _awaitHead(self) -> None:
        """
        Set the deadline for the head of a request. It is shorter if the server is full.
        """
        seconds = self.context.settings.open_timeout
        if self.excess is not None:
            seconds = min(seconds or PATIENCE, PATIENCE)
        self._deadline.set(seconds, self._headTimedOut)

    def _headTimedOut(self) -> None:
        if self.excess is not None:
            self.giveWay()
            return
        seconds = self.context.settings.open_timeout
        if speaksTLS(self.transport) and not self._secured:
            self._reader = None
            self._logTLS(
                f"no complete handshake in {seconds:g} seconds", "open-timeout"
            )
            self.abort()
            return
        reason = f"no complete request in {seconds:g} seconds"
        self.refuse(HandshakeRefused(408, reason, setting="open-timeout"))
