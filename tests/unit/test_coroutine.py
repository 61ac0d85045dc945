"""The short form of an application: @application over a coroutine function or a
class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from twisted.internet.defer import Deferred

from tests.server.kit import Logs
from wsplug import ConnectionClosed, Settings, WebSocket, WebSocketProtocol, application
from wsplug.errors import InvalidOption
from wsplug.interfaces import IWebSocketApplicationPlugin
from wsplug.options import REQUIRED, choice
from wsplug.testing import MemoryServer


def test_async_for() -> None:
    """Messages arrive one after the other; the iteration ends with the connection."""
    seen: list[str | bytes] = []
    closed: list[ConnectionClosed | None] = []

    @application("shout")
    async def shout(socket: WebSocket) -> None:
        async for message in socket:
            seen.append(message)
            await socket.send(message.upper())
        closed.append(socket.closed)

    client = MemoryServer(shout).connect()
    client.send("a")
    client.send(b"b")
    assert client.messages == ["A", b"B"]
    client.close(4000, "bye")
    assert seen == ["a", b"b"]
    assert str(closed[0]) == "closed by the peer, 4000: bye"


def test_return_closes() -> None:
    """When a coroutine returns, the connection closes in order; later messages are
    discarded.
    """

    @application("once")
    async def once(socket: WebSocket) -> None:
        await socket.send("got " + str(await socket.receive()))

    client = MemoryServer(once).connect()
    client.send("x")
    assert client.messages == ["got x"]
    assert client.closed == (1000, "")
    assert client.transport.lost


def test_close() -> None:
    """close sends code and reason; a later send waits for the end."""

    @application("no")
    async def no(socket: WebSocket) -> None:
        socket.close(4001, "no")
        with pytest.raises(ConnectionClosed) as caught:
            await socket.send("dropped")
        assert caught.value.code == 4001

    client = MemoryServer(no).connect()
    assert client.closed == (4001, "no")
    assert client.messages == []


def test_messages_wait_to_be_taken() -> None:
    """The next message is read only after the last one was received.

    Messages stay in order, and one that came before the end isn't lost.
    """
    seen: list[str | bytes] = []
    go: list[Deferred[None]] = [Deferred() for _ in range(3)]

    @application("slow")
    async def slow(socket: WebSocket) -> None:
        for waiting in go:
            await waiting
            seen.append(await socket.receive())

    client = MemoryServer(slow).connect()
    client.send("a")
    client.send("b")
    go[0].callback(None)
    assert seen == ["a"]
    client.send("c")
    go[1].callback(None)
    client.send("d")
    assert seen == ["a", "b"]
    client.transport.abortConnection()
    go[2].callback(None)
    assert seen == ["a", "b", "c"]


def test_receive_twice() -> None:
    """Only one caller may wait for the next message."""
    sockets: list[WebSocket] = []

    @application("keep")
    async def keep(socket: WebSocket) -> None:
        sockets.append(socket)
        await socket.receive()

    MemoryServer(keep).connect()
    with pytest.raises(RuntimeError, match="another coroutine"):
        sockets[0].receive().send(None)


def test_send_waits_while_the_peer_is_slow() -> None:
    """send() waits as long as the client's buffer is full."""
    sent: list[int] = []

    @application("flood")
    async def flood(socket: WebSocket) -> None:
        for number in range(20):
            await socket.send(b"x" * 50_000)
            sent.append(number)
        await socket.receive()

    server = MemoryServer(flood)
    client = server.connect()
    assert len(sent) == 20
    assert client.messages == [b"x" * 50_000] * 20
    sent.clear()


def test_send_waits_for_the_reader() -> None:
    """A client that doesn't read delays its own coroutine, and nothing accumulates."""
    sent: list[int] = []

    @application("flood")
    async def flood(socket: WebSocket) -> None:
        await socket.receive()
        while True:
            await socket.send(b"x" * 50_000)
            sent.append(1)

    server = MemoryServer(flood, settings=Settings(close_timeout=1))
    client = server.connect()
    client.stopReading()
    client.send("go")
    count = len(sent)
    assert count < 10
    server.advance(10)
    assert len(sent) == count
    server.advance(25)  # the client never reads, so it is dropped: 1013
    assert client.transport.lost
    assert len(sent) == count


def test_sleep() -> None:
    """A coroutine can wait on the server's clock; the connection's end wakes it."""
    ended: list[int] = []

    @application("tick")
    async def tick(socket: WebSocket) -> None:
        try:
            while True:
                await socket.send("tick")
                await socket.sleep(5)
        except ConnectionClosed as closed:
            ended.append(closed.code)
            raise

    server = MemoryServer(tick)
    client = server.connect()
    server.advance(11)
    assert client.messages == ["tick"] * 3
    client.close(4000)
    assert ended == [4000]
    assert not server.clock.getDelayedCalls()


def test_after_the_end() -> None:
    """After the connection has ended, every call raises ConnectionClosed."""
    results: list[int] = []
    go: Deferred[None] = Deferred()

    @application("late")
    async def late(socket: WebSocket) -> None:
        await go
        calls: list[Callable[[], Any]] = [
            socket.receive,
            lambda: socket.send("x"),
            lambda: socket.sleep(1),
            socket.drained,
        ]
        for call in calls:
            with pytest.raises(ConnectionClosed) as caught:
                await call()
            results.append(caught.value.code)
        async for _ in socket:
            results.append(0)

    client = MemoryServer(late).connect()
    client.close(4000)
    go.callback(None)
    assert results == [4000] * 4


def test_exception(logs: Logs) -> None:
    """A coroutine that raises closes with 1011, and the log has the traceback."""

    @application("fails")
    async def fails(socket: WebSocket) -> None:
        await socket.receive()
        raise KeyError("secret")

    client = MemoryServer(fails).connect()
    client.send("x")
    assert client.closed == (1011, "internal error")
    (failure,) = logs.failures()
    assert failure.check(KeyError)
    assert logs.lines("fails failed") == ["fails failed while serving 192.0.2.1:50000"]


def test_connection_closed_is_no_error() -> None:
    """An uncaught ConnectionClosed is the usual end of a coroutine, and isn't
    logged."""

    @application("plain")
    async def plain(socket: WebSocket) -> None:
        while True:
            await socket.receive()

    client = MemoryServer(plain).connect()
    client.drop()


def test_other_connections_end_is_an_error(logs: Logs) -> None:
    """A coroutine that fails because another connection is closed, as in a relay,
    counts as failed: its own connection would have no coroutine any more.
    """
    waiting: list[WebSocket] = []

    @application("relay")
    async def relay(socket: WebSocket) -> None:
        waiting.append(socket)
        if len(waiting) == 2:
            await waiting[0].send(await socket.receive())

    server = MemoryServer(relay)
    first, second = server.connect(), server.connect()
    first.drop()
    second.send("x")
    assert second.closed == (1011, "internal error")
    (failure,) = logs.failures()
    assert failure.check(ConnectionClosed)


def test_several_connections() -> None:
    """Each connection has its own coroutine."""

    @application("count")
    async def counts(socket: WebSocket) -> None:
        count = 0
        async for _ in socket:
            count += 1
            await socket.send(str(count))

    server = MemoryServer(counts)
    one, two = server.connect(), server.connect()
    one.send("x")
    one.send("x")
    two.send("x")
    assert (one.messages, two.messages) == (["1", "2"], ["1"])


# Declaration


def test_options() -> None:
    """Keyword-only parameters are options, with types, help and defaults."""

    @application("all", subprotocols=["v1"], pages="/tmp")
    async def everything(
        socket: WebSocket,
        *,
        name: str,
        max_size: Annotated[int, "How much."] = 5,
        rate: float = 0.5,
        loud: bool = False,
        color: Annotated[str, choice("red", "blue"), "Which."] = "red",
    ) -> None:
        """First line.

        More.
        """
        await socket.send(repr((name, max_size, rate, loud, color)))

    assert IWebSocketApplicationPlugin.providedBy(everything)
    assert (everything.name, everything.help) == ("all", "First line.")
    options = {option.name: option for option in everything.options}
    assert list(options) == ["name", "max-size", "rate", "loud", "color"]
    assert options["name"].default is REQUIRED
    assert options["max-size"].help == "How much."
    assert options["loud"].shownDefault == "no"
    given: dict[str, object] = {"name": "x", "max-size": "7", "loud": "yes"}
    server = MemoryServer(everything, options=given)
    client = server.connect(subprotocols=["v1"])
    assert client.messages == ["('x', 7, 0.5, True, 'red')"]
    assert client.subprotocol == "v1"
    assert server.application.pages == "/tmp"
    with pytest.raises(InvalidOption, match="'name' is missing"):
        MemoryServer(everything)


def test_kinds_of_ones_own() -> None:
    """The first argument of Annotated may be any kind."""

    @application("kinds")
    async def kinds(
        socket: WebSocket,
        *,
        color: Annotated[choice("red", "blue"), "Which."] = "red",  # type: ignore[valid-type]
    ) -> None:
        await socket.send(str(color))

    assert MemoryServer(kinds, options={"color": "blue"}).connect().messages == ["blue"]
    with pytest.raises(InvalidOption, match="color takes one of red, blue"):
        MemoryServer(kinds, options={"color": "green"})


def test_class() -> None:
    """A class is instantiated for each connection, with its options."""

    @application("greet", help="Greet.")
    class Greet(WebSocketProtocol):
        def __init__(self, *, word: str = "hello") -> None:
            self.word = word

        def textMessageReceived(self, message: str) -> None:
            self.transport.sendTextMessage(f"{self.word} {message}")

    client = MemoryServer(Greet, options={"word": "hi"}).connect()
    client.send("you")
    client.send(b"ignored")
    client.ping()
    assert client.messages == ["hi you"]
    assert repr(Greet) == "<application 'greet'>"


def test_neither_function_nor_class() -> None:
    """A declaration that can't be an application raises TypeError."""
    with pytest.raises(TypeError, match="neither a coroutine function"):

        @application("plain")  # type: ignore[arg-type]
        def plain(socket: WebSocket) -> None: ...

    with pytest.raises(TypeError, match="can't be an option"):

        @application("odd")
        async def odd(socket: WebSocket, *, when: list[int]) -> None: ...
