"""
The HTTP phase of each connection, until a handshake succeeds or is refused.

L{wsplug.codec.HeadParser} parses the head of each request once. The L{Exchange} answers
plain requests, and the next request is parsed here again. When a handshake is accepted,
the L{Connection} replaces this protocol as the receiver of the transport's calls.
"""

from __future__ import annotations

from collections.abc import Callable
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

from wsplug.codec import (
    HeadParser,
    RequestHead,
    check_upgrade,
    encode_refusal,
    encode_switch,
    wants_upgrade,
)
from wsplug.codec.proxyheader import ProxyHeader
from wsplug.errors import HandshakeRefused
from wsplug.guard.admission import Account
from wsplug.guard.proxies import UNNAMED
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
from wsplug.server.deadlines import Deadline
from wsplug.server.disconnects import explainTLS, speaksTLS
from wsplug.server.handshakes import PendingHandshake
from wsplug.server.http.exchange import Exchange
from wsplug.server.mounts import ANY, Mount, splitPath
from wsplug.server.request import HandshakeRequest, splitTarget
from wsplug.server.roster import Roster
from wsplug.server.spare import PATIENCE
from wsplug.server.tracing import TracedConnection
from wsplug.transport.direct import DirectTransport

__all__ = ["WebSocketServerProtocol"]

_SILENCE: Final = 10.0
"""
Seconds for which an application may have nothing to say to a client that has sent all,
where C{open-timeout} is off.
"""


_OWN: Final = "wsplug."
"""
How the names of wsplug's own subprotocols begin. To take one means to speak it, so an
application that takes any has to name these.
"""


_REST: Final = 1.0
"""
Seconds that the rest of a body has to come in, once the server stops.
"""


@implementer(IHandshakeListener)
class WebSocketServerProtocol(Protocol):
    """
    One connection, up to its 101 or its refusal.

    @ivar client: whom it is from: the transport's peer or, once a head of a trusted
        proxy's is read, whom that names. The next head is judged for itself.
    @ivar excess: what answers any request but a health check, where the server is full.
    """

    _log = Logger()

    client: IAddress
    _peer: IAddress

    # What a trusted proxy has said in front of the connection. Where that is nothing of
    # the client, the proxy's address is all that is known of it, and what a request
    # says of others is the client's invention.
    _header: ProxyHeader | None = None

    # What there is for as long as the handshake isn't over: see _handOver.
    _parser: HeadParser | None = None
    _handshake: PendingHandshake | None = None
    excess: HandshakeRefused | None = None
    _method = b""
    # The whole request, for the verbose log.
    _head: RequestHead | None = None
    _channel: Exchange | None = None
    _refused = False
    # Whether the client has closed its side for writing.
    _sentAll = False

    # Whether TLS, where the transport speaks it, has begun.
    _secured = False
    _late: LateInput | None = None
    _lateLimit = LATE_SIZE

    # What has taken over.
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
        settings = context.settings
        self._parser = HeadParser(settings.max_head_size, settings.max_headers)
        # What the connection is on, for as long as this is what serves it.
        self.account: Account | None = None
        self._deadline: Deadline | None = None
        # What has come while the application thinks about a handshake, or while all of
        # them start.
        self._early = b""
        self._named = UNNAMED

    # What the transport calls

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self.client = self._peer = transport.getPeer()
        self._header = getattr(transport, "proxyHeader", None)
        # Twisted's UNIX sockets say that they are TCP, too; old ones fail at this then.
        if ITCPTransport.providedBy(transport) and not IUNIXTransport.providedBy(
            transport
        ):
            transport.setTcpNoDelay(True)
        refusal = self._admittance.admit(self)
        if refusal is not None:
            self.refuse(refusal)
            if refusal.status == 429 and ISSLTransport.providedBy(transport):
                # The answer would cost what the limit is there to save: a handshake.
                transport.abortConnection()
        elif self._roster.draining is not None:
            draining = self._roster.draining
            self.finish(draining.refusal, draining.patience)
        elif not self._roster.starting:
            self.begin()

    def begin(self) -> None:
        """
        Expect a request from now on, or serve the one that has come already.
        """
        if self._parser is None:
            return  # refused already
        if self._channel is None:
            self._awaitHead()
        early, self._early = self._early, b""
        if early:
            self._read(early)

    def handshakeCompleted(self) -> None:
        """
        TLS has begun.
        """
        self._secured = True

    def dataReceived(self, data: bytes) -> None:
        if self._connection is not None:
            # By a method that somebody has taken before the connection was there.
            self._connection.dataReceived(data)
            return
        channel = self._channel
        if self._parser is None:
            # Refused: thrown away until the peer has closed as well.
            if self._late is None:
                self._late = LateInput(self.transport)
            self._late.take(
                len(data), self._deadline is not None, self.abort, self._lateLimit
            )
            return
        handshake = self._handshake
        if (handshake is not None and handshake.isWaiting) or (
            self._early and self._roster.starting
        ):
            self._early += data
        elif channel is not None and channel.busy:
            self._read(channel.feed(data))
        else:
            self._read(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._connection is not None:
            self._connection.connectionLost(reason)
            return
        self._clearDeadline()
        why = explainTLS(reason)
        if why is not None and self._parser is not None:
            self._logTLS(why)
        self._parser = None
        channel, self._channel = self._channel, None
        if channel is not None:
            try:
                channel.lose(reason)
            except BaseException:
                self._log.failure("a page failed at its connection's end")
        handshake, self._handshake = self._handshake, None
        if handshake is not None:
            handshake.lose()
        self._admittance.removeOpening(self)

    # Clients that close their side for writing once they have asked for something

    def __conform__(self, interface: object) -> Any:
        """
        Be adapted to C{IHalfCloseableProtocol}, as transports ask for it, for as long
        as there is something to send to a client that has sent all. Before its request
        is whole, and once there is a WebSocket, it is lost.
        """
        if interface is not IHalfCloseableProtocol:
            return None
        channel = self._channel
        if self._refused or (channel is not None and not channel.awaitsBody):
            return self
        return None

    def readConnectionLost(self) -> None:
        """
        The client has sent all. It may also have gone away: nobody can tell as long as
        nothing is sent to it.
        """
        self._sentAll = True
        self._endWhenDone()

    def writeConnectionLost(self) -> None:
        """
        This side is closed for writing, as L{refuse} wants it.
        """

    def _endWhenDone(self) -> None:
        """
        End the connection with the last response. An application that has nothing to
        send for a while finds the client gone.
        """
        channel = self._channel
        if self._refused or channel is None:
            # There is a deadline for that already.
            transport: Any = self.transport
            transport.loseConnection()
            return
        self._clearDeadline()
        if channel.busy:
            channel.isStalled()
            self._awaitResponse()
        else:
            channel.loseConnection()

    def _awaitResponse(self) -> None:
        # Also where heads have any time: the client may be gone.
        seconds = self.context.settings.open_timeout or _SILENCE
        self._setDeadline(self._responseMissing, seconds)

    def _responseMissing(self) -> None:
        self._deadline = None
        channel = self._channel
        if channel is None or channel.isStalled():
            self.abort()
        else:
            self._awaitResponse()

    # Requests

    def _read(self, data: bytes) -> None:
        """
        Read request after request, until there is none left or one has to be waited
        for.
        """
        self._readRequests(data)
        if self._sentAll and self._parser is not None:
            self._endWhenDone()

    def _readRequests(self, data: bytes) -> None:
        while data and self._parser is not None:
            head = self._parser.feed(data)
            self._identify(head)
            if head is None:
                # An empty line begins no request (RFC 9112 section 2.2).
                begun = self._parser.begun
                if begun and self._deadline is None and not self._roster.starting:
                    self._awaitHead()
                return
            self._clearDeadline()
            if isinstance(head, HandshakeRefused):
                self.refuse(head)
                return
            self._method = head.method
            if self.context.verbose is not None:
                self._head = head
            unwelcome = self._admittance.refusalOf(self.client)
            if unwelcome is not None:
                self.refuse(unwelcome)
                return
            rest, self._parser.rest = self._parser.rest, b""
            if not self._mayBeServed(head, rest):
                return
            if wants_upgrade(head):
                if self._sentAll:
                    return  # it is lost before it begins
                self._receiveHandshake(head, rest)
                return
            data = self._servePage(head, rest)

    def _identify(self, head: RequestHead | HandshakeRefused | None) -> None:
        """
        Find out whom a request is from. As long as there is no whole head, it may be
        anybody's whom the peer speaks for.
        """
        header = self._header
        self._named = (
            self._admittance.proxies.clientOf(self._peer, head)
            if isinstance(head, RequestHead) and (header is None or header.namesClient)
            else UNNAMED
        )
        self.client = self._named.address or self._peer

    def _judgeHost(self, head: RequestHead) -> HandshakeRefused | None:
        """
        Give the refusal that a page gets whose host only leads here (DNS rebinding).
        """
        proxied = self._header is not None or self._admittance.proxies.trusts(
            self._peer
        )
        return self._admittance.refusalOfHost(head, self.transport, proxied)

    def _mayBeServed(self, head: RequestHead, rest: bytes) -> bool:
        """
        Say whether a request is for now. Where the server is full, it is refused; while
        the applications start, it waits. Only health checks are served always.
        """
        starting = self._roster.starting
        if self.excess is None and not starting:
            return True
        path = splitTarget(head.target)[0]
        if self.content.isHealthCheck(path) and not wants_upgrade(head):
            return True
        self._releaseChannel()
        if self.excess is not None:
            self.refuse(self.excess)
        else:
            self._early = head.raw + rest
            transport: Any = self.transport
            transport.pauseProducing()
        return False

    def _servePage(self, head: RequestHead, rest: bytes) -> bytes:
        misdirected = self._judgeHost(head)
        if misdirected is not None:
            self.refuse(misdirected)
            return b""
        exchange = self._channel
        if exchange is None:
            exchange = self._channel = Exchange(self)
        if self._roster.draining is not None or self.excess is not None:
            exchange.end()  # nobody keeps a slot that is there for a health check
        return exchange.serve(head, rest, self._named)

    @property
    def hasBegunHead(self) -> bool:
        """
        Whether a part of the next request's head has arrived.
        """
        return self._parser is not None and self._parser.begun

    def requestDone(self, behind: bytes) -> None:
        """
        Go on with what has come behind a request that something was waited for.
        """
        self._read(behind)

    def requestFailed(self, failure: Failure) -> None:
        """
        End the connection for a request that an application failed at, or the server
        itself, in a way that leaves no answer.
        """
        if self.context.logLimit.allows(self.client, "failed requests"):
            self._log.failure(
                "a request of {peer} failed", failure, peer=nameOfAddress(self.client)
            )
        channel = self._channel
        if channel is None or not channel.isStarted:
            self.refuse(HandshakeRefused(500, "the application failed"))
        else:
            self.abort()

    def _releaseChannel(self) -> None:
        """
        Have the transport be this protocol's alone again.
        """
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.release()

    # Handshakes

    def _receiveHandshake(self, head: RequestHead, rest: bytes) -> None:
        self._releaseChannel()
        if self.context.verbose is not None:
            self.context.verbose.requested(self.client, head)
        if self._named.address is not None:
            refusal = self._admittance.admitClient(self)
            if refusal is not None:
                self.refuse(refusal)
                return
        upgrade = check_upgrade(head)
        if isinstance(upgrade, HandshakeRefused):
            self.refuse(upgrade)
            return
        path = splitTarget(head.target)[0]
        segments = splitPath(path)
        found = self.content.mounts.find(segments)
        if found is None or not path.startswith(b"/"):
            self.refuse(HandshakeRefused(404, "no application is at this path"))
            return
        mount, depth = found
        if not self._admittance.allowsOrigin(head):
            self.refuse(
                HandshakeRefused(
                    403, "pages from this origin may not connect", setting="origin"
                )
            )
            return
        misdirected = self._judgeHost(head)
        if misdirected is not None:
            self.refuse(misdirected)
            return
        request = HandshakeRequest(
            head,
            self.transport,
            path,
            segments,
            depth,
            upgrade.subprotocols,
            self._named,
        )
        self._early = rest
        self._handshake = PendingHandshake(
            self, self.context, self._admittance, mount, request, upgrade
        )
        self._handshake.ask()

    def changeAccount(self, account: Account) -> None:
        """
        Be on another account.
        """
        self.account = account

    def waitForAnswer(self) -> None:
        """
        Read nothing more until the application has answered, or is too late.
        """
        transport: Any = self.transport
        transport.pauseProducing()
        self._setDeadline(self._answerTimedOut)

    def answerReceived(self) -> None:
        """
        Read again: the application has answered.
        """
        self._clearDeadline()
        transport: Any = self.transport
        transport.resumeProducing()

    def accept(
        self, application: IWebSocketProtocol | None, handshake: PendingHandshake
    ) -> None:
        """
        Open the connection.

        @param application: the application's protocol; C{None} if it refuses.
        """
        if self._parser is None:
            return  # gone meanwhile
        mount, request = handshake.mount, handshake.request
        if application is None:
            refusal = HandshakeRefused(403, "the application refuses the connection")
            self.refuse(refusal, mount.name)
            return
        context = self.context
        transport: Any = self.transport
        subprotocol = request.subprotocol = _chooseSubprotocol(request, mount)
        if subprotocol is None and request.subprotocols:
            self._logUnspoken(len(request.subprotocols), mount)
        agreement = None
        if mount.compression and context.deflatePolicy is not None:
            agreement = context.deflatePolicy.negotiate(handshake.upgrade.extensions)
        verbose = context.verbose
        isTraced = verbose is not None and verbose.covers(self.client)
        connection = (TracedConnection if isTraced else Connection)(
            request,
            transport,
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
        if verbose is not None:
            verbose.answered(self.client, switch)
        request.compact()
        early = self._early
        self._roster.open(self, connection, mount.name, handshake.session)
        if context.settings.log_connections:
            logAccepted(context.logLimit, self.client, mount.name, request.path)
        self._handOver(connection)
        try:
            connection.open(switch, early)
        except BaseException:
            # It is counted: only its loss gives the slot back.
            self._log.failure("a connection could not be opened")
            transport.abortConnection()

    def _handOver(self, connection: Connection) -> None:
        """
        Have the transport call the connection without a detour, and free what the
        handshake took up.
        """
        transport: Any = self.transport
        factory = self.factory
        self.__dict__.clear()
        # Five are as many as a small dictionary has room for.
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
        Refuse a handshake as the application wants it, or because it failed.
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
        # Its traceback's frames refer to it again.
        failure.cleanFailure()

    # Ends

    def refuse(self, refusal: HandshakeRefused, name: str = "") -> None:
        """
        Answer with an error and end the connection.

        @param name: of the application that refuses; empty where it isn't known.
        """
        parser = self._parser
        if parser is None:
            return
        logRefusal(self._log, self.context.logLimit, self.client, refusal, name)
        self._admittance.countRefused(self.client, name, refusal)
        # The response's form depends on the request that it is for, which may not have
        # come whole (RFC 9110 section 9.3.2).
        method = parser.method if parser.begun else self._method
        answer = encode_refusal(refusal, method)
        if self.context.verbose is not None:
            head = None if parser.begun else self._head
            self.context.verbose.refused(self.client, head, answer)
        self.answerLast(answer, LATE_LARGE_SIZE if refusal.status == 413 else LATE_SIZE)

    def answerLast(self, data: bytes, lateLimit: int = LATE_LARGE_SIZE) -> None:
        """
        Send an answer, and end the connection, whatever the client still sends.

        @param lateLimit: bytes of that which are read and thrown away, so that it can
            see why. A larger L{_lateLimit} stays.
        """
        self._parser = None
        self._refused = True
        self._lateLimit = max(self._lateLimit, lateLimit)
        self._early = b""
        if self._handshake is not None:
            self._handshake.logOut()
        self._roster.spare.leave(self)
        if self._channel is not None:
            self._channel.release()
        transport: Any = self.transport
        transport.write(data)
        transport.resumeProducing()
        self._clearDeadline()
        if not self._roster.mayLinger(self):
            self._endIdle()
            return
        endWriting(transport)
        self._setDeadline(
            transport.abortConnection, self.context.settings.close_timeout
        )

    def _endIdle(self) -> None:
        """
        End a connection on which nothing is under way; a client that doesn't read what
        was sent before has the time of a close for it.
        """
        self._parser = None
        self._clearDeadline()
        transport: Any = self.transport
        endIdle(transport)
        self._setDeadline(
            transport.abortConnection, self.context.settings.close_timeout
        )

    def finish(self, refusal: HandshakeRefused, patience: float) -> None:
        """
        The server stops. A page that is being made is finished first; a request that is
        still to come, or to be answered by an application, is so or gets the refusal.

        @param patience: seconds that a request has to come in; with 0 it is refused,
            unless it is its body that comes: that has L{_REST}.
        """
        channel = self._channel
        parser = self._parser
        if parser is None:
            return  # refused already
        if channel is not None and channel.busy:
            channel.end()
            if channel.awaitsBody:
                self._clearDeadline()
                self._setDeadline(
                    lambda: self._bodyMissing(refusal), max(patience, _REST)
                )
        elif channel is not None and not parser.begun:
            self._endIdle()
        elif not patience and not parser.begun and speaksTLS(self.transport):
            # One that a browser keeps for later would not close when it is told.
            self._endIdle()
        elif self._handshake is not None and self._handshake.isWaiting:
            if not patience:
                self._handshake.refuse(refusal)
        elif not patience:
            self.refuse(refusal)
        else:
            self._clearDeadline()
            self._setDeadline(lambda: self._requestMissing(refusal), patience)

    def _logTLS(self, reason: str, setting: str | None = None) -> None:
        """
        Log why TLS has come to nothing; there is no way to tell the peer in HTTP.
        """
        if self.context.logLimit.allows(self.client, "failed in TLS", setting):
            self._log.info(
                "{peer} failed in TLS: {reason}",
                peer=nameOfAddress(self.client),
                reason=reason,
                setting=setting,
            )

    def _logUnspoken(self, offered: int, mount: Mount) -> None:
        """
        Log that a client gets none of the subprotocols that it offers. It doesn't say
        which, because some clients put a token in their place.
        """
        if not self.context.logLimit.allows(self.client, "took no subprotocol"):
            return
        self._log.info(
            "{peer} {application}: no subprotocol agreed, but the client offers "
            "{offered}: the application takes {spoken}, and browsers close such a "
            "connection with 1006 (subprotocols= of --app sets what it takes)",
            peer=nameOfAddress(self.client),
            application=mount.name,
            offered=offered,
            spoken=", ".join(mount.spoken) or "none",
        )

    def _requestMissing(self, refusal: HandshakeRefused) -> None:
        self._deadline = None
        self.finish(refusal, 0)

    def _bodyMissing(self, refusal: HandshakeRefused) -> None:
        self._deadline = None
        if self._channel is not None and self._channel.awaitsBody:
            # Much of the body may be on its way, and the answer is to get through.
            self._lateLimit = LATE_LARGE_SIZE
            self.refuse(refusal)

    def abort(self) -> None:
        """
        End the connection at once.
        """
        transport: Any = self.transport
        transport.abortConnection()

    def giveWay(self) -> None:
        """
        End a connection over the server's limit, whose slot another one needs.
        """
        if self._channel is None and self.excess is not None:
            self.refuse(self.excess)
            if not speaksTLS(self.transport) or self._secured:
                return
        # Its answer is out, or TLS hasn't begun.
        self.abort()

    def _awaitHead(self) -> None:
        """
        Give a request's head its time; less of it where the server is full.
        """
        seconds = self.context.settings.open_timeout
        if self.excess is not None:
            seconds = min(seconds or PATIENCE, PATIENCE)
        self._setDeadline(self._headTimedOut, seconds)

    def _headTimedOut(self) -> None:
        self._deadline = None
        if self.excess is not None:
            self.giveWay()
            return
        seconds = self.context.settings.open_timeout
        transport: Any = self.transport
        if speaksTLS(transport) and not self._secured:
            self._parser = None
            self._logTLS(
                f"no complete handshake in {seconds:g} seconds", "open-timeout"
            )
            transport.abortConnection()
            return
        self.refuse(
            HandshakeRefused(
                408,
                f"no complete request in {seconds:g} seconds",
                setting="open-timeout",
            )
        )

    def _answerTimedOut(self) -> None:
        self._deadline = None
        if self._handshake is not None:
            self._handshake.refuseLate()

    def _setDeadline(
        self, call: Callable[[], object], seconds: float | None = None
    ) -> None:
        context = self.context
        if seconds is None:
            seconds = context.settings.open_timeout
        if seconds:
            self._deadline = context.deadlines.set(seconds, call)

    def _clearDeadline(self) -> None:
        self.context.deadlines.clear(self._deadline)
        self._deadline = None


def _chooseSubprotocol(request: HandshakeRequest, mount: Mount) -> str | None:
    """
    Take the application's choice, or the client's most preferred one that the
    application speaks (RFC 6455 section 4.2.2).
    """
    if request.subprotocol is not None or not request.subprotocols:
        return request.subprotocol
    spoken = mount.spoken
    takesAny = ANY in spoken
    for name in request.subprotocols:
        if name in spoken or (takesAny and not name.startswith(_OWN)):
            return name
    return None
