"""
The server, its network, and the clients.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from twisted.cred.portal import Portal
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IHandshakeListener,
    INegotiated,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug.auth.authenticator import Authenticator, Login
from wsplug.auth.realm import Realm
from wsplug.broker import MemoryBroker
from wsplug.codec import (
    FIN,
    OP_BINARY,
    OP_CLOSE,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    RSV1,
    DeflateAgreement,
    Deflater,
    Inflater,
    MessageReceiver,
    encode_frame,
    pack_close,
    parse_extensions,
)
from wsplug.errors import HandshakeRefused, ProtocolViolation
from wsplug.guard.origins import SAME_HOST
from wsplug.guard.proxies import ProxySettings
from wsplug.interfaces import IBroker, IWebSocketApplicationPlugin
from wsplug.options import parseOptions
from wsplug.plugins import Services
from wsplug.server import Mount, Settings, WebSocketFactory
from wsplug.server.proxyprotocol import ProxiedFactory
from wsplug.web.site import makeSite

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["MemoryClient", "MemoryResponse", "MemoryServer", "MemoryTransport"]

_MASK: Final = b"\x37\xfa\x21\x3d"
"""
Any mask will do where nobody listens in.
"""

_KEY: Final = b"dGhlIHNhbXBsZSBub25jZQ=="

_HOST: Final = "server.example:9000"

CLIENT: Final = "192.0.2.1"
"""
The address of clients that are given no other.
"""


def _addressOf(address: str, port: int) -> IPv4Address | IPv6Address:
    if ":" in address:
        return IPv6Address("TCP", address, port)
    return IPv4Address("TCP", address, port)


@implementer(ITCPTransport, IPushProducer)
class MemoryTransport:
    """
    The server's end of a connection that goes nowhere.

    @ivar bufferSize: bytes that may wait here before the producer is paused, as in
        Twisted's own transports.
    @ivar reading: whether the protocol wants to get data.
    @ivar aborted: whether the protocol ended it with C{abortConnection}.
    @ivar protocol: the one that gets what comes.
    """

    bufferSize = 64 * 1024

    def __init__(
        self, peer: IPv4Address | IPv6Address, host: IPv4Address | IPv6Address
    ) -> None:
        self.reading = True
        self.aborted = False
        self.disconnecting = False
        self._peer = peer
        self._host = host
        self.protocol: Any = None
        self._out = bytearray()
        self._in = bytearray()
        self._eof = False
        self._producer: IPushProducer | None = None
        self._producerPaused = False
        self._halfClosed = False
        self._lost = False

    # What the protocol calls

    def write(self, data: bytes) -> None:
        if self._lost or self.disconnecting or self._halfClosed:
            return
        self._out += data
        if len(self._out) > self.bufferSize and not self._producerPaused:
            self._producerPaused = True
            if self._producer is not None:
                self._producer.pauseProducing()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.write(b"".join(iovec))

    def loseConnection(self) -> None:
        self.disconnecting = True

    def loseWriteConnection(self) -> None:
        self._halfClosed = True

    def abortConnection(self) -> None:
        self.aborted = True
        self._out.clear()
        self._lose(Failure(ConnectionAborted()))

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None
        self._producerPaused = False

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True

    def stopProducing(self) -> None:
        self.loseConnection()

    def getPeer(self) -> IPv4Address | IPv6Address:
        return self._peer

    def getHost(self) -> IPv4Address | IPv6Address:
        return self._host

    def getTcpNoDelay(self) -> bool:
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def getTcpKeepAlive(self) -> bool:
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        pass

    # What the client's end does

    def attach(self, protocol: Any) -> None:
        """
        Connect a protocol.
        """
        self.protocol = protocol
        protocol.makeConnection(self)

    def take(self) -> bytes:
        """
        Read all that the protocol has written.
        """
        data = bytes(self._out)
        self._out.clear()
        if self._producerPaused:
            self._producerPaused = False
            if self._producer is not None:
                self._producer.resumeProducing()
        return data

    def put(self, data: bytes) -> None:
        """
        Send to the protocol; what it doesn't want to read yet is kept.
        """
        self._in += data

    def shut(self) -> None:
        """
        Close the client's end: the protocol gets what was put, then the news.
        """
        self._eof = True

    def step(self) -> bool:
        """
        Move what can move.

        @return: whether anything did.
        """
        if self._lost:
            return False
        if self.disconnecting and not self._out:
            self._lose(Failure(ConnectionDone()))
            return True
        if self._in and self.reading:
            data = bytes(self._in)
            self._in.clear()
            self.protocol.dataReceived(data)
            return True
        if self._eof and not self._in:
            self._lose(Failure(ConnectionDone()))
            return True
        return False

    @property
    def lost(self) -> bool:
        """
        Whether the connection is gone.
        """
        return self._lost

    @property
    def closedForWriting(self) -> bool:
        """
        Whether the client, having read all, would read the end.
        """
        return self._lost or (self._halfClosed and not self._out)

    def _lose(self, reason: Failure) -> None:
        if self._lost:
            return
        self._lost = True
        producer, self._producer = self._producer, None
        protocol, self.protocol = self.protocol, None
        if producer is not None:
            producer.stopProducing()
        protocol.connectionLost(reason)


@implementer(INegotiated)
class _TLSTransport(MemoryTransport):
    """
    The server's end of a connection that is encrypted, as far as anybody can tell, and
    whose client has shown a certificate.
    """

    negotiatedProtocol = None

    def __init__(
        self,
        peer: IPv4Address | IPv6Address,
        host: IPv4Address | IPv6Address,
        certificate: Certificate,
    ) -> None:
        super().__init__(peer, host)
        self._certificate = certificate

    def getPeerCertificate(self) -> object:
        from OpenSSL.crypto import X509

        return X509.from_cryptography(self._certificate)

    def attach(self, protocol: Any) -> None:
        super().attach(protocol)
        if IHandshakeListener.providedBy(protocol):
            protocol.handshakeCompleted()


@dataclass(frozen=True)
class MemoryResponse:
    """
    What a plain HTTP request gets.

    @ivar status: the HTTP status.
    @ivar headers: by lower-case name; what came several times has commas between.
    @ivar body: without what it may have been wrapped in to be sent.
    """

    status: int
    headers: dict[str, str]
    body: bytes


def _parseResponse(data: bytes, method: str) -> MemoryResponse:
    """
    Take a response apart.

    @param method: the request's, which says whether there is a body.
    @raise AssertionError: it isn't whole.
    """
    source: Any = _Source(data)
    response = HTTPResponse(source, method=method)
    try:
        response.begin()
        body = response.read()
    except HTTPException:
        raise AssertionError(f"no whole response has come: {data!r}") from None
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return MemoryResponse(response.status, headers, body)


class _Source:
    """
    What C{HTTPResponse} takes for a socket.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> BytesIO:
        return BytesIO(self._data)


class _Given(Authenticator):
    """
    Asks nobody anything: who it is was said already.
    """

    def __init__(self, avatar: object) -> None:
        super().__init__(Portal(Realm()), Clock())
        self._avatar = avatar

    def find(self, request: Any, vouched: bool, cookies: bool = True) -> Any:
        return self._avatar

    async def logIn(self, credentials: Any, request: Any) -> Login:
        return Login(credentials, lambda: None)


class MemoryServer:
    """
    A server with one application, and a clock that stands still until it is turned.

    @ivar clock: a C{twisted.internet.task.Clock}.
    @ivar application: the L{IWebSocketApplication}.
    @ivar broker: the L{IBroker} that it was given.
    @ivar factory: the L{WebSocketFactory}.
    """

    def __init__(
        self,
        application: Any,
        *,
        options: dict[str, object] | None = None,
        path: str = "/",
        settings: Settings | None = None,
        origins: Sequence[str] = (SAME_HOST,),
        exempt: Sequence[str] = (CLIENT,),
        compression: bool = True,
        clock: Clock | None = None,
        broker: IBroker | None = None,
        proxies: ProxySettings | None = None,
        portal: Portal | None = None,
        authCookie: str = "",
        authFirstMessage: str = "browsers",
        auth: bool = True,
    ) -> None:
        """
        @param application: a plugin (what C{@application} makes is one) or an
            L{IWebSocketApplication}.
        @param options: of a plugin: those that aren't left at their defaults, as the
            command line or the configuration file would give them.
        @param path: where it is mounted.
        @param settings: the server's.
        @param origins: which pages may connect.
        @param exempt: networks that the limits for each address, and the rates, don't
            hold for: clients that are given no address, unless it is said.
        @param compression: whether the mount allows it.
        @param clock: another one to use.
        @param broker: another one to use, which has been started, as that of another
            server in the same test.
        @param proxies: whose word about the client is believed; without it, nobody's.
        @param portal: has clients log in; see L{wsplug.WebSocketService}. Those that
            L{connect} gives an avatar don't have to.
        @param authCookie: as for the service.
        @param authFirstMessage: as for the service.
        @param auth: whether the mount wants clients to log in, if there is a portal.
        @raise wsplug.errors.InvalidOption: an option is unknown or wrong.
        @raise Exception: whatever C{startApplication} failed with.
        """
        self.clock = clock if clock is not None else Clock()
        self.broker = broker if broker is not None else MemoryBroker(self.clock)
        name = "application"
        if IWebSocketApplicationPlugin.providedBy(application):
            plugin = application
            values = parseOptions(plugin.options, options or {})
            services = Services(self.clock, self.clock, self.broker)
            application = plugin.makeApplication(values, services)
            name = plugin.name
        mount = Mount(path, application, name, compression, auth)
        self.application = mount.application
        limits = settings if settings is not None else Settings()
        authenticator = None
        if portal is not None:
            authenticator = Authenticator(
                portal,
                self.clock,
                maxFailures=limits.max_auth_failures,
                maxFailuresTotal=limits.max_auth_failures_total,
                cookie=authCookie,
                firstMessage=authFirstMessage,
            )
        self.factory = WebSocketFactory(
            [mount],
            clock=self.clock,
            settings=limits,
            origins=origins,
            exempt=exempt,
            proxies=proxies,
            authenticator=authenticator,
        )
        self.factory.site = makeSite(
            self.factory.mounts, self.clock, authenticator=authenticator
        )
        self._port: Any = self.factory
        if self.factory.proxies.settings.protocol:
            self._port = ProxiedFactory(self.factory, self.factory)
        self._transports: list[MemoryTransport] = []
        self._clients: list[MemoryClient] = []
        self._ports = iter(range(50000, 1 << 30))
        failures: list[Failure] = []
        starting = maybeDeferred(self.application.startApplication)
        starting.addErrback(failures.append)
        if failures:
            failures[0].raiseException()

    def connectTransport(
        self, address: str = CLIENT, *, certificate: Certificate | None = None
    ) -> MemoryTransport:
        """
        Connect without a handshake: for bytes of one's own.

        @param address: the client's, IPv4 or IPv6.
        @param certificate: the one that the client shows: the connection counts as one
            over TLS then. It is checked by nobody.
        """
        peer = _addressOf(address, next(self._ports))
        host = _addressOf("2001:db8::2" if ":" in address else "192.0.2.2", 9000)
        transport = (
            MemoryTransport(peer, host)
            if certificate is None
            else _TLSTransport(peer, host, certificate)
        )
        self._transports.append(transport)
        transport.attach(self._port.buildProtocol(peer))
        return transport

    def connect(
        self,
        target: str = "/",
        *,
        headers: Iterable[tuple[str, str]] = (),
        subprotocols: Sequence[str] = (),
        origin: str | None = None,
        compression: bool = False,
        address: str = CLIENT,
        certificate: Certificate | None = None,
        avatar: object = None,
    ) -> MemoryClient:
        """
        Connect a client.

        @param target: path and query.
        @param headers: further request headers.
        @param subprotocols: those that the client offers.
        @param origin: the page's, as a browser sends it.
        @param compression: whether it offers permessage-deflate.
        @param address: the client's, IPv4 or IPv6.
        @param certificate: the one that the client shows, over TLS then.
        @param avatar: who it has proved to be already: C{request.avatar}.
        @return: the client. It is open already, unless the application answers the
            handshake later: see L{MemoryClient.opened}.
        @raise HandshakeRefused: the server refuses it, with what status and body.
        """
        client = MemoryClient(
            self, self.connectTransport(address, certificate=certificate)
        )
        lines = [
            f"GET {target} HTTP/1.1",
            f"Host: {_HOST}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {_KEY.decode('ascii')}",
        ]
        if origin is not None:
            lines.append(f"Origin: {origin}")
        if subprotocols:
            lines.append("Sec-WebSocket-Protocol: " + ", ".join(subprotocols))
        if compression:
            lines.append("Sec-WebSocket-Extensions: permessage-deflate")
        lines.extend(f"{name}: {value}" for name, value in headers)
        client.transport.put("\r\n".join([*lines, "", ""]).encode("latin-1"))
        self._clients.append(client)
        with self._loggedIn(avatar):
            self.run()
        if client.refused is not None:
            raise client.refused
        return client

    @contextmanager
    def _loggedIn(self, avatar: object) -> Iterator[None]:
        """
        Have whoever connects meanwhile be somebody.
        """
        if avatar is None:
            yield
            return
        usual, self.factory.authenticator = self.factory.authenticator, _Given(avatar)
        try:
            yield
        finally:
            self.factory.authenticator = usual

    def request(
        self,
        method: str,
        target: str = "/",
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> MemoryResponse:
        """
        Send a plain HTTP request, as for one of the application's pages, over a
        connection of its own.

        @param method: as C{"GET"}.
        @param target: path and query.
        @param headers: further request headers.
        @param body: the request's.
        @return: the response.
        @raise AssertionError: none has come, or only a part; as where what answers
            waits for something.
        """
        lines = [f"{method} {target} HTTP/1.1", f"Host: {_HOST}"]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        lines.extend(f"{name}: {value}" for name, value in headers)
        transport = self.connectTransport()
        transport.put("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        self.run()
        answer = bytearray()
        while part := transport.take():
            answer += part
            self.run()
        transport.shut()
        self.run()
        return _parseResponse(bytes(answer), method)

    def run(self) -> None:
        """
        Let everything happen that is due, on both sides.
        """
        moved = True
        while moved:
            self.clock.advance(0)
            steps = [transport.step() for transport in self._transports]
            moved = any(steps + [client.read() for client in self._clients])
        self._transports = [each for each in self._transports if not each.lost]
        self._clients = [each for each in self._clients if not each.transport.lost]

    def advance(self, seconds: float) -> None:
        """
        Let time pass, in steps of at most an eighth of a second: a number that sums up
        without rounding.
        """
        while seconds > 0:
            step = min(seconds, 0.125)
            self.clock.advance(step)
            self.run()
            seconds -= step

    def stop(self) -> Deferred[None]:
        """
        Stop as the service does: close all connections, then stop the application.

        @return: fires when that is done; time may have to pass.
        """
        stopping = self.factory.closeConnections()
        stop = self.application.stopApplication
        stopping.addCallback(lambda _: maybeDeferred(stop))
        self.run()
        return stopping


class MemoryClient:
    """
    A client, and what it has received so far.

    Unless it has stopped reading, it reads what comes, and answers pings and closes as
    browsers do.

    @ivar transport: the connection's other end.
    @ivar opened: whether the handshake is done.
    @ivar refused: the answer to it, if that is an HTTP error.
    @ivar messages: all messages that have come: C{str} for text, C{bytes} for binary.
    @ivar subprotocol: the chosen one.
    @ivar responseHeaders: the 101's, by lower-case name.
    @ivar pings: payloads of the pings that came.
    @ivar pongs: payloads of the pongs that came.
    """

    def __init__(self, server: MemoryServer, transport: MemoryTransport) -> None:
        self.transport = transport
        self.opened = False
        self.refused: HandshakeRefused | None = None
        self.messages: list[str | bytes] = []
        self.subprotocol: str | None = None
        self.responseHeaders: dict[str, str] = {}
        self.pings: list[bytes] = []
        self.pongs: list[bytes] = []
        self._server = server
        self._closed: tuple[int, str] | None = None
        self._sentClose = False
        self._reads = True
        self._response = bytearray()
        self._receiver: MessageReceiver | None = None
        self._deflater: Deflater | None = None

    # Looking

    @property
    def closed(self) -> tuple[int, str] | None:
        """
        Code and reason of the close frame that came; 1006 where the connection ended
        without; C{None} as long as it hasn't.
        """
        if self._closed is None and self.transport.closedForWriting:
            return 1006, ""
        return self._closed

    def receive(self) -> str | bytes:
        """
        Take the first message.

        @raise AssertionError: there is none.
        """
        if not self.messages:
            raise AssertionError(f"no message has come (closed: {self.closed})")
        return self.messages.pop(0)

    # Doing

    def send(self, message: str | bytes) -> None:
        """
        Send a message.
        """
        text = isinstance(message, str)
        payload = message.encode("utf-8") if isinstance(message, str) else message
        first = FIN | (OP_TEXT if text else OP_BINARY)
        if self._deflater is not None:
            first |= RSV1
            payload = self._deflater.deflate(payload)
        self.sendBytes(encode_frame(first, payload, _MASK))

    def ping(self, payload: bytes = b"") -> None:
        """
        Send a ping.
        """
        self.sendBytes(encode_frame(FIN | OP_PING, payload, _MASK))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """
        Send a close frame.
        """
        self._sendClose(pack_close(code, reason))
        self._server.run()

    def drop(self) -> None:
        """
        Go away without a word.
        """
        self.transport.shut()
        self._server.run()

    def sendBytes(self, data: bytes) -> None:
        """
        Send bytes as they are.
        """
        self.transport.put(data)
        self._server.run()

    def stopReading(self) -> None:
        """
        Read nothing more, so that the server's output piles up.
        """
        self._reads = False

    def startReading(self) -> None:
        """
        Read again.
        """
        self._reads = True
        self._server.run()

    def read(self) -> bool:
        """
        Read what there is, unless this has stopped reading. The server calls it.

        @return: whether there was anything.
        """
        data = self.transport.take() if self._reads else b""
        if data:
            self._feed(data)
        return bool(data)

    def _feed(self, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.feed(data)
            return
        self._response += data
        head, end, rest = bytes(self._response).partition(b"\r\n\r\n")
        if not end:
            return
        status, *lines = head.decode("latin-1").split("\r\n")
        for line in lines:
            name, _, value = line.partition(":")
            self.responseHeaders[name.lower()] = value.strip()
        if status.split(" ", 2)[1] != "101":
            headers = [line.encode("latin-1").split(b": ", 1) for line in lines]
            self.refused = HandshakeRefused(
                int(status.split(" ", 2)[1]),
                rest.decode("utf-8", "replace").rstrip("\n"),
                headers=[(name, value) for name, value in headers],
                body=rest,
            )
            return
        self.opened = True
        self.subprotocol = self.responseHeaders.get("sec-websocket-protocol")
        self._receiver = MessageReceiver(
            self,
            max_message_size=1 << 40,
            inflater=self._agree(),
            from_client=False,
        )
        self._receiver.feed(rest)

    def _agree(self) -> Inflater | None:
        header = self.responseHeaders.get("sec-websocket-extensions")
        if header is None:
            return None
        parameters = dict(parse_extensions([header.encode("latin-1")])[0].parameters)
        agreement = DeflateAgreement(
            "server_no_context_takeover" in parameters,
            "client_no_context_takeover" in parameters,
            int(parameters.get("server_max_window_bits") or 15),
            int(parameters.get("client_max_window_bits") or 15),
        )
        self._deflater = Deflater(
            agreement.client_max_window_bits,
            6,
            takes_over=not agreement.client_no_context_takeover,
        )
        return Inflater(
            agreement.server_max_window_bits,
            takes_over=not agreement.server_no_context_takeover,
        )

    def _sendClose(self, payload: bytes) -> None:
        if not self._sentClose:
            self._sentClose = True
            self.transport.put(encode_frame(FIN | OP_CLOSE, payload, _MASK))

    # The codec's sink

    def text_received(self, message: str) -> None:
        self.messages.append(message)

    def binary_received(self, message: bytes) -> None:
        self.messages.append(message)

    def ping_received(self, payload: bytes) -> None:
        self.pings.append(payload)
        self.transport.put(encode_frame(FIN | OP_PONG, payload, _MASK))

    def pong_received(self, payload: bytes) -> None:
        self.pongs.append(payload)

    def close_received(self, code: int, reason: str) -> None:
        self._closed = (code, reason)
        self._sendClose(pack_close(code))

    def violation_received(self, violation: ProtocolViolation) -> None:
        raise AssertionError(f"the server broke the protocol: {violation}")
