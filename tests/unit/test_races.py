"""
Applications of one class at the moments when several things happen at once: what ends
while something waits for it, and what is cancelled.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.server.kit import Logs
from wsplug import Application, HandshakeRefused, WebSocket
from wsplug.broker import MemoryBroker
from wsplug.interfaces import IHandshakeRequest
from wsplug.testing import MemoryServer


class SlowBroker(MemoryBroker):
    """
    A broker that answers a tenth of a second later.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.clock = clock

    def _later(self, answer: Any, *arguments: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.clock.callLater(0.1, lambda: answer(*arguments).chainDeferred(done))
        return done

    def enter(self, channel: str, key: str, info: bytes = b"") -> Deferred[bool]:
        return self._later(super().enter, channel, key, info)

    def history(self, *arguments: Any) -> Deferred[Any]:
        return self._later(super().history, *arguments)


class Lobby(Application):
    """
    Join and leave a room without waiting.
    """

    recovery = True

    async def received(self, socket: WebSocket, message: str | bytes) -> None:
        room = self.room("lobby")
        word, _, argument = str(message).partition(" ")
        if word == "join":
            key = argument or None
            socket.spawn(room.join(socket, key=key, limit=5, request=str(message)))
        elif word == "leave":
            await room.leave(socket)
        elif word == "limit":
            await room.history(int(argument))
        else:
            await room.send_json({"text": message})


def app(server: MemoryServer) -> Any:
    """
    Return the application, whose type nobody knows.
    """
    return server.application


def lobby() -> MemoryServer:
    """
    Make a server with a slow broker.
    """
    clock = Clock()
    return MemoryServer(Lobby, clock=clock, broker=SlowBroker(clock))


@pytest.mark.parametrize("key", ["", " bob"])
def test_leaving_while_joining(key: str) -> None:
    """
    A connection that leaves a room while it joins isn't in it, and leaves nothing
    behind.
    """
    server = lobby()
    client, other = server.connect(), server.connect()
    client.send(f"join{key}")
    client.send("leave")
    server.advance(0.5)
    other.send("secret")
    server.advance(0.5)
    assert client.messages == []
    assert client.closed is None
    room = app(server).room("lobby")
    assert room.count == 0
    channels = app(server)._rooms._channels
    assert channels is None or channels.count(room.channel) == 0
    assert app(server)._rooms._sockets == {}
    joining = server.connect()
    joining.send("join bob")
    server.advance(0.5)
    assert room.count == 1
    assert len(joining.messages) == 1


@pytest.mark.parametrize("key", ["", " bob"])
def test_joining_again_while_joining(key: str) -> None:
    """
    A connection that leaves and joins again while it joins gets one answer, and each
    message once.
    """
    server = lobby()
    client = server.connect()
    for message in (f"join{key}", "leave", "join"):
        client.send(message)
    server.advance(1)
    assert len(client.messages) == 1
    assert '"request":"join"' in str(client.messages[0])
    client.send("hello")
    server.advance(1)
    assert len(client.messages) == 2
    client.drop()
    server.advance(1)
    assert app(server).room("lobby").count == 0
    assert app(server)._rooms._sockets == {}


def test_limits_of_clients() -> None:
    """
    A negative limit is none at all, whatever the broker: an application may pass on
    what a client says.
    """
    server = MemoryServer(Lobby)
    client = server.connect()
    client.send("hello")
    client.send("limit -5")
    assert client.closed is None


class Waking(Application):
    """
    Cancel a task that sleeps when the connection's end wakes another.
    """

    async def opened(self, socket: WebSocket) -> None:
        await self.room("lobby").join(socket, key="k")
        socket.spawn(self.main(socket))

    async def main(self, socket: WebSocket) -> None:
        beat = socket.spawn(self.beat(socket))
        try:
            await socket.sleep(1000)
        finally:
            beat.cancel()

    async def beat(self, socket: WebSocket) -> None:
        while True:
            await socket.sleep(100)

    def closed(self, socket: WebSocket, reason: Exception) -> None:
        self.ended = True


def test_cancelling_at_the_end(logs: Logs) -> None:
    """
    Whatever a coroutine does that a connection's end wakes, the connection leaves its
    rooms, and C{closed} is called.
    """
    server = MemoryServer(Waking)
    client = server.connect()
    server.advance(150)  # the heart's sleep is the younger one
    client.drop()
    server.advance(1)
    assert logs.failures() == []
    room = app(server).room("lobby")
    assert room.count == 0
    assert app(server).ended
    again = server.connect()
    assert again.closed is None
    assert room.count == 1
    again.drop()
    server.advance(1)


class Stopping(Application):
    """
    Start a task when another one is cancelled, and cancel a timer from within.
    """

    running = 0
    finished = False

    def start(self) -> None:
        self.spawn(self.run(3))
        self.timer = self.every(1, self.fire)

    async def run(self, rounds: int) -> None:
        self.running += 1
        try:
            await self.sleep(1000)
        finally:
            self.running -= 1
            if rounds:
                self.spawn(self.run(rounds - 1))

    def fire(self) -> Any:
        self.timer.cancel()
        return self.finish()

    async def finish(self) -> None:
        self.finished = True

    def received(self, socket: WebSocket, message: str | bytes) -> None: ...

    def stop(self) -> None:
        self.seen = self.running


def test_tasks_that_start_others() -> None:
    """
    No task runs any more when C{stop} is called, also none that another one has started
    at its end; a timer's coroutine doesn't begin once the timer is cancelled.
    """
    server = MemoryServer(Stopping)
    server.advance(2)
    assert not app(server).finished
    assert app(server).running == 1
    server.stop()
    server.advance(1)
    assert app(server).seen == 0


class Doorkeeper(Application):
    """
    Refuse everybody, by a task of asyncio.
    """

    calls = 0
    most = 0

    def admit(self, request: IHandshakeRequest) -> Any:
        return asyncio.ensure_future(self.refuse())

    async def refuse(self) -> None:
        await asyncio.sleep(0)
        raise HandshakeRefused(403, "no")

    def start(self) -> None:
        self.every(1, lambda: asyncio.ensure_future(self.work()))

    async def work(self) -> None:
        self.calls += 1
        self.most = max(self.most, self.calls)
        await asyncio.sleep(1000)

    async def serve(self, socket: WebSocket) -> None:
        await socket.send("welcome")


def test_futures() -> None:
    """
    A task of asyncio that a method returns is waited for: it decides who is admitted,
    and a timer doesn't call again before it has ended.
    """

    async def main() -> None:
        server = MemoryServer(Doorkeeper)
        with pytest.raises(HandshakeRefused, match="no"):
            await _connect(server)
        server.advance(5)
        await asyncio.sleep(0)
        server.advance(5)
        assert app(server).most == 1
        server.stop()
        for _ in range(10):
            await asyncio.sleep(0)
            server.run()

    asyncio.run(main())


async def _connect(server: MemoryServer) -> None:
    for _ in range(5):
        client = server.connect()
        for _ in range(20):
            await asyncio.sleep(0)
            server.run()
        if client.refused is not None:
            raise client.refused


def test_cancelled_receive() -> None:
    """
    A C{receive} that is cancelled in the turn in which a message comes takes none: the
    next one gets it.
    """
    got: list[object] = []

    class Patient(Application):
        """
        Wait a while for each message.
        """

        async def serve(self, socket: WebSocket) -> None:
            while len(got) < 3:
                waiting = asyncio.ensure_future(socket.receive())
                waits.append(waiting)
                try:
                    got.append(await waiting)
                except asyncio.CancelledError:
                    got.append("cancelled")

    waits: list[asyncio.Future[Any]] = []

    async def main() -> None:
        client = MemoryServer(Patient).connect()
        await asyncio.sleep(0)
        client.send("first")
        waits[-1].cancel()
        await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        client.send("second")
        for _ in range(20):
            await asyncio.sleep(0)

    asyncio.run(main())
    assert got == ["cancelled", "first", "second"]
