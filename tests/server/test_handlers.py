"""Handlers that take time: what waits for them, and what is still noticed."""

from __future__ import annotations

from collections.abc import Callable
from socket import AF_UNIX, socketpair
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from tests.server.kit import App, Logs, Opened, Recorder, frame, openOne
from wsplug import Mount, Settings, Side, WebSocket, application
from wsplug.codec import FIN, OP_BINARY, OP_CLOSE, pack_close
from wsplug.interfaces import IHandshakeRequest, IWebSocketTransport
from wsplug.testing import MemoryClient, MemoryServer


class Handler:
    """Does work that doesn't end by itself, and records how it ends."""

    def __init__(self) -> None:
        self.work: list[Deferred[None]] = []
        self.ended: list[str] = []

    def begin(self, _: object = None) -> Deferred[None]:
        work: Deferred[None] = Deferred()
        self.work.append(work)
        return Deferred.fromCoroutine(self._run(work))

    async def _run(self, work: Deferred[None]) -> None:
        try:
            await work
            self.ended.append("done")
        except CancelledError:
            self.ended.append("cancelled")
            raise


def _ends(client: MemoryClient) -> None:
    client.transport.shut()


def _resets(client: MemoryClient) -> None:
    client.transport.abortConnection()


@pytest.mark.parametrize("end", [_ends, _resets])
@pytest.mark.parametrize("name", ["text", "bytes", "finished"])
def test_lost_while_it_runs(
    name: str, end: Callable[[MemoryClient], None], logs: Logs
) -> None:
    """The client's end, or a reset, is noticed at once: the handler's result is
    cancelled after connectionLost, and no error is logged."""
    handler = Handler()
    recorder = Recorder(**{name: handler.begin})
    recorder.answers["lost"] = lambda _: handler.ended.append("lost")
    opened = openOne(recorder)
    if name != "finished":
        first = FIN | OP_BINARY if name == "bytes" else 0x81
        opened.client.sendBytes(frame(b"go", first))
    assert recorder.names[-1] == name
    end(opened.client)
    opened.server.run()
    assert handler.ended == ["lost", "cancelled"]
    assert recorder.closed.side is Side.PEER
    assert not opened.server.factory.connections
    assert len(opened.server.factory.deadlines) == 0
    assert logs.failures() == []


def test_lost_with_more_than_it_may_send(logs: Logs) -> None:
    """If the input of a lost client, which is searched for a close frame, exceeds a
    limit, the connection doesn't end a second time."""
    handler = Handler()
    recorder = Recorder(text=handler.begin)
    settings = Settings(max_message_rate=1)
    server = MemoryServer(App(lambda _: recorder), settings=settings, exempt=())
    client = server.connect()
    client.sendBytes(frame(b"a") * 50)
    client.transport.abortConnection()
    server.run()
    assert recorder.names[-2:] == ["text", "lost"]
    assert recorder.closed.code == 1006
    assert not server.factory.connections
    assert len(server.factory.deadlines) == 0
    assert logs.failures() == []


def test_what_came_before_the_end() -> None:
    """Messages that a client sent before it disconnected in order are delivered, as
    long as no handler takes longer than close-timeout. Then the connection is lost."""
    handler = Handler()
    opened = openOne(Recorder(text=handler.begin))
    opened.client.sendBytes(frame(b"a") + frame(b"b") + frame(b"c"))
    opened.client.transport.shut()
    opened.server.run()
    for number in range(3):
        assert opened.recorder.got("text") == ["a", "b", "c"][: number + 1]
        assert opened.recorder.failure is None
        opened.transport.sendTextMessage("into the void")
        opened.server.advance(4)
        handler.work[number].callback(None)
    assert handler.ended == ["done"] * 3
    assert opened.recorder.names[-1] == "lost"
    assert opened.recorder.closed.code == 1006
    assert not opened.server.factory.connections
    assert len(opened.server.factory.deadlines) == 0


def test_what_came_before_the_end_and_is_stuck(logs: Logs) -> None:
    """A handler that takes longer is cancelled, and the rest isn't delivered."""
    handler = Handler()
    opened = openOne(Recorder(text=handler.begin))
    opened.client.sendBytes(frame(b"a") + frame(b"b") + frame(b"c"))
    opened.client.transport.shut()
    opened.server.advance(4)
    handler.work[0].callback(None)
    opened.server.advance(4.5)
    assert handler.ended == ["done"]
    opened.server.advance(1)
    assert handler.ended == ["done", "cancelled"]
    assert opened.recorder.names[2:] == ["text", "text", "lost"]
    closed = opened.recorder.closed
    assert (closed.code, closed.side) == (1006, Side.PEER)
    assert "went away without closing" in closed.reason
    assert logs.failures() == []


@pytest.mark.parametrize("isStuck", [False, True])
def test_close_frame_behind_a_message(isStuck: bool) -> None:
    """If a client sends a message, closes in order and disconnects, the connection
    counts as closed by it, whether the handler is done in time or not."""
    handler = Handler()
    opened = openOne(Recorder(text=handler.begin))
    close = frame(pack_close(1001, "leaving"), FIN | OP_CLOSE)
    opened.client.sendBytes(frame(b"a") + frame(b"b") + close)
    opened.client.transport.shut()
    opened.server.run()
    if not isStuck:
        handler.work[0].callback(None)
        handler.work[1].callback(None)
    opened.server.advance(6)
    assert handler.ended == (["cancelled"] if isStuck else ["done", "done"])
    closed = opened.recorder.closed
    assert (closed.code, closed.reason, closed.side) == (1001, "leaving", Side.PEER)


CLOSE = frame(pack_close(1001, "leaving"), FIN | OP_CLOSE)


def _whole(opened: Opened, data: bytes) -> None:
    opened.client.sendBytes(data)


def _byByte(opened: Opened, data: bytes) -> None:
    for index in range(len(data)):
        opened.client.sendBytes(data[index : index + 1])


@pytest.mark.parametrize("send", [_whole, _byByte])
@pytest.mark.parametrize("size", [0, 3, 125, 126, 2000, 70_000])
def test_close_frame_that_is_held(
    size: int, send: Callable[[Opened, bytes], None], logs: Logs
) -> None:
    """A close frame is noticed after messages that wait for a handler, as far as input
    is read. They are delivered as long as no handler takes longer than close-timeout.
    Then the close frame is answered without the rest, and the handler is cancelled."""
    if size > 4096 and send is _byByte:
        return  # so much is not read
    handler = Handler()
    opened = openOne(Recorder(text=handler.begin))
    body = b"x" * size
    send(opened, frame(b"a") + frame(b"b") + frame(body) + CLOSE)
    opened.server.advance(4)
    handler.work[0].callback(None)
    opened.server.advance(4)
    assert opened.recorder.got("text") == ["a", "b"]
    assert opened.client.closed is None
    opened.server.advance(1.5)
    assert opened.client.closed == (1001, "")
    assert opened.recorder.got("text") == ["a", "b"]
    assert handler.ended == ["done", "cancelled"]
    closed = opened.recorder.closed
    assert (closed.code, closed.reason, closed.side) == (1001, "leaving", Side.PEER)
    assert closed.clean
    assert not opened.server.factory.connections
    assert len(opened.server.factory.deadlines) == 0
    assert logs.failures() == []


def test_close_frame_that_is_not_read() -> None:
    """A close frame after more input than is read isn't noticed, and bytes of messages
    aren't mistaken for one."""
    handler = Handler()
    opened = openOne(Recorder(text=handler.begin))
    opened.client.sendBytes(frame(b"a") + frame(CLOSE * 100, FIN | OP_BINARY))
    for _ in range(40):
        opened.client.sendBytes(frame(b"x" * 100))
    opened.client.sendBytes(CLOSE)
    opened.server.advance(30)
    assert handler.ended == []
    assert opened.client.closed is None


def test_end_on_a_socket_that_is_not_read() -> None:
    """On any socket, the system knows that the peer is gone, even if nothing reads or
    watches it: it is asked when a ping would be due."""
    handler = Handler()
    opened = openOne(Recorder(text=handler.begin))
    ours, theirs = socketpair(AF_UNIX)
    with ours, theirs:
        opened.client.transport.getHandle = lambda: ours  # type: ignore[attr-defined]
        opened.client.send("a")
        opened.client.sendBytes(frame(b"x" * 10_000))
        theirs.sendall(b"unread")
        opened.server.advance(45)
        assert handler.ended == []
        theirs.close()
        opened.server.advance(20 + 5.5)
    assert handler.ended == ["cancelled"]
    assert opened.recorder.closed.reason == "went away without closing"


def _closes(opened: Opened) -> None:
    opened.transport.loseConnection(4000, "enough")


def _aborts(opened: Opened) -> None:
    opened.transport.abortConnection()


def _stops(opened: Opened) -> None:
    opened.server.factory.abortConnections()


@pytest.mark.parametrize("end", [_closes, _aborts, _stops])
def test_ended_here_after_the_end(end: Callable[[Opened], None], logs: Logs) -> None:
    """If the connection is ended here as well while earlier input is delivered, nothing
    remains, and callers of whenDrained are notified."""
    handler = Handler()
    opened = openOne(Recorder(text=handler.begin))
    opened.client.sendBytes(frame(b"a") + frame(b"b"))
    opened.client.transport.shut()
    opened.server.run()
    drained: list[object] = []
    opened.transport.whenDrained().addBoth(drained.append)
    assert drained == []
    end(opened)
    assert len(drained) == 1
    opened.server.run()
    assert handler.ended == ["cancelled"]
    assert opened.recorder.names[2:] == ["text", "lost"]
    assert not opened.server.factory.connections
    assert len(opened.server.factory.deadlines) == 0
    assert logs.failures() == []


def test_reads_on_up_to_a_bound() -> None:
    """While a handler runs, only a few KiB are read in total."""
    handler = Handler()
    opened = openOne(Recorder(text=handler.begin))
    opened.client.send("go")
    read = 0
    while opened.client.transport.reading:
        opened.client.sendBytes(frame(b"x" * 100))
        read += 1
    assert 30 < read < 60
    for number in range(read):
        handler.work[number].callback(None)
        opened.server.run()
        assert len(handler.work) == number + 2
    assert opened.client.transport.reading


def test_closed_by_the_handler() -> None:
    """A handler that closes the connection itself may continue."""
    handler = Handler()

    def close(_: str) -> Deferred[None]:
        opened.transport.loseConnection()
        return handler.begin()

    opened = openOne(Recorder(text=close))
    opened.client.send("go")
    opened.server.advance(10)
    assert opened.client.transport.lost
    assert handler.ended == []
    handler.work[0].callback(None)
    assert handler.ended == ["done"]


# A time for handlers


def test_handler_timeout(logs: Logs) -> None:
    """A handler that takes longer than handler-timeout is cancelled, and its connection
    closed with 1011, not sooner. Each handler has the whole time."""
    handler = Handler()
    opened = openOne(Recorder(text=handler.begin), handler_timeout=30)
    opened.client.send("a")
    opened.server.advance(29)
    handler.work[0].callback(None)
    opened.client.send("b")
    opened.server.advance(29)
    assert opened.client.closed is None
    opened.server.advance(1.5)
    reason = "the application took longer than 30 seconds"
    assert opened.client.closed == (1011, reason)
    closed = opened.recorder.closed
    assert (closed.code, closed.side, closed.setting) == (
        *(1011, Side.SERVER),
        "handler-timeout",
    )
    assert handler.ended == ["done", "cancelled"]
    assert logs.failures() == []


def test_idle_after_a_handler() -> None:
    """A client that is silent after a handler that was done in time isn't closed, and
    the handler's deadline is removed."""
    handler = Handler()
    opened = openOne(Recorder(text=handler.begin), handler_timeout=30, ping_interval=0)
    opened.client.send("a")
    handler.work[0].callback(None)
    opened.server.advance(100)
    assert opened.client.closed is None
    assert len(opened.server.factory.deadlines) == 0


@pytest.mark.parametrize(
    ("setting", "own", "closes"),
    [(0, None, False), (30, 0.0, False), (0, 20.0, True), (1000, 20.0, True)],
)
def test_handler_timeout_of_an_application(
    setting: float, own: float | None, closes: bool
) -> None:
    """handler-timeout can be switched off. The application's own value takes
    precedence."""
    handler = Handler()
    app = App(lambda _: Recorder(text=handler.begin))
    app.handlerTimeout = own  # type: ignore[attr-defined]
    client = MemoryServer(app, settings=Settings(handler_timeout=setting))
    opened = client.connect()
    opened.send("a")
    client.advance(600)
    assert (opened.closed is not None) == closes


def test_coroutines_take_messages_when_they_like() -> None:
    """A coroutine application isn't a handler: it may be busy for long while a message
    waits."""

    @application("busy")
    async def busy(socket: WebSocket) -> None:
        await socket.sleep(3600)
        await socket.send(await socket.receive())

    server = MemoryServer(busy)
    client = server.connect()
    client.send("hello")
    server.advance(3601)
    assert client.messages == ["hello"]


# Handlers that overlap


class Bare:
    """A protocol for C{twisted.web.websocket}, without anything of wsplug."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.next: Deferred[str] | None = None
        self.lost = False
        self.cancelled = False

    def negotiationStarted(self, transport: IWebSocketTransport) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        pass

    def textMessageReceived(self, message: str) -> Any:
        if self.next is not None:
            asked, self.next = self.next, None
            asked.callback(message)
            return None
        return Deferred.fromCoroutine(self._converse(message))

    async def _converse(self, message: str) -> None:
        self.next = Deferred(self._cancelled)
        answer = await self.next
        if answer == "fail":
            raise KeyError("secret")
        self.transport.sendTextMessage(f"{message} {answer}")

    def _cancelled(self, _: object) -> None:
        self.cancelled = True

    def bytesMessageReceived(self, data: bytes) -> None:
        pass

    def pongReceived(self, payload: bytes) -> None:
        pass

    def connectionLost(self, reason: object) -> None:
        self.lost = True


class BareFactory:
    """Its factory."""

    def __init__(self) -> None:
        self.made: list[Bare] = []

    def buildProtocol(self, request: IHandshakeRequest) -> Bare:
        self.made.append(Bare())
        return self.made[-1]


def test_written_for_twisted(logs: Logs) -> None:
    """An application for C{twisted.web.websocket} runs: its handler waits for the
    client's next message, which is delivered meanwhile, and isn't cancelled."""
    factory = BareFactory()
    server = MemoryServer(factory)
    client = server.connect()
    client.sendBytes(frame(b"hello") + frame(b"world"))
    assert client.messages == ["hello world"]
    client.send("once more")
    client.drop()
    (bare,) = factory.made
    assert bare.lost
    assert not bare.cancelled
    assert not server.factory.connections
    other = server.connect()
    other.send("please")
    other.send("fail")
    assert other.closed == (1011, "internal error")
    assert len(logs.failures()) == 1


@pytest.mark.parametrize(
    ("mount", "own", "overlaps"),
    [
        (None, None, False),
        (True, None, True),
        (None, True, True),
        (False, True, False),
    ],
)
def test_who_overlaps(mount: bool | None, own: bool | None, overlaps: bool) -> None:
    """Handlers of applications for wsplug don't overlap unless they say so. The mount's
    setting takes precedence."""
    recorder = Recorder(text=lambda _: Deferred())
    app = App(lambda _: recorder)
    if own is not None:
        app.handlersOverlap = own  # type: ignore[attr-defined]
    server = MemoryServer(App())
    server.factory.mounts = type(server.factory.mounts)(
        [Mount("/", app, overlap=mount)]
    )
    server.connect().sendBytes(frame(b"a") + frame(b"b"))
    assert recorder.got("text") == (["a", "b"] if overlaps else ["a"])


def test_bare_factory_of_wsplugs_protocols() -> None:
    """If a factory declares nothing, but its protocols do, handlers don't overlap."""
    recorder = Recorder(text=lambda _: Deferred())

    class Factory:
        def buildProtocol(self, request: IHandshakeRequest) -> Recorder:
            return recorder

    MemoryServer(Factory()).connect().sendBytes(frame(b"a") + frame(b"b"))
    assert recorder.got("text") == ["a"]


@pytest.mark.parametrize("hasLeft", [False, True])
@pytest.mark.parametrize("end", [_closes, _aborts])
def test_ends_it_in_the_midst(
    end: Callable[[Opened], None], hasLeft: bool, logs: Logs
) -> None:
    """A handler may end the connection when it resumes, with the client connected or
    not, without an error. It is cancelled where it waits next."""
    first: Deferred[None] = Deferred()
    ended: list[str] = []

    async def handle(_: str) -> None:
        await first
        end(opened)
        try:
            await Deferred()
        finally:
            ended.append("ended")

    opened = openOne(Recorder(text=handle))
    opened.client.sendBytes(frame(b"a") + frame(b"b"))
    if hasLeft:
        opened.client.transport.shut()
    opened.server.run()
    first.callback(None)
    opened.server.advance(6)
    assert opened.recorder.names[2:] == ["text", "lost"]
    assert ended == ["ended"]
    assert logs.failures() == []
