"""
An application's connections in channels: who gets what, in which order, and what
happens to those who read too slowly.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.broker.conftest import result
from wsplug import Settings, WebSocketProtocol, application
from wsplug.broker import History, MemoryBroker, Position, Publication
from wsplug.broker.channels import Backlog, Channels, Overflow
from wsplug.errors import BrokerError
from wsplug.testing import MemoryClient, MemoryServer

BIG = b"x" * 50_000


class World:
    """
    A server with an application that does what its clients ask for.
    """

    def __init__(self, backlog: Backlog | None = None) -> None:
        world = self

        class Protocol(WebSocketProtocol):
            def textMessageReceived(self, message: str) -> None:
                word, _, rest = message.partition(" ")
                world.asked(self.transport, word, rest)

            def connectionLost(self, reason: Failure) -> None:
                world.channels.leaveAll(self.transport)

        self.server = MemoryServer(
            application("channels", help="Join and leave.")(Protocol),
            settings=Settings(send_timeout=0.0, ping_interval=0.0),
        )
        self.clock = self.server.clock
        self.broker: Any = self.server.broker
        self.encoded = 0
        self.tellsGaps = True
        options: dict[str, Any] = {} if backlog is None else {"backlog": backlog}
        self.channels = Channels(
            self.broker,
            self.clock,
            self.encode,
            self.encodeGap,
            **options,
        )
        self.failures: list[Failure] = []

    def encode(self, channel: str, publication: Publication) -> str:
        self.encoded += 1
        data = publication.data
        shown = data.decode() if len(data) < 100 else f"{data[:1]!r}*{len(data)}"
        return f"{channel} {publication.offset} {shown}" + "." * len(data)

    def encodeGap(self, channel: str, count: int) -> str | None:
        return f"gap {channel} {count}" if self.tellsGaps else None

    def asked(self, transport: Any, word: str, rest: str) -> None:
        if word == "join":
            channel, _, since = rest.partition(" ")
            position = None
            if since:
                offset, epoch = since.split()
                position = Position(int(offset), epoch)
            joined = self.channels.join(transport, channel, position, 10)
            joined.addCallback(self.joined, transport)
            joined.addErrback(self.failures.append)
        elif word == "leave":
            self.channels.leave(transport, rest)

    def joined(self, history: History, transport: Any) -> None:
        data = ",".join(each.data.decode() for each in history.publications)
        transport.sendTextMessage(f"joined {history.isComplete} [{data}]")

    def connect(self, *joins: str) -> MemoryClient:
        client = self.server.connect()
        for channel in joins:
            client.send(f"join {channel}")
        return client

    def publish(self, channel: str, data: bytes, **options: bool) -> None:
        result(self.broker.publish(channel, data, **options))
        self.server.run()


def _plain(messages: list[str | bytes]) -> list[str]:
    return [str(message).rstrip(".") for message in messages]


def test_all_get_it(world: World) -> None:
    """
    What is published goes to all who are in the channel, encoded once; not to those
    who are in another, or have left.
    """
    first, second = world.connect("a"), world.connect("a", "b")
    other = world.connect("b")
    world.publish("a", b"one")
    assert world.encoded == 1
    assert _plain(first.messages) == ["joined True []", "a 1 one"]
    assert _plain(second.messages) == ["joined True []"] * 2 + ["a 1 one"]
    assert _plain(other.messages) == ["joined True []"]
    assert (world.channels.count("a"), world.channels.count("b")) == (2, 2)
    second.send("leave a")
    world.publish("a", b"two")
    assert _plain(second.messages)[-1] == "a 1 one"
    assert _plain(first.messages)[-1] == "a 2 two"
    first.close()
    world.server.run()
    assert world.channels.count("a") == 0
    world.publish("a", b"to nobody")
    assert world.encoded == 2


def test_past_comes_first(world: World) -> None:
    """
    The past is there when it is joined; what comes later follows.
    """
    world.publish("a", b"1")
    world.publish("a", b"2")
    client = world.connect("a")
    world.publish("a", b"3")
    assert _plain(client.messages) == ["joined True [1,2]", "a 3 3"]


def test_recovery(world: World) -> None:
    """
    Who comes back with a position gets what is behind it, or is told.
    """
    world.publish("a", b"1")
    position = result(world.broker.history("a")).position
    world.publish("a", b"2")
    client = world.connect()
    client.send(f"join a {position.offset} {position.epoch}")
    other = world.connect()
    other.send("join a 1 another")
    assert _plain(client.messages) == ["joined True [2]"]
    assert _plain(other.messages) == ["joined False [1,2]"]


def test_published_while_it_joins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What is published while the past is being read comes once, in its place: in the
    past, or behind it.
    """
    reading: list[tuple[Deferred[History], Any]] = []
    history = world.broker.history

    def slow(*arguments: Any) -> Deferred[History]:
        waiting: Deferred[History] = Deferred()
        reading.append((waiting, arguments))
        return waiting

    monkeypatch.setattr(world.broker, "history", slow)
    client = world.connect("a")
    world.publish("a", b"1")
    world.publish("a", b"moment", store=False)
    read = result(history("a"))
    world.publish("a", b"2")
    assert client.messages == []
    reading[0][0].callback(read)
    world.server.run()
    assert _plain(client.messages) == ["joined True [1]", "a 1 moment", "a 2 2"]
    world.publish("a", b"3")
    assert _plain(client.messages)[-1] == "a 3 3"


def test_leaves_while_it_joins(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Who leaves, or goes, before the past is read gets nothing of what comes later.
    """
    reading: list[Deferred[History]] = []
    history = world.broker.history

    def slow(*arguments: Any) -> Deferred[History]:
        reading.append(Deferred())
        return reading[-1]

    monkeypatch.setattr(world.broker, "history", slow)
    leaving, going = world.connect("a"), world.connect("a")
    leaving.send("leave a")
    going.close()
    world.server.run()
    for each in reading:
        each.callback(result(history("a")))
    world.publish("a", b"1")
    assert _plain(leaving.messages) == ["joined True []"]
    assert world.channels.count("a") == 0


def test_cannot_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Who can't join isn't in the channel.
    """

    def broken(*arguments: Any) -> Deferred[History]:
        raise BrokerError("a: not read")

    monkeypatch.setattr(world.broker, "history", broken)
    world.connect("a")
    assert [failure.type for failure in world.failures] == [BrokerError]
    assert world.channels.count("a") == 0


def test_comes_back_before_it_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Who has left before its joining fails, and has joined again since, stays.
    """
    reading: list[Deferred[History]] = []
    history = world.broker.history

    def slow(*arguments: Any) -> Deferred[History]:
        reading.append(Deferred())
        return reading[-1]

    monkeypatch.setattr(world.broker, "history", slow)
    client = world.connect("a")
    client.send("leave a")
    client.send("join a")
    reading[0].errback(BrokerError("a: not read"))
    reading[1].callback(result(history("a")))
    world.publish("a", b"1")
    assert _plain(client.messages) == ["joined True []", "a 1 1"]
    assert [failure.type for failure in world.failures] == [BrokerError]


def test_twice(world: World) -> None:
    """
    A connection is in a channel once.
    """
    client = world.connect("a")
    connection = next(iter(world.server.factory.connections))
    with pytest.raises(ValueError, match="already"):
        world.channels.join(connection, "a")
    world.publish("a", b"1")
    assert _plain(client.messages) == ["joined True []", "a 1 1"]


# Slow readers


def _slow(overflow: Overflow, **options: float) -> tuple[World, MemoryClient]:
    world = World(Backlog(size=200_000, overflow=overflow, **options))
    client = world.connect("a", "b")
    client.stopReading()
    return world, client


def test_nobody_waits_for_it() -> None:
    """
    One that doesn't read delays nobody, and its backlog is bounded.
    """
    world, _ = _slow(Overflow.OLDEST)
    quick = world.connect("a")
    for number in range(1000):
        world.publish("a", b"%03d" % number + BIG[:5000])
    assert len(quick.messages) == 1001
    assert world.channels.dropped > 900


def test_oldest_are_dropped() -> None:
    """
    It gets what was sent to it before, is told how many it misses, and gets the rest,
    up to the newest, in order.
    """
    world, client = _slow(Overflow.OLDEST)
    for number in range(100):
        world.publish("a", b"%02d" % number + BIG)
    world.publish("b", b"other")
    client.startReading()
    world.server.run()
    messages = _plain(client.messages)[2:]
    gaps = [message for message in messages if message.startswith("gap")]
    assert len(gaps) == 1
    _, channel, count = gaps[0].split()
    assert channel == "a"
    assert int(count) == world.channels.dropped
    offsets = [int(each.split()[1]) for each in messages if each.startswith("a ")]
    assert offsets == sorted(offsets)
    assert offsets[-1] == 100
    assert len(offsets) + int(count) == 100
    assert messages[-1] == "b 1 other"
    world.publish("a", b"and on")
    assert _plain(client.messages)[-1] == "a 101 and on"


def test_only_the_latest() -> None:
    """
    Of what didn't fit, it gets the newest only.
    """
    world, client = _slow(Overflow.LATEST)
    for number in range(100):
        world.publish("a", b"%02d" % number + BIG)
    client.startReading()
    world.server.run()
    messages = _plain(client.messages)[2:]
    offsets = [int(each.split()[1]) for each in messages if each.startswith("a ")]
    assert offsets[-1] == 100
    assert len(offsets) + world.channels.dropped == 100


def test_not_told() -> None:
    """
    Where there is no message for it, nobody is told of a gap.
    """
    world, client = _slow(Overflow.OLDEST)
    world.tellsGaps = False
    for number in range(100):
        world.publish("a", b"%02d" % number + BIG)
    client.startReading()
    messages = _plain(client.messages)[2:]
    assert len(messages) + world.channels.dropped == 100
    assert all(message.startswith("a ") for message in messages)


def test_close() -> None:
    """
    It is closed with 1013, and the others go on.
    """
    world, client = _slow(Overflow.CLOSE)
    quick = world.connect("a")
    for number in range(100):
        world.publish("a", b"%02d" % number + BIG)
    assert world.channels.count("a") == 1
    assert len(quick.messages) == 101
    client.startReading()
    world.server.run()
    assert client.closed == (1013, "does not read fast enough")


def test_much_in_one_turn() -> None:
    """
    What is published in one turn, however much, is held against nobody who reads.
    """
    world = World(Backlog(size=200_000))
    client = world.connect("a")
    for number in range(100):
        world.broker.publish("a", b"%02d" % number + BIG)
    world.server.run()
    assert len(client.messages) == 101
    assert client.closed is None
    assert world.channels.count("a") == 1


def test_too_long() -> None:
    """
    The first of what waits may not wait for longer than that.
    """
    world, client = _slow(Overflow.OLDEST, age=10.0)
    for number in range(30):
        world.publish("a", b"%02d" % number + BIG[:20_000])
    before = world.channels.dropped
    world.clock.advance(11)
    world.publish("a", b"new")
    assert world.channels.dropped > before
    client.startReading()
    world.server.run()
    assert _plain(client.messages)[-1] == "a 31 new"


@pytest.fixture
def world() -> World:
    """
    One with the default backlog.
    """
    return World()


def test_memory_broker(world: World) -> None:
    """
    It is the server's own in memory where no other was given.
    """
    assert isinstance(world.broker, MemoryBroker)
