"""
Connections of every kind, and what is left of each one after its end. This is a program
of its own, since in the process of the tests other code keeps references to what was
logged.

The garbage collector is off. An object that is still there after a connection is
referred to: by itself, in a cycle, or by something that stays.
"""

from __future__ import annotations

import gc
import json
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import Clock
from twisted.logger import globalLogBeginner

from tests.server.kit import App, Producer, frame, handshake
from wsplug import HandshakeRefused, WebSocketProtocol, application, broadcast
from wsplug.authoring.coroutine import WebSocket
from wsplug.broker import MemoryBroker
from wsplug.codec import (
    FIN,
    OP_CLOSE,
    OP_TEXT,
    RSV1,
    Deflater,
    encode_frame,
    pack_close,
)
from wsplug.interfaces import IHandshakeRequest
from wsplug.plugins import Services
from wsplug.server import Mount, Settings, WebSocketFactory
from wsplug.service import WebSocketService
from wsplug.testing import MemoryServer, MemoryTransport

__all__ = ["NAMES"]

ROUNDS: Final = 5
"""
The number of connections of each kind: a leak of a kind occurs for each of them.
"""

CLOSE: Final = frame(pack_close(1000, ""), FIN | OP_CLOSE)

LARGE: Final = 4 * 1024 * 1024
"""
More bytes than a socket takes while its peer doesn't read: more than Linux's largest
buffers.
"""


# Servers and clients


class Client(Protocol):
    """
    The client's end of one connection.
    """

    def send(self, data: bytes) -> None:
        """Send bytes, and let the server process them."""

    def expect(self, part: bytes) -> None:
        """Read until these bytes have arrived."""

    def leave(self) -> None:
        """Close this end."""

    def reset(self) -> None:
        """Reset the connection."""

    def end(self) -> None:
        """Read until the server has closed, then close this end, too."""


class World(Protocol):
    """
    A server and its network.
    """

    def connect(self) -> Client:
        """Connect a client."""

    def settle(self) -> None:
        """Wait until the server has no connections left."""

    def letPass(self, seconds: float) -> None:
        """Let time pass."""


class MemoryEnd:
    """
    A client in memory.
    """

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self._transport: MemoryTransport = server.connectTransport()

    def send(self, data: bytes) -> None:
        self._transport.put(data)
        self._server.run()

    def expect(self, part: bytes) -> None:
        data = b""
        while part not in data:
            self._server.run()
            taken = self._transport.take()
            assert taken, f"{part!r} hasn't come: {data!r}"
            data += taken

    def leave(self) -> None:
        self._transport.shut()
        self._server.run()

    def reset(self) -> None:
        self._transport.abortConnection()
        self._server.run()

    def end(self) -> None:
        while self._transport.take():
            self._server.run()
        self._server.run()
        assert self._transport.closedForWriting
        self.leave()


class MemoryWorld:
    """
    A server in memory, with a clock.
    """

    def __init__(self, app: Any, settings: Settings) -> None:
        self._server = MemoryServer(app, settings=settings)

    def connect(self) -> Client:
        return MemoryEnd(self._server)

    def settle(self) -> None:
        self._server.run()
        assert not self._server.factory.connections
        forget(self._server.factory)

    def letPass(self, seconds: float) -> None:
        self._server.advance(seconds)


class SocketEnd:
    """
    A client over a real socket, in the same thread.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setblocking(False)

    def send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            with suppress(BlockingIOError):
                left = left[self._socket.send(left) :]
            turn()

    def expect(self, part: bytes) -> None:
        data = b""

        def come() -> bool:
            nonlocal data
            try:
                got = self._socket.recv(65536)
            except BlockingIOError:
                return False
            assert got, f"{part!r} hasn't come: {data!r}"
            data += got
            return part in data

        turnUntil(come)

    def leave(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._socket.close()

    def end(self) -> None:
        def ended() -> bool:
            try:
                return not self._socket.recv(65536)
            except BlockingIOError:
                return False
            except ConnectionResetError:
                return True

        turnUntil(ended)
        self._socket.close()


class SocketWorld:
    """
    A server as C{twistd} runs it, in this process's reactor.
    """

    def __init__(self, app: Any, settings: Settings) -> None:
        reactor = theReactor()
        endpoint = serverFromString(reactor, "tcp:0:interface=127.0.0.1")
        self._service = WebSocketService(
            [Mount("/", app)], [endpoint], reactor=reactor, settings=settings
        )
        self._service.startService()
        turnUntil(lambda: bool(self._service.ports))
        port: Any = self._service.ports[0]
        self._port: int = port.getHost().port
        # The connections' epoll set is among the reactor's readers for as long as it
        # has a connection.
        self._readers = reactor.getReaders
        self._idle = len(self._readers())

    def connect(self) -> Client:
        client = SocketEnd(self._port)
        turnUntil(lambda: len(self._readers()) > self._idle)
        return client

    def settle(self) -> None:
        turnUntil(lambda: len(self._readers()) == self._idle)
        turn()
        forget(self._service.factory)

    def letPass(self, seconds: float) -> None:
        raise NotImplementedError("only in memory")


def forget(factory: WebSocketFactory) -> None:
    """
    Have a server forget its most recent disconnects and refusals, which it keeps on
    purpose.
    """
    factory.statistics.disconnects.clear()
    factory.statistics.refusals.clear()


def theReactor() -> Any:
    """
    Return this program's reactor. It is imported here, since programs that only import
    this module don't need one.
    """
    from twisted.internet import reactor

    return reactor


def turn() -> None:
    """
    Let the reactor do what is due.
    """
    theReactor().iterate(0)


def turnUntil(condition: Callable[[], bool]) -> None:
    """
    Run the reactor until a condition holds.
    """
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        theReactor().iterate(0.001)


# Applications

thoughts: list[Deferred[Any]] = []
"""
The Deferreds that applications wait for. This list always refers to them.
"""


def conclude(result: Any = None) -> None:
    """
    Fire the Deferreds.

    @param result: their result; if it is an exception, they fail with it.
    """
    while thoughts:
        thought = thoughts.pop()
        if not thought.called:
            if isinstance(result, Exception):
                thought.errback(result)
            else:
                thought.callback(result)


class Obeying(WebSocketProtocol):
    """
    Echoes each message, and obeys some texts as commands.
    """

    def textMessageReceived(self, message: str) -> Any:
        transport = self.transport
        if message == "close":
            transport.loseConnection(4000, "as you wish")
        elif message == "abort":
            transport.abortConnection()
        elif message == "raise":
            raise KeyError(message)
        elif message == "wait":
            waiting: Deferred[None] = Deferred()
            thoughts.append(waiting)
            return waiting
        elif message == "await":
            return self._wait()
        elif message == "much":
            transport.attachProducer(Producer())
            transport.sendBytesMessage(bytes(LARGE))
        elif message == "broadcast":
            broadcast("to all of you", [transport])
        else:
            transport.sendTextMessage(message)
        return None

    async def _wait(self) -> None:
        waiting: Deferred[None] = Deferred()
        thoughts.append(waiting)
        await waiting


def build(request: IHandshakeRequest) -> Any:
    """
    Serve a request by its path.
    """
    (name,) = request.segments or ("",)
    if name == "refuse":
        raise HandshakeRefused(403, "not you")
    if name == "fail":
        raise KeyError(name)
    if name == "think":
        thought: Deferred[Any] = Deferred()
        thoughts.append(thought)
        return thought
    if name == "ponder":
        return _ponder()
    return Obeying()


async def _ponder() -> Any:
    thought: Deferred[None] = Deferred()
    thoughts.append(thought)
    await thought
    return Obeying()


class Application(App):
    """
    Keeps no reference to its connections.
    """

    def buildProtocol(self, request: IHandshakeRequest) -> Any:
        return build(request)


@application("obeying")
async def obeying(socket: WebSocket) -> None:
    """
    Does the same as a coroutine.
    """
    async for message in socket:
        if message == "return":
            return
        if message == "raise":
            raise KeyError(message)
        if message == "sleep":
            await socket.sleep(1000)
        elif message == "much":
            await socket.send(bytes(LARGE))
        elif message == "receive":
            while True:
                await socket.send(await socket.receive())
        else:
            await socket.send(message)


# The lives of connections


def _open(world: World, path: str = "/", *more: str) -> Client:
    client = world.connect()
    client.send(handshake(f"GET {path} HTTP/1.1", more=more))
    client.expect(b"\r\n\r\n")
    _echo(client)
    return client


def _echo(client: Client) -> None:
    client.send(frame(b"hello"))
    client.expect(b"hello")


def clientCloses(world: World) -> None:
    client = _open(world)
    client.send(CLOSE)
    client.end()


def clientLeaves(world: World) -> None:
    _open(world).leave()


def clientResets(world: World) -> None:
    _open(world).reset()


def applicationCloses(world: World) -> None:
    client = _open(world)
    client.send(frame(b"close"))
    client.expect(b"as you wish")
    client.send(CLOSE)
    client.end()


def clientDoesNotClose(world: World) -> None:
    client = _open(world)
    client.send(frame(b"close"))
    client.expect(b"as you wish")
    world.letPass(10)
    client.end()


def applicationAborts(world: World) -> None:
    client = _open(world)
    client.send(frame(b"abort"))
    client.end()


def applicationFails(world: World) -> None:
    client = _open(world)
    client.send(frame(b"raise"))
    client.expect(b"internal error")
    client.send(CLOSE)
    client.end()


def applicationBroadcasts(world: World) -> None:
    client = _open(world)
    client.send(frame(b"broadcast"))
    client.expect(b"to all of you")
    client.send(CLOSE)
    client.end()


def violation(world: World) -> None:
    client = _open(world)
    client.send(encode_frame(FIN | OP_TEXT, b"not masked"))
    client.end()


def violationInsideAMessage(world: World) -> None:
    client = _open(world)
    client.send(frame(b"begun", OP_TEXT))
    client.send(frame(b"\xff", FIN))
    client.end()


def tooLarge(world: World) -> None:
    client = _open(world)
    client.send(frame(bytes(10_000)))
    client.end()


def leavesInsideAMessage(world: World) -> None:
    client = _open(world)
    client.send(frame(b"begun", OP_TEXT) + frame(b"half")[:-2])
    client.leave()


def resetsWhileItWaits(world: World) -> None:
    client = _open(world)
    client.send(frame(b"wait"))
    client.send(frame(b"more"))
    client.reset()
    conclude()


def resetsWhileItAwaits(world: World) -> None:
    client = _open(world)
    client.send(frame(b"await"))
    client.send(frame(b"more"))
    client.reset()
    conclude()


def applicationFailsLater(world: World, order: bytes = b"wait") -> None:
    client = _open(world)
    client.send(frame(order))
    conclude(KeyError("later"))
    client.expect(b"internal error")
    client.send(CLOSE)
    client.end()


def applicationFailsLaterInACoroutine(world: World) -> None:
    applicationFailsLater(world, b"await")


def applicationFailsTooLate(world: World, order: bytes = b"wait") -> None:
    client = _open(world)
    client.send(frame(order))
    client.reset()
    conclude(KeyError("later"))


def applicationFailsTooLateInACoroutine(world: World) -> None:
    applicationFailsTooLate(world, b"await")


def failsLaterInTheHandshake(world: World) -> None:
    client = world.connect()
    client.send(handshake("GET /think HTTP/1.1"))
    conclude(KeyError("later"))
    client.expect(b"500")
    client.end()


def failsLaterInTheHandshakeInACoroutine(world: World) -> None:
    client = world.connect()
    client.send(handshake("GET /ponder HTTP/1.1"))
    conclude(KeyError("later"))
    client.expect(b"500")
    client.end()


def refusedLater(world: World) -> None:
    client = world.connect()
    client.send(handshake("GET /ponder HTTP/1.1"))
    conclude(HandshakeRefused(403, "no"))
    client.expect(b"403")
    client.end()


def resetsWhileOutputWaits(world: World) -> None:
    client = _open(world)
    client.send(frame(b"much"))
    client.reset()


def doesNotRead(world: World) -> None:
    client = _open(world)
    client.send(frame(b"much"))
    world.letPass(60)
    client.leave()


def answersNoPing(world: World) -> None:
    client = _open(world)
    world.letPass(60)
    client.end()


def compressed(world: World, takesOver: bool = False) -> None:
    offer = "Sec-WebSocket-Extensions: permessage-deflate"
    client = _open(world, "/", offer)
    text = b"compressible " * 100
    deflater = Deflater(15, 6, takes_over=takesOver)
    for _ in range(2):
        payload = deflater.deflate(text)
        client.send(frame(payload, FIN | RSV1 | OP_TEXT))
        client.expect(payload)
    client.send(CLOSE)
    client.end()


def compressedAcrossMessages(world: World) -> None:
    compressed(world, takesOver=True)


def compressedWrongly(world: World) -> None:
    offer = "Sec-WebSocket-Extensions: permessage-deflate"
    client = _open(world, "/", offer)
    client.send(frame(b"\xff\xff\xff\xff", FIN | RSV1 | OP_TEXT))
    client.end()


def leavesAtOnce(world: World) -> None:
    world.connect().leave()


def leavesInTheHandshake(world: World) -> None:
    client = world.connect()
    client.send(handshake()[:50])
    client.leave()


def resetsInTheHandshake(world: World) -> None:
    client = world.connect()
    client.send(handshake()[:50])
    client.reset()


def resetsWhileItThinks(world: World) -> None:
    client = world.connect()
    client.send(handshake("GET /think HTTP/1.1"))
    client.reset()
    conclude(Obeying())


def resetsWhileItPonders(world: World) -> None:
    client = world.connect()
    client.send(handshake("GET /ponder HTTP/1.1"))
    client.reset()
    conclude()


def leavesAfterTheSwitch(world: World) -> None:
    client = world.connect()
    client.send(handshake())
    client.expect(b"\r\n\r\n")
    client.leave()


def _refused(world: World, data: bytes, status: bytes) -> None:
    client = world.connect()
    client.send(data)
    client.expect(b"HTTP/1.1 " + status)
    client.end()


def refused(world: World) -> None:
    changes = {"Sec-WebSocket-Version": "8"}
    _refused(world, handshake(changes=changes), b"426")


def refusedByTheApplication(world: World) -> None:
    _refused(world, handshake("GET /refuse HTTP/1.1"), b"403")


def failsInTheHandshake(world: World) -> None:
    _refused(world, handshake("GET /fail HTTP/1.1"), b"500")


def noHttp(world: World) -> None:
    _refused(world, b"\0\r\n\r\n", b"400")


def handshakeTimesOut(world: World) -> None:
    client = world.connect()
    client.send(handshake()[:50])
    world.letPass(11)
    client.expect(b"408")
    client.end()


def thinksTooLong(world: World) -> None:
    client = world.connect()
    client.send(handshake("GET /think HTTP/1.1"))
    world.letPass(11)
    client.expect(b"503")
    client.end()
    conclude(Obeying())


def _get(target: str, *headers: str) -> bytes:
    lines = [f"GET {target} HTTP/1.1", "Host: server.example:9000", *headers, "", ""]
    return "\r\n".join(lines).encode("ascii")


def page(world: World) -> None:
    client = world.connect()
    client.send(_get("/"))
    client.expect(b"<p>index")
    client.leave()


def lastPage(world: World) -> None:
    client = world.connect()
    client.send(_get("/none", "Connection: close"))
    client.expect(b"404")
    client.end()


def largePage(world: World) -> None:
    client = world.connect()
    client.send(_get("/large"))
    client.expect(b"the end")
    client.leave()


def resetsInTheMidstOfAPage(world: World) -> None:
    client = world.connect()
    client.send(_get("/large"))
    client.expect(b"200 OK")
    client.reset()


def pageThenSwitch(world: World) -> None:
    client = world.connect()
    client.send(_get("/"))
    client.expect(b"<p>index")
    client.send(handshake())
    client.expect(b"\r\n\r\n")
    _echo(client)
    client.send(CLOSE)
    client.end()


def returns(world: World) -> None:
    client = _open(world)
    client.send(frame(b"return"))
    client.expect(b"\x88")
    client.send(CLOSE)
    client.end()


def leavesWhileItSleeps(world: World) -> None:
    client = _open(world)
    client.send(frame(b"sleep"))
    client.leave()


def resetsWhileMessagesWait(world: World) -> None:
    client = _open(world)
    client.send(frame(b"sleep"))
    client.send(frame(b"first"))
    client.send(frame(b"second"))
    client.reset()


def receives(world: World) -> None:
    client = _open(world)
    client.send(frame(b"receive"))
    _echo(client)
    client.send(CLOSE)
    client.end()


class Kind(NamedTuple):
    """
    A kind of connection.

    @ivar live: goes through the connection's life, from connecting to the end.
    @ivar coroutine: whether a coroutine serves it.
    @ivar settings: the server's, where they aren't the defaults.
    @ivar timed: whether time has to pass. Such kinds run in memory only, where that
        takes no time.
    """

    live: Callable[[World], None]
    coroutine: bool = False
    settings: Settings = Settings()
    timed: bool = False


def kinds() -> Iterator[tuple[str, Kind]]:
    """
    Return all kinds, by name.
    """
    for live in (
        clientCloses,
        clientLeaves,
        clientResets,
        applicationCloses,
        applicationAborts,
        applicationFails,
        applicationFailsLater,
        applicationFailsLaterInACoroutine,
        applicationFailsTooLate,
        applicationFailsTooLateInACoroutine,
        applicationBroadcasts,
        violation,
        violationInsideAMessage,
        leavesInsideAMessage,
        resetsWhileItWaits,
        resetsWhileItAwaits,
        resetsWhileOutputWaits,
        compressed,
        compressedWrongly,
        leavesAtOnce,
        leavesInTheHandshake,
        resetsInTheHandshake,
        resetsWhileItThinks,
        resetsWhileItPonders,
        leavesAfterTheSwitch,
        refused,
        refusedByTheApplication,
        refusedLater,
        failsInTheHandshake,
        failsLaterInTheHandshake,
        failsLaterInTheHandshakeInACoroutine,
        noHttp,
        page,
        lastPage,
        largePage,
        resetsInTheMidstOfAPage,
        pageThenSwitch,
    ):
        yield live.__name__, Kind(live)
    for live in (
        clientCloses,
        clientResets,
        returns,
        applicationFails,
        leavesWhileItSleeps,
        resetsWhileMessagesWait,
        resetsWhileOutputWaits,
        receives,
    ):
        yield f"coroutine-{live.__name__}", Kind(live, coroutine=True)
    for live, settings in (
        (tooLarge, Settings(max_message_size=1000)),
        (compressedAcrossMessages, Settings(context_takeover=True)),
    ):
        yield live.__name__, Kind(live, settings=settings)
    for live in (
        clientDoesNotClose,
        doesNotRead,
        answersNoPing,
        handshakeTimesOut,
        thinksTooLong,
    ):
        yield live.__name__, Kind(live, timed=True)


NAMES: Final = tuple(
    f"{world}-{name}"
    for name, kind in kinds()
    for world in (("memory",) if kind.timed else ("memory", "sockets"))
)
"""
The names of all measurements.
"""


# Measuring


def count() -> Counter[str]:
    """
    Count the objects that the collector tracks, by type. Those are all that can be in a
    cycle, and include objects of extension types without weak references.
    """
    # The reactor drops cancelled calls only in batches.
    reactor = theReactor()
    calls = [reactor.callLater(1000, int) for _ in range(100)]
    turn()
    for call in calls:
        call.cancel()
    turn()
    types = map(type, gc.get_objects())
    return Counter(f"{each.__module__}.{each.__qualname__}" for each in types)


def measure(world: World, live: Callable[[World], None]) -> dict[str, int]:
    """
    Find what connections leave behind.

    @return: by type, how many objects are left, for types of which each connection
        leaves at least one.
    """

    def repeat(times: int) -> Counter[str]:
        for _ in range(times):
            live(world)
            world.settle()
        return count()

    repeat(2)
    gc.collect()
    before = repeat(1)
    left = repeat(ROUNDS) - before
    return {name: number for name, number in left.items() if number >= ROUNDS}


def makeWorld(name: str, kind: Kind, pages: str) -> World:
    """
    @param name: C{memory} or C{sockets}.
    @param pages: a folder.
    """
    inMemory = name.startswith("memory")
    app: Any = Application(pages=pages)
    if kind.coroutine:
        clock = Clock() if inMemory else theReactor()
        app = obeying.makeApplication({}, Services(clock, clock, MemoryBroker(clock)))
    world = MemoryWorld if inMemory else SocketWorld
    return world(app, kind.settings)


def main() -> None:
    """
    Measure all kinds, and print the results.
    """
    gc.disable()
    gc.freeze()  # objects from before need no tracking
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)
    found: dict[str, dict[str, int]] = {}
    with TemporaryDirectory() as folder:
        Path(folder, "index.html").write_text("<p>index")
        Path(folder, "large").write_bytes(bytes(LARGE) + b"the end")
        for name, kind in kinds():
            for place in ("memory", "sockets"):
                full = f"{place}-{name}"
                if full in NAMES:
                    found[full] = measure(makeWorld(place, kind, folder), kind.live)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
