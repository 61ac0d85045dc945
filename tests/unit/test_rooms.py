"""Rooms of applications, over the broker's channels."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock

from tests.server.kit import Logs
from wsplug import Application, RequestRefused, Room, Settings, WebSocket
from wsplug.authoring.messages import pack, unpack
from wsplug.broker import Backlog, MemoryBroker, Overflow, Position
from wsplug.errors import BrokerError, ConnectionClosed
from wsplug.jsonmessages import RequestId, WirePosition
from wsplug.testing import MemoryClient, MemoryServer


class Talk(Application):
    """All other clients in the room receive what one sends."""

    async def serve(self, socket: WebSocket) -> None:
        room = self.room("/".join(socket.request.segments))
        async with room.joined(socket):
            async for message in socket:
                await room.send(message, exclude=socket)


def test_send() -> None:
    """A message goes to all clients in the room except an excluded one, on each
    server that shares the broker. Text stays text, and bytes stay bytes.
    """
    here = MemoryServer(Talk)
    there = MemoryServer(Talk, broker=here.broker, clock=here.clock)
    ann, bob = here.connect("/a/b"), here.connect("/a/b")
    cid, dan = there.connect("/a/b"), there.connect("/a")
    ann.send("hello")
    ann.send(b"hello")
    bob.send("\N{GRINNING FACE}")
    there.run()
    assert ann.messages == ["\N{GRINNING FACE}"]
    assert bob.messages == ["hello", b"hello"]
    assert cid.messages == ["hello", b"hello", "\N{GRINNING FACE}"]
    assert dan.messages == []


def test_leaves_at_the_end() -> None:
    """A client that has gone is no longer in the room, and an empty channel is
    forgotten.
    """
    server = MemoryServer(Talk)
    application: Any = server.application
    room = application.room("a")
    ann, bob, cid = (server.connect("/a") for _ in range(3))
    assert room.count == 3
    ann.drop()
    bob.close()
    assert room.count == 1
    cid.close()
    assert room.count == 0
    assert application.room("a") is room
    broker: Any = server.broker
    assert not broker._subscribers.channels()


def test_names_of_channels() -> None:
    """Rooms of two applications are separate, even if they have the same name.

    A prefix, which may be an option, decides whether two mounts share their rooms.
    """

    class Other(Talk):
        prefix: str = ""

    one = MemoryServer(Talk)
    two = MemoryServer(Other, broker=one.broker, clock=one.clock)
    three = MemoryServer(
        Other, broker=one.broker, clock=one.clock, options={"prefix": "talk"}
    )
    rooms: list[Room] = [
        each.application.room("a")  # type: ignore[attr-defined]
        for each in (one, two, three)
    ]
    assert [room.channel for room in rooms] == ["talk/a", "other/a", "talk/a"]
    ann, bob, cid = (each.connect("/a") for each in (one, two, three))
    ann.send("hello")
    three.run()
    assert (bob.messages, cid.messages) == ([], ["hello"])


def test_store() -> None:
    """A room's history can be read, and a new member gets as much of it as the
    application says. Messages that aren't stored aren't part of it.
    """

    class Past(Application):
        async def start(self) -> None:
            room = self.room("a")
            self.first = await room.send("one")
            await room.send(b"two")
            await room.send("three", store=False)
            await room.send_json({"four": 4})

        async def serve(self, socket: WebSocket) -> None:
            limit = socket.request.segments
            room = self.room("a")
            history = await room.join(socket, limit=int(limit[0]) if limit else None)
            await socket.send(str(len(history.publications)))

    server = MemoryServer(Past)
    assert server.connect().messages == ["0"]
    assert server.connect("/2").messages == [b"two", '{"four":4}', "2"]
    assert server.connect("/9").messages == ["one", b"two", '{"four":4}', "3"]
    application: Any = server.application
    past: Any = Deferred.fromCoroutine(application.room("a").history(2)).result
    assert [each.message for each in past] == [b"two", '{"four":4}']
    assert past[1].json() == {"four": 4}
    with pytest.raises(msgspec.ValidationError):
        past[1].json(int)
    assert past[1].position.offset == 3
    later: Any = Deferred.fromCoroutine(
        application.room("a").history(since=application.first)
    ).result
    assert len(later) == 2


def test_joined_too_often() -> None:
    """A connection is in a room at most once.

    Leaving again does no harm, and it can rejoin.
    """
    errors: list[str] = []

    class Often(Application):
        async def serve(self, socket: WebSocket) -> None:
            room = self.room("a")
            await room.leave(socket)
            await room.join(socket)
            assert socket in room
            try:
                await room.join(socket)
            except RequestRefused as error:
                errors.append(str(error))
            assert socket in room
            await room.leave(socket)
            assert socket not in room
            await room.join(socket)
            await room.send("hello")
            await room.leave(socket)
            await room.send("not to it")
            await socket.receive()

    client = MemoryServer(Often).connect()
    assert client.messages == ["hello"]
    assert errors == ["you are in a already"]


# Presence


class Named(Application):
    """Lists the members by name."""

    async def serve(self, socket: WebSocket) -> None:
        room = self.room("a")
        name = socket.request.segments[0]
        async with socket.answering(), room.joined(socket, key=name, info={"at": 1}):
            async for message in socket:
                if message == "who":
                    await socket.send_json(await room.present())
                else:
                    await room.update(socket, message)


def test_presence() -> None:
    """A name is taken only once, has data for others, and is free again at the end,
    on all servers.
    """
    here = MemoryServer(Named)
    there = MemoryServer(Named, broker=here.broker, clock=here.clock)
    ann, bob = here.connect("/ann"), there.connect("/bob")
    again = there.connect("/ann")
    refused = json.loads(again.messages[0])
    assert (refused["code"], refused["message"]) == (
        "key-taken",
        "'ann' is in a already",
    )
    assert again.closed == (1000, "")
    bob.send("busy")
    ann.send("who")
    assert json.loads(ann.messages[0]) == {"ann": {"at": 1}, "bob": "busy"}
    bob.drop()
    ann.send("who")
    assert json.loads(ann.messages[1]) == {"ann": {"at": 1}}
    there.connect("/bob")


def test_long_names() -> None:
    """The length of rooms' names and keys that clients choose is limited."""

    class Long(Application):
        async def serve(self, socket: WebSocket) -> None:
            async for message in socket.json(int):
                async with socket.answering():
                    await self.room("a" * message).join(
                        socket, key="b" * (402 - message)
                    )

    client = MemoryServer(Long).connect()
    client.send("201")
    client.send("200")
    errors = [json.loads(each)["message"] for each in client.messages]
    assert errors == [
        "room: it may have at most 200 characters",
        "key: it may have at most 200 characters",
    ]


class SlowBroker(MemoryBroker):
    """Answers when the test says so."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.waiting: list[Deferred[None]] = []
        self.failsToLeave = False

    def enter(self, channel: str, key: str, info: bytes = b"") -> Deferred[bool]:
        self.waiting.append(Deferred())
        later = MemoryBroker.enter
        return self.waiting[-1].addCallback(lambda _: later(self, channel, key, info))

    def leave(self, channel: str, key: str) -> Deferred[None]:
        if self.failsToLeave:
            return fail(BrokerError("it is away"))
        return super().leave(channel, key)


@pytest.mark.parametrize("target", ["serve", "opened"])
def test_gone_while_joining(target: str) -> None:
    """A client that leaves while the broker is being asked has no key afterwards,
    and isn't in the room.
    """
    ends: list[type] = []

    async def join(self: Any, socket: WebSocket) -> None:
        try:
            await self.room("a").join(socket, key="ann")
        except BaseException as error:
            ends.append(type(error))
            raise

    made: Any = type("Slow", (Application,), {target: join})
    clock = Clock()
    broker = SlowBroker(clock)
    server = MemoryServer(made, broker=broker, clock=clock)
    application: Any = server.application
    room = application.room("a")
    client = server.connect()
    assert room.count == 1
    client.drop()
    server.run()
    assert room.count == 0
    broker.waiting[0].callback(None)
    server.run()
    expected = ConnectionClosed if target == "serve" else CancelledError
    assert issubclass(ends[0], expected)
    assert Deferred.fromCoroutine(room.present()).result == {}


def test_leaving_fails(logs: Logs) -> None:
    """If the broker fails while a client leaves, that is one line in the log."""
    clock = Clock()
    broker = SlowBroker(clock)
    server = MemoryServer(Named, broker=broker, clock=clock)
    client = server.connect("/ann")
    broker.waiting[0].callback(None)
    broker.failsToLeave = True
    client.drop()
    server.run()
    assert logs.lines("ann can't leave named/a: it is away")


def test_broken_broker() -> None:
    """If the broker can't be read, the connection doesn't join."""
    seen: list[object] = []

    class Broken(Application):
        async def serve(self, socket: WebSocket) -> None:
            room = self.room("a")
            try:
                await room.join(socket, key="ann")
            except BrokerError as error:
                seen.extend((str(error), socket in room, await room.present()))

    class Unreadable(MemoryBroker):
        def history(
            self, channel: str, since: Any = None, limit: Any = None
        ) -> Deferred[Any]:
            return fail(BrokerError("it is away"))

    clock = Clock()
    MemoryServer(Broken, broker=Unreadable(clock), clock=clock).connect()
    assert seen == ["it is away", False, {}]


# Slow readers


class Flood(Application):
    """Sends a lot to all members."""

    async def start(self) -> None:
        self.sent = 0

    async def serve(self, socket: WebSocket) -> None:
        async with self.room("a").joined(socket):
            async for message in socket:
                if message == "mine":
                    for _ in range(4):
                        await socket.send(b"y" * 100_000)
                    self.sent += 1
                else:
                    await self.room("a").send(b"x" * 50_000, store=False)


SLOW = Settings(send_timeout=0.0, ping_interval=0.0)


def test_slow_reader_waits() -> None:
    """Messages for a slow reader wait for it, in order, and the other clients don't
    wait. Messages sent to it alone wait, too.
    """
    server = MemoryServer(Flood, settings=SLOW)
    application: Any = server.application
    slow, quick = server.connect(), server.connect()
    slow.stopReading()
    for _ in range(4):
        quick.send("all")
        server.advance(1)
    slow.send("mine")
    server.advance(1)
    assert application.sent == 0
    assert len(quick.messages) == 4
    slow.startReading()
    server.advance(1)
    assert [len(each) for each in slow.messages] == [50_000] * 4 + [100_000] * 4
    assert application.sent == 1
    quick.send("all")
    assert len(slow.messages) == 9


def test_slow_sender_is_excluded() -> None:
    """Messages that a slow reader must not get don't wait for it either."""

    class Others(Application):
        async def serve(self, socket: WebSocket) -> None:
            room = self.room("a")
            async with room.joined(socket):
                if socket.request.segments:
                    self.slow = socket
                async for message in socket:
                    await room.send(message, exclude=self.slow)
                    await room.send(b"x" * 50_000)

    server = MemoryServer(Others, settings=SLOW)
    slow, quick = server.connect("/slow"), server.connect()
    slow.stopReading()
    for _ in range(4):
        quick.send("others")
        server.advance(1)
    slow.startReading()
    assert [len(each) for each in slow.messages] == [50_000] * 4
    assert quick.messages[::2] == ["others"] * 4


def test_slow_reader_is_closed() -> None:
    """A slow reader with too much waiting is closed with 1013."""
    server = MemoryServer(Flood, settings=SLOW)
    slow, quick = server.connect(), server.connect()
    slow.stopReading()
    for _ in range(12):
        quick.send("all")
        server.advance(1)
    slow.startReading()
    assert slow.closed == (1013, "does not read fast enough")
    assert quick.closed is None


@pytest.mark.parametrize("own", [False, True])
def test_slow_reader_misses(own: bool) -> None:
    """Or it gets the number of messages it missed, in the application's own words if
    there are any.
    """

    class Latest(Flood):
        backlog = Backlog(overflow=Overflow.LATEST)

    class Own(Latest):
        def missed(self, room: Room, count: int | None) -> str:
            return f"{room.name}: {count}"

    server = MemoryServer(Own if own else Latest, settings=SLOW)
    slow, quick = server.connect(), server.connect()
    slow.stopReading()
    for _ in range(12):
        quick.send("all")
        server.advance(1)
    slow.startReading()
    server.advance(1)
    (gap,) = [each for each in slow.messages if isinstance(each, str)]
    missed = 12 - (len(slow.messages) - 1)
    expected = f'{{"type":"gap","room":"a","count":{missed}}}'
    assert gap == (f"a: {missed}" if own else expected)
    assert slow.closed is None


# Recovery


class Join(msgspec.Struct, tag_field="type", tag="join"):
    room: str
    since: WirePosition | None = None
    request: RequestId = None


class Leave(msgspec.Struct, tag_field="type", tag="leave"):
    room: str
    request: RequestId = None


class Say(msgspec.Struct, tag_field="type", tag="say"):
    room: str
    text: str


class Recovering(Application):
    """Speaks the protocol that wsplug.js expects."""

    recovery = True
    messages = Join | Leave | Say

    async def received(self, socket: WebSocket, message: Join | Leave | Say) -> None:
        room = self.room(message.room)
        if isinstance(message, Join):
            await room.join(
                socket, limit=2, since=message.since, request=message.request
            )
        elif isinstance(message, Leave):
            await room.leave(socket, request=message.request)
        elif message.text == "typing":
            await room.send_json({"type": "typing"}, store=False)
        else:
            await room.send_json({"type": "said", "text": message.text})


def take(client: MemoryClient) -> list[Any]:
    """Receive all messages, decoded."""
    found = [json.loads(each) for each in client.messages]
    client.messages.clear()
    return found


def say(client: MemoryClient, *texts: str) -> None:
    for text in texts:
        client.send(json.dumps({"type": "say", "room": "a", "text": text}))


def test_recovery() -> None:
    """A client learns its position with each message, and resumes from there.

    It then gets everything since, once and in order, in the form of wsplug.js.
    """
    server = MemoryServer(Recovering)
    ann, bob = server.connect(), server.connect()
    ann.send('{"type":"join","room":"a","request":1}')
    (joined,) = take(ann)
    epoch = joined["position"]["epoch"]
    assert joined == {
        "type": "joined",
        "room": "a",
        "request": 1,
        "position": {"offset": 0, "epoch": epoch},
        "messages": [],
    }
    say(bob, "one", "typing")
    assert take(ann) == [
        {"type": "said", "text": "one", "room": "a", "offset": 1},
        {"type": "typing", "room": "a"},
    ]
    ann.drop()
    say(bob, "two", "three", "four")
    again = server.connect()
    since = {"offset": 1, "epoch": epoch}
    again.send(json.dumps({"type": "join", "room": "a", "since": since}))
    (joined,) = take(again)
    assert joined["recovered"] is False  # it has asked for two
    assert [each["text"] for each in joined["messages"]] == ["three", "four"]
    later = server.connect()
    since = {"offset": 2, "epoch": epoch}
    later.send(json.dumps({"type": "join", "room": "a", "since": since, "request": 5}))
    assert take(later) == [
        {
            "type": "joined",
            "room": "a",
            "request": 5,
            "position": {"offset": 4, "epoch": epoch},
            "recovered": True,
            "messages": [
                {"type": "said", "text": "three", "room": "a", "offset": 3},
                {"type": "said", "text": "four", "room": "a", "offset": 4},
            ],
        }
    ]
    later.send('{"type":"leave","room":"a","request":6}')
    assert take(later) == [{"type": "left", "room": "a", "request": 6}]
    say(bob, "five")
    assert take(later) == []
    strange = server.connect()
    since = {"offset": 2, "epoch": "other"}
    strange.send(json.dumps({"type": "join", "room": "a", "since": since}))
    assert take(strange)[0]["recovered"] is False


def test_recovery_of_everything_else() -> None:
    """A message that isn't a JSON object is wrapped in one; so are those that others
    publish.
    """

    class Any_(Application):
        recovery = True

        async def serve(self, socket: WebSocket) -> None:
            await self.room("a").join(socket)
            async for message in socket:
                await self.room("a").send(message)

    server = MemoryServer(Any_)
    client = server.connect()
    take(client)
    for message in ("text", "[1]", '{"offset":9,"room":5}', b"\xff"):
        client.send(message)
    server.broker.publish("any/a", b"from elsewhere", False)
    server.broker.publish("any/a", b"\xfe\xff")
    server.run()
    assert take(client) == [
        {"type": "message", "room": "a", "offset": 1, "data": "text"},
        {"type": "message", "room": "a", "offset": 2, "data": [1]},
        {"room": "a", "offset": 3},
        {"type": "message", "room": "a", "offset": 4, "data64": "/w=="},
        {"type": "message", "room": "a", "data": "from elsewhere"},
        {"type": "message", "room": "a", "offset": 5, "data64": "/v8="},
    ]


def test_recovery_without_json() -> None:
    """An application with its own format keeps positions itself; a client that has
    missed messages learns that first.
    """

    class Own(Application):
        async def start(self) -> None:
            self.positions: list[Position] = []

        async def serve(self, socket: WebSocket) -> None:
            since = self.positions[int(socket.request.segments[0])]
            await self.room("a").join(socket, since=since)

        async def fill(self) -> None:
            for number in range(1200):
                self.positions.append(await self.room("a").send(str(number)))

    server = MemoryServer(Own)
    application: Any = server.application
    Deferred.fromCoroutine(application.fill())
    assert server.connect("/1198").messages == ["1199"]
    late = server.connect("/10").messages
    assert late[0] == '{"type":"gap","room":"a"}'
    assert late[1:] == [str(number) for number in range(200, 1200)]


def test_past_fits_into_the_backlog() -> None:
    """A client gets no more history at once than may wait for it."""

    class Large(Application):
        backlog = Backlog(size=100_000)
        recovery = True

        async def start(self) -> None:
            room = self.room("a")
            self.first = await room.send("first")
            for _ in range(3):
                await room.send("x" * 40_000)

        async def serve(self, socket: WebSocket) -> None:
            await self.room("a").join(socket, since=self.first)

    (joined,) = take(MemoryServer(Large).connect())
    assert (len(joined["messages"]), joined["recovered"]) == (2, False)


@pytest.mark.parametrize("message", ["", "a", "\ufeff", b"", b"a", b"\xff", b"\xfft"])
@pytest.mark.parametrize("sender", [bytes(8), b"\xff" * 8])
def test_pack(message: str | bytes, sender: bytes) -> None:
    """A message leaves a channel as it went in."""
    unpacked = unpack(pack(message, sender))
    assert unpacked.message == message
    assert type(unpacked.message) is type(message)
    assert unpacked.sender == sender


def test_errors() -> None:
    """A message that can't be sent is an error for the caller, and nothing is sent."""
    application: Any = MemoryServer(Talk).application
    room = application.room("a")
    for message in (5, None):
        errors: list[Any] = []
        Deferred.fromCoroutine(room.send(message)).addErrback(errors.append)
        assert errors[0].check(TypeError)
    with pytest.raises(TypeError, match="a room's name must be a str, not bytes"):
        application.room(b"a")
    assert repr(room) == "<Room 'a'>"
