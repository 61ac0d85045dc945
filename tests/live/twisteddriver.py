"""
The drivers for the clients on Twisted: Autobahn's, and the one that Twisted has.

Reads jobs from standard input, a line of JSON each, and writes the talks to standard
output.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.endpoints import (
    HostnameEndpoint,
    UNIXClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.python.failure import Failure
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from tests.live.talk import Closed, Job, Talk, converse

reactor: Any = _reactor

CONNECTING = 20
"""
Connections that are opened at one time.
"""


class Base:
    """
    What both clients' connections have in common: the things that come, and who waits
    for one.
    """

    subprotocol: str | None = None
    compressed = False

    def __init__(self) -> None:
        self._messages: deque[str | bytes] = deque()
        self._pongs: deque[bytes] = deque()
        self._waiting: Deferred[None] | None = None
        self._lost = False
        self._told: tuple[int, str] | None = None

    def wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def messageCame(self, message: str | bytes) -> None:
        self._messages.append(message)
        self.wake()

    def pongCame(self, payload: bytes) -> None:
        self._pongs.append(payload)
        self.wake()

    def lost(self, told: tuple[int, str] | None) -> None:
        self._lost = True
        self._told = told
        self.wake()

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            if self._lost:
                raise Closed
            self._waiting = Deferred()
            await self._waiting

    async def receive(self) -> str | bytes:
        await self.until(lambda: self._messages)
        return self._messages.popleft()

    def sendPing(self, payload: bytes) -> None:
        raise NotImplementedError

    async def ping(self, payload: bytes) -> bytes:
        self.sendPing(payload)
        await self.until(lambda: self._pongs)
        return self._pongs.popleft()

    async def together(
        self, sending: Coroutine[Any, Any, None], receiving: Coroutine[Any, Any, None]
    ) -> None:
        both = [Deferred.fromCoroutine(each) for each in (sending, receiving)]
        await gatherResults(both)

    async def closed(self) -> tuple[int, str] | None:
        with suppress(Closed):
            await self.until(lambda: False)
        return self._told


def _endpoint(job: Job) -> IStreamClientEndpoint:
    if job.unix is not None:
        plain: IStreamClientEndpoint = UNIXClientEndpoint(reactor, job.unix)
        return plain
    parts = urlsplit(job.url)
    assert parts.hostname is not None
    assert parts.port is not None
    endpoint = HostnameEndpoint(reactor, parts.hostname, parts.port)
    if job.ca is None:
        return endpoint
    certificate = Certificate.loadPEM(Path(job.ca).read_bytes())
    options = optionsForClientTLS(parts.hostname, trustRoot=certificate)
    return wrapClientTLS(options, endpoint)


# Autobahn


def autobahnConnect(job: Job) -> Deferred[Any]:
    """
    Open a connection with Autobahn.
    """
    # Typed in parts only; and not needed by the other driver.
    websocket: Any = import_module("autobahn.twisted.websocket")
    compress: Any = import_module("autobahn.websocket.compress")
    opened: Deferred[Any] = Deferred()

    class Client(websocket.WebSocketClientProtocol):  # type: ignore[misc]
        """
        The connection.
        """

        socket: AutobahnSocket

        def onConnect(self, response: Any) -> None:
            self.socket = AutobahnSocket(self)
            self.socket.subprotocol = response.protocol
            self.socket.compressed = bool(response.extensions)

        def onOpen(self) -> None:
            opened.callback(self.socket)

        def onMessage(self, payload: bytes, isBinary: bool) -> None:
            self.socket.messageCame(payload if isBinary else payload.decode("utf-8"))

        def onPong(self, payload: bytes) -> None:
            self.socket.pongCame(payload)

        def onClose(self, wasClean: bool, code: int, reason: str | None) -> None:
            if opened.called:
                self.socket.lost((self.remoteCloseCode or 1006, reason or ""))
            else:
                opened.errback(RuntimeError(f"{code} {reason}"))

    factory = websocket.WebSocketClientFactory(
        job.url, protocols=list(job.subprotocols)
    )
    factory.protocol = Client
    factory.setProtocolOptions(openHandshakeTimeout=60, closeHandshakeTimeout=60)
    if job.compression:
        bits = job.bits or 0

        def accept(response: Any) -> Any:
            if isinstance(response, compress.PerMessageDeflateResponse):
                return compress.PerMessageDeflateResponseAccept(response)
            return None

        offer = compress.PerMessageDeflateOffer(request_max_window_bits=bits)
        factory.setProtocolOptions(
            perMessageCompressionOffers=[offer], perMessageCompressionAccept=accept
        )
    connecting = _endpoint(job).connect(factory)
    connecting.addErrback(opened.errback)
    return opened


class AutobahnSocket(Base):
    """
    A connection of Autobahn's.
    """

    def __init__(self, client: Any) -> None:
        super().__init__()
        self._client = client

    async def send(self, message: str | bytes) -> None:
        isText = isinstance(message, str)
        payload = message.encode("utf-8") if isinstance(message, str) else message
        self._client.sendMessage(payload, isBinary=not isText)

    async def sendFragments(self, parts: Sequence[str | bytes]) -> None:
        client = self._client
        client.beginMessage(isBinary=isinstance(parts[0], bytes))
        for part in parts:
            payload = part.encode("utf-8") if isinstance(part, str) else part
            client.sendMessageFrame(payload)
        client.endMessage()

    def sendPing(self, payload: bytes) -> None:
        self._client.sendPing(payload)

    async def close(self, code: int, reason: str) -> None:
        self._client.sendClose(code, reason)


# Twisted


def twistedConnect(job: Job) -> Deferred[Any]:
    """
    Open a connection with C{twisted.web.websocket}.
    """
    from twisted.web.websocket import WebSocketClientEndpoint

    @implementer(IAgentEndpointFactory)
    class Endpoints:
        """
        Connects to where the job says.
        """

        def endpointForURI(self, uri: object) -> IStreamClientEndpoint:
            return _endpoint(job)

    class Factory:
        """
        Makes the connection's protocol.
        """

        def buildProtocol(self, url: str) -> TwistedSocket:
            return TwistedSocket()

    client = WebSocketClientEndpoint(Endpoints(), job.url)
    return Deferred.fromCoroutine(client.connect(Factory()))


class TwistedSocket(Base):
    """
    A connection of Twisted's. It doesn't tell how it was closed.
    """

    _transport: Any

    def negotiationStarted(self, transport: Any) -> None:
        self._transport = transport

    def negotiationFinished(self) -> None:
        pass

    def textMessageReceived(self, message: str) -> None:
        self.messageCame(message)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        self.messageCame(bytes(data))

    def pongReceived(self, payload: bytes) -> None:
        self.pongCame(bytes(payload))

    def connectionLost(self, reason: Failure) -> None:
        self.lost(None)

    async def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._transport.sendTextMessage(message)
        else:
            self._transport.sendBytesMessage(message)

    async def sendFragments(self, parts: Sequence[str | bytes]) -> None:
        raise NotImplementedError("it can't")

    def sendPing(self, payload: bytes) -> None:
        self._transport.ping(payload)

    async def close(self, code: int, reason: str) -> None:
        self._transport.loseConnection(code, reason)


# Jobs

CONNECT = {"autobahn": autobahnConnect, "twisted": twistedConnect}


async def do(job: Job, connect: Callable[[Job], Deferred[Any]]) -> list[Talk]:
    """
    Do a job.
    """
    connecting = DeferredSemaphore(CONNECTING)

    async def talk(steps: Any) -> Talk:
        try:
            socket = await connecting.run(connect, job)
            return await converse(socket, steps)
        except Exception as error:
            return Talk(error=repr(error))

    talks = [Deferred.fromCoroutine(talk(steps)) for steps in job.talks]
    done: list[Talk] = await gatherResults(talks)
    return done


def start(line: str, connect: Callable[[Job], Deferred[Any]]) -> None:
    """
    Do the job of a line.
    """

    def tell(talks: list[Talk]) -> None:
        print(json.dumps([asdict(talk) for talk in talks]), flush=True)

    doing = Deferred.fromCoroutine(do(Job(**json.loads(line)), connect))
    doing.addCallback(tell)
    doing.addErrback(lambda failure: failure.printTraceback())


def main() -> None:
    """
    Do the jobs of standard input, until its end.
    """
    connect = CONNECT[sys.argv[1]]

    def read() -> None:
        for line in sys.stdin:
            reactor.callFromThread(start, line, connect)
        reactor.callFromThread(reactor.stop)

    reactor.callWhenRunning(threading.Thread(target=read, daemon=True).start)
    reactor.run()


if __name__ == "__main__":
    main()
