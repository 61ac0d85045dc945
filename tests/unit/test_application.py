"""Applications of one class: L{wsplug.Application}."""

from __future__ import annotations

import gc
import re
import weakref
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from tests.server.kit import Logs
from wsplug import (
    Application,
    ConnectionClosed,
    HandshakeRefused,
    Services,
    Settings,
    WebSocket,
)
from wsplug.broker import MemoryBroker
from wsplug.errors import InvalidOption, PluginFailed, UnknownApplication
from wsplug.interfaces import (
    IHandshakeRequest,
    IWebSocketApplication,
    IWebSocketApplicationPlugin,
)
from wsplug.options import REQUIRED, integer
from wsplug.plugins import Description, loadPlugin, makeMount
from wsplug.testing import MemoryServer


class Total(Application):
    """Add up, for all together.

    More for those who read the source.
    """

    step: Annotated[int, "how much each message counts"] = 1
    per_visit: Annotated[float, "what a visit counts"] = 0.5
    names: ClassVar[dict[str, int]] = {}
    _secret: Missing  # type: ignore[name-defined]  # noqa: F821

    async def start(self) -> None:
        self.total = 0.0
        self.ended: list[str] = []

    async def serve(self, socket: WebSocket) -> None:
        self.total += self.per_visit
        socket.state.messages = 0
        async for message in socket:
            socket.state.messages += 1
            self.total += self.step
            await socket.send(f"{message!s} {self.total} {socket.state.messages}")
            if message == "bye":
                return

    async def stop(self) -> None:
        self.ended.append("stopped")


def test_serve() -> None:
    """One instance serves all connections, and each connection has its own state.

    Returning closes with code 1000. start and stop are called.
    """
    server = MemoryServer(Total, options={"step": "10"})
    one, two = server.connect(), server.connect()
    one.send("a")
    two.send("b")
    two.send("bye")
    assert one.messages == ["a 11.0 1"]
    assert two.messages == ["b 21.0 1", "bye 31.0 2"]
    assert two.closed == (1000, "")
    server.stop()
    server.advance(1)
    application: Any = server.application
    assert application.ended == ["stopped"]
    verifyObject(IWebSocketApplication, application)


def test_class_is_the_plugin() -> None:
    """The class provides what --app needs: name, help and options."""
    verifyObject(IWebSocketApplicationPlugin, Total)
    assert (Total.name, Total.help) == ("total", "Add up, for all together.")
    shown = [(each.name, each.default, each.help) for each in Total.options]
    assert shown == [
        ("step", 1, "how much each message counts"),
        ("per-visit", 0.5, "what a visit counts"),
    ]
    with pytest.raises(InvalidOption, match="per-visit takes"):
        MemoryServer(Total, options={"per-visit": "many"})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Load", "load"),
        ("LoadBoard", "load-board"),
        ("JSONServer", "json-server"),
        ("_Quiz2", "quiz2"),
        ("HTTP", "http"),
        ("load_board", "load-board"),
        ("Load_Board", "load-board"),
    ],
)
def test_names(name: str, expected: str) -> None:
    """The name for --app is made from the class's name."""

    async def serve(self: Any, socket: WebSocket) -> None: ...

    made: Any = type(name, (Application,), {"serve": serve})
    assert made.name == expected


def test_settings() -> None:
    """name, help, subprotocols, pages and handlerTimeout aren't options, annotated or
    not, and take effect.
    """

    class Set(Application):
        """Not the application's help, which the attribute sets."""

        name: str = "another"
        help = "But this."
        subprotocols: tuple[str, ...] = ("one", "two")
        handlerTimeout: float | None = 5.0
        pages = Path(__file__).parent

        async def serve(self, socket: WebSocket) -> None:
            await socket.receive()

    assert (Set.name, Set.help, Set.options) == ("another", "But this.", ())
    server = MemoryServer(Set)
    assert server.connect(subprotocols=["two"]).subprotocol == "two"
    assert server.request("GET", "/test_application.py").status == 200


def test_bases() -> None:
    """An intermediate base class is no plugin.

    Subclasses inherit its options and may change them.
    """

    class Base(Application, abstract=True):
        """A base class only."""

        speed: int = 1
        place: str

        async def serve(self, socket: WebSocket) -> None:
            await socket.send(f"{self.place} {self.speed}")

    class Derived(Base):
        speed = 7
        more: bool = False

    assert not IWebSocketApplicationPlugin.providedBy(Base)
    assert IWebSocketApplicationPlugin.providedBy(Derived)
    assert not IWebSocketApplicationPlugin.implementedBy(Derived)
    assert Derived.help == ""
    assert [(each.name, each.default) for each in Derived.options] == [
        ("speed", 7),
        ("place", REQUIRED),
        ("more", False),
    ]
    with pytest.raises(InvalidOption, match="'place' is missing"):
        MemoryServer(Derived)
    assert MemoryServer(Derived, options={"place": "x"}).connect().messages == ["x 7"]


def test_kinds() -> None:
    """A kind may follow a type in Annotated, so that type checkers understand the
    annotation.
    """

    class Sided(Application):
        sides: Annotated[int, integer(2, 100), "how many sides"] = 6

        async def serve(self, socket: WebSocket) -> None: ...

    assert Sided.options[0].help == "how many sides"
    with pytest.raises(InvalidOption, match=r"sides takes .*2 to 100"):
        MemoryServer(Sided, options={"sides": "1"})


def test_made_by_hand() -> None:
    """A program that embeds the server creates the application itself, with the options
    it chooses.
    """
    clock = Clock()
    services = Services(clock, clock, MemoryBroker(clock))
    total = Total(services, step=3)
    client = MemoryServer(total, clock=clock).connect()
    client.send("a")
    assert client.messages == ["a 3.5 1"]
    total.services.store.set("key", b"value")
    other = Services(clock, clock, services.broker, application="total")
    assert other.store.get("key").result == b"value"
    with pytest.raises(TypeError, match="Total has no option pace"):
        Total(services, pace=3)

    class Needy(Application):
        place: str

        async def serve(self, socket: WebSocket) -> None: ...

    with pytest.raises(TypeError, match="Needy: the option place is missing"):
        Needy(services)


def test_contradicting_options(tmp_path: Path) -> None:
    """An application may refuse its options in its constructor; wsplug check reports
    it.
    """
    body = (
        SERVE + "def __init__(self, services, **options):\n"
        "    super().__init__(services, **options)\n"
        "    raise InvalidOption(f'{self.name}: nothing fits')\n"
    )
    first = "from wsplug.errors import InvalidOption\nclass Load(Application):"
    with pytest.raises(InvalidOption, match=r"--app .*load\.py: load: nothing fits"):
        declare(tmp_path, body, first)


# Events


class Noted(Application):
    """Record the events."""

    async def start(self) -> None:
        self.events: list[object] = []
        self.go: list[Deferred[None]] = []

    async def opened(self, socket: WebSocket) -> None:
        self.events.append("opened")
        await socket.send("hello")

    async def received(self, socket: WebSocket, message: str | bytes) -> None:
        self.events.append(message)
        if message == "wait":
            self.go.append(Deferred())
            await self.go[-1]
            self.events.append("waited")
        elif message == "fail":
            raise RuntimeError("no")

    def closed(self, socket: WebSocket, reason: ConnectionClosed) -> None:
        self.events.append(reason.code)
        assert socket.closed is reason

    def noticed(self, socket: WebSocket, text: str) -> None:
        self.events.append(f"notice {text}")


def test_events() -> None:
    """Each event has its method, and events come in order: the next message waits until
    the method for the last one is done.
    """
    server = MemoryServer(Noted)
    application: Any = server.application
    client = server.connect()
    assert client.messages == ["hello"]
    client.send("wait")
    client.send(b"next")
    assert application.events == ["opened", "wait"]
    application.go[0].callback(None)
    server.run()
    assert application.events == ["opened", "wait", "waited", b"next"]
    client.close(4000, "bye")
    assert application.events[4:] == [4000]


def test_receive_is_for_serve(logs: Logs) -> None:
    """A method for events that calls receive would wait for ever.

    It gets an error instead.
    """

    class Asking(Application):
        async def opened(self, socket: WebSocket) -> None:
            await socket.receive()

    client = MemoryServer(Asking).connect()
    assert client.closed == (1011, "internal error")
    (failure,) = logs.failures()
    assert (
        str(failure.value) == "messages come to 'received'; only 'serve' asks for them"
    )


def test_event_fails(logs: Logs) -> None:
    """If a method raises, that is logged once and closes its connection with 1011."""
    server = MemoryServer(Noted)
    client = server.connect()
    client.send("fail")
    assert client.closed == (1011, "internal error")
    assert [str(each.value) for each in logs.failures()] == ["no"]


def test_event_is_cancelled() -> None:
    """When the connection ends, so does whatever a method awaits; nothing is logged."""
    server = MemoryServer(Noted)
    application: Any = server.application
    client = server.connect()
    client.send("wait")
    client.drop()
    server.run()
    assert application.events == ["opened", "wait", 1006]
    assert application.go[0].called


def test_event_timeout() -> None:
    """A method may take as long as handlerTimeout allows."""

    class Slow(Application):
        handlerTimeout = 2.0

        async def received(self, socket: WebSocket, message: str | bytes) -> None:
            await socket.sleep(10)

    server = MemoryServer(Slow)
    client = server.connect()
    client.send("a")
    server.advance(3)
    assert client.closed == (1011, "the application took longer than 2 seconds")


def test_serve_has_no_timeout() -> None:
    """A coroutine may take any time over a message."""

    class Slow(Application):
        async def serve(self, socket: WebSocket) -> None:
            await socket.sleep(100)
            await socket.send(await socket.receive())

    server = MemoryServer(Slow, settings=Settings(handler_timeout=1))
    client = server.connect()
    client.send("a")
    server.advance(100)
    assert client.messages == ["a"]


def test_notices() -> None:
    """Operators' notices go to applications that have the method, and only those count
    as delivered.
    """
    server = MemoryServer(Noted)
    client = server.connect()
    (connection,) = server.factory.connections
    assert connection.notify("soon")
    server.run()
    application: Any = server.application
    assert application.events == ["opened", "notice soon"]
    client.close()
    silent = MemoryServer(Total)
    silent.connect()
    (connection,) = silent.factory.connections
    assert not connection.notify("soon")


def test_slow_reader() -> None:
    """send waits in a method for events, as in a coroutine."""
    done: list[int] = []

    class Much(Application):
        async def received(self, socket: WebSocket, message: str | bytes) -> None:
            for number in range(4):
                await socket.send(b"x" * 100_000)
                done.append(number)

    server = MemoryServer(Much)
    client = server.connect()
    client.stopReading()
    client.send("go")
    assert len(done) < 4
    client.startReading()
    assert len(done) == 4


# Handshakes


def test_admit() -> None:
    """A handshake can be refused, choose a subprotocol, or be awaited."""

    class Door(Application):
        async def admit(self, request: IHandshakeRequest) -> None:
            if request.segments == ("later",):
                await self.sleep(1)
            elif request.segments:
                raise HandshakeRefused(404, "nobody there")
            request.subprotocol = request.subprotocols[-1]

        async def serve(self, socket: WebSocket) -> None:
            await socket.send(str(socket.request.subprotocol))

    server = MemoryServer(Door)
    with pytest.raises(HandshakeRefused, match="404 nobody there"):
        server.connect("/x", subprotocols=["a"])
    assert server.connect(subprotocols=["a", "b"]).messages == ["b"]
    client = server.connect("/later", subprotocols=["c"])
    assert not client.opened
    server.advance(1)
    assert client.messages == ["c"]


def test_admit_at_once() -> None:
    """The method for handshakes needn't be a coroutine."""

    class Door(Application):
        def admit(self, request: IHandshakeRequest) -> None:
            raise HandshakeRefused(403, "closed")

        def opened(self, socket: WebSocket) -> None: ...

    with pytest.raises(HandshakeRefused, match="403 closed"):
        MemoryServer(Door).connect()


# Tasks and timers


def test_task_of_the_server(logs: Logs) -> None:
    """A task of the application runs without a connection and is cancelled at the stop,
    before stop is called. If it fails, that is logged once, and the application goes
    on.
    """
    seen: list[str] = []

    class Busy(Application):
        async def start(self) -> None:
            self.spawn(self.work())

        async def work(self) -> None:
            try:
                while True:
                    await self.sleep(1)
                    seen.append("worked")
            finally:
                await self.sleep(1)
                seen.append("ended")

        async def fail(self) -> None:
            await self.sleep(1)
            raise RuntimeError("no")

        async def received(self, socket: WebSocket, message: str | bytes) -> None:
            self.spawn(self.fail())

        async def stop(self) -> None:
            seen.append("stop")

    server = MemoryServer(Busy)
    client = server.connect()
    client.send("fail")
    server.advance(2)
    assert seen == ["worked", "worked"]
    assert [str(each.value) for each in logs.failures()] == ["no"]
    assert any(
        each.startswith("busy: test_task_of_the_server.<locals>")
        for each in logs.lines("busy: ")
    )
    assert client.closed is None
    stopping = server.stop()
    server.advance(3)
    assert seen == ["worked", "worked", "ended", "stop"]
    assert stopping.called


def test_task_of_a_connection(logs: Logs) -> None:
    """A task of a connection is cancelled when the connection ends.

    If it fails, that is logged once and closes its connection.
    """
    seen: list[str] = []

    class Busy(Application):
        async def work(self, socket: WebSocket) -> None:
            try:
                await Deferred[None]()
            finally:
                seen.append("ended")

        async def fail(self, socket: WebSocket) -> None:
            await socket.sleep(1)
            raise RuntimeError("no")

        async def serve(self, socket: WebSocket) -> None:
            async for message in socket:
                work = self.fail(socket) if message == "fail" else self.work(socket)
                task = socket.spawn(work)
                if message == "stop":
                    task.cancel()
                    task.cancel()
                    await socket.send(str(task.done))

    server = MemoryServer(Busy)
    one, two = server.connect(), server.connect()
    one.send("work")
    one.send("stop")
    assert one.messages == ["True"]
    assert seen == ["ended"]
    two.send("fail")
    server.advance(1)
    assert two.closed == (1011, "internal error")
    assert [str(each.value) for each in logs.failures()] == ["no"]
    assert one.closed is None
    one.drop()
    assert seen == ["ended", "ended"]


def test_task_and_the_end() -> None:
    """A task that sends when its connection has closed ends quietly.

    Starting a task after the close raises an error in the connection.
    """
    late: list[str] = []

    class Busy(Application):
        async def work(self, socket: WebSocket) -> None:
            while True:
                await socket.sleep(1)
                await socket.send("tick")

        async def serve(self, socket: WebSocket) -> None:
            socket.spawn(self.work(socket))
            async for _ in socket:
                pass
            try:
                socket.spawn(self.work(socket))
            except ConnectionClosed:
                late.append("refused")

    server = MemoryServer(Busy)
    client = server.connect()
    server.advance(2)
    assert client.messages == ["tick", "tick"]
    client.close()
    server.advance(2)
    assert late == ["refused"]


def test_task_cancels_itself() -> None:
    """A coroutine may cancel the task or timer that it runs in."""
    seen: list[str] = []

    class Busy(Application):
        async def start(self) -> None:
            self.task: Any = self.spawn(self.work())
            self.timer: Any = self.every(1, self.tick)

        async def work(self) -> None:
            await self.sleep(1)
            self.task.cancel()
            seen.append("still here")
            await self.sleep(1)
            seen.append("never")

        async def tick(self) -> None:
            seen.append("tick")
            self.timer.cancel()

        async def serve(self, socket: WebSocket) -> None: ...

    server = MemoryServer(Busy)
    server.advance(5)
    assert sorted(seen) == ["still here", "tick"]


def test_spawn_takes_coroutines() -> None:
    """Only coroutines can be tasks; a function is an error."""

    class Busy(Application):
        async def start(self) -> None:
            self.spawn(self.start)  # type: ignore[arg-type]

        async def serve(self, socket: WebSocket) -> None: ...

    with pytest.raises(TypeError, match="spawn takes a coroutine, not <bound method"):
        MemoryServer(Busy)


def test_every() -> None:
    """A timer keeps its interval, however long a call takes.

    While a call still runs, the timer doesn't call again, and missed calls are dropped.
    """
    seen: list[float] = []

    class Timed(Application):
        async def start(self) -> None:
            self.last: Deferred[None] | None = None
            self.timer = self.every(1, self.tick, "x")

        async def tick(self, word: str) -> None:
            assert word == "x"
            seen.append(self.services.clock.seconds())
            if len(seen) == 2:
                await self.sleep(2.5)

        async def serve(self, socket: WebSocket) -> None: ...

    server = MemoryServer(Timed)
    server.advance(7)
    assert seen == [1, 2, 5, 6, 7]
    application: Any = server.application
    application.timer.cancel()
    application.timer.cancel()
    server.advance(3)
    assert len(seen) == 5


def test_every_is_cancelled_while_it_runs() -> None:
    """Cancelling a timer also cancels the call that is running."""
    seen: list[str] = []

    class Timed(Application):
        async def start(self) -> None:
            self.timer = self.every(1, self.tick)

        async def tick(self) -> None:
            try:
                await self.sleep(10)
            finally:
                seen.append("over")

        async def serve(self, socket: WebSocket) -> None: ...

    server = MemoryServer(Timed)
    server.advance(2)
    application: Any = server.application
    application.timer.cancel()
    assert seen == ["over"]
    server.advance(3)
    assert seen == ["over"]


def test_every_fails(logs: Logs) -> None:
    """A timer goes on after a failure.

    Of several failures in a row, the log shows the first and their number.
    """
    results = [False, True, True, True, False, True]

    class Timed(Application):
        async def start(self) -> None:
            self.every(1, self.tick)

        def tick(self) -> None:
            if results and results.pop(0):
                raise RuntimeError("no")

        async def serve(self, socket: WebSocket) -> None: ...

    server = MemoryServer(Timed)
    server.advance(7)
    assert len(logs.failures()) == 2
    assert logs.lines("works again") == [
        "timed: test_every_fails.<locals>.Timed.tick works again, after 3 failures"
    ]
    server.stop()


def test_later(logs: Logs) -> None:
    """A delayed call runs once, unless it is cancelled or the server stops; a failure
    is logged.
    """
    seen: list[int] = []

    class Timed(Application):
        async def start(self) -> None:
            self.later(0, seen.append, 0)
            self.later(1, self.fail)
            self.later(2, seen.append, 2)
            self.later(3, seen.append, 3).cancel()
            self.later(9, seen.append, 9)

        async def fail(self) -> None:
            raise RuntimeError("no")

        async def serve(self, socket: WebSocket) -> None: ...

    server = MemoryServer(Timed)
    server.advance(5)
    assert seen == [0, 2]
    assert [str(each.value) for each in logs.failures()] == ["no"]
    server.stop()
    server.advance(9)
    assert seen == [0, 2]
    assert not server.clock.getDelayedCalls()


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_impossible_times(seconds: float) -> None:
    """A timer with an interval of zero, below zero, or NaN is an error."""
    application: Any = MemoryServer(Total).application
    with pytest.raises(ValueError, match="a timer takes more than 0 seconds"):
        application.every(seconds, print)
    if seconds:
        with pytest.raises(ValueError, match="a timer takes 0 or more seconds"):
            application.later(seconds, print)


def test_failed_start() -> None:
    """If start fails, the server fails to start, and whatever start began is ended."""

    class Broken(Application):
        async def start(self) -> None:
            self.every(1, print)
            raise InvalidOption("nothing to serve")

        async def serve(self, socket: WebSocket) -> None: ...

    with pytest.raises(InvalidOption, match="nothing to serve"):
        MemoryServer(Broken)


@pytest.mark.parametrize("style", ["serve", "opened"])
def test_nothing_is_left(style: str) -> None:
    """A connection with state, tasks and rooms is freed when it ends, without the
    garbage collector.
    """
    sockets: list[weakref.ref[WebSocket]] = []

    async def work(socket: WebSocket) -> None:
        await socket.sleep(100)

    async def begin(self: Application, socket: WebSocket) -> None:
        sockets.append(weakref.ref(socket))
        socket.state.one = 1
        socket.spawn(work(socket))
        room = self.room("a")
        await room.join(socket, key="one", limit=5)
        await room.send("hello", exclude=socket)
        if style == "serve":
            async for _ in socket:
                pass

    made: Any = type("Busy", (Application,), {style: begin})
    server = MemoryServer(made)
    client = server.connect()
    client.send("a")
    gc.collect()
    gc.disable()
    try:
        client.close()
        server.run()
        del client
        assert sockets[0]() is None
    finally:
        gc.enable()


# Mistakes


def declare(tmp_path: Path, body: str, first: str = "class Load(Application):") -> Any:
    """Load a file with a class, and create its application."""
    path = tmp_path / "load.py"
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    imports = "from typing import Annotated\nfrom wsplug import Application\n"
    path.write_text(f"{imports}{first}\n{lines}\n", "utf-8")
    application: Any = MemoryServer(Total).application
    return makeMount(Description(str(path)), application.services, True)


SERVE = "async def serve(self, socket): pass\n"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("x = 1", "Load has no 'async def serve(self, socket)', and no method for an"),
        (
            SERVE + "def opened(self, socket): pass",
            "Load has both 'serve' and 'opened'",
        ),
        (
            "def serve(self, socket): pass",
            "Load.serve must be a coroutine: async def serve(self, socket)",
        ),
        (
            "async def serve(self): pass",
            "Load.serve must be: async def serve(self, socket)",
        ),
        (
            "def received(self, message): pass",
            "Load.received must be: def received(self, socket, message)",
        ),
        (
            SERVE + "async def start(self, services): pass",
            "Load.start must be: def start(self)",
        ),
        (
            SERVE + "rooms: dict[str, int] = {}",
            "Load.rooms can't be an option: its type has to be str, int, float or bool,"
            " not dict[str, int]; an attribute that is no option is a ClassVar",
        ),
        (
            SERVE + "rooms: 'Rooms' = None",
            "Load.rooms: its type 'Rooms' can't be read: name 'Rooms' is not defined",
        ),
        (
            SERVE + "interval: float = 'fast'",
            "Load.interval: the default 'fast' isn't of float",
        ),
        (
            "def opened(self, socket): pass\ndef recieved(self, socket, message): pass",
            "Load.recieved is never called; did you mean received?",
        ),
        (SERVE + "count: int = True", "Load.count: the default True isn't of int"),
        (
            SERVE + "every: float = 1.0",
            "Load.every can't be an option: Application uses the name",
        ),
        (
            SERVE + "services: str",
            "Load.services can't be an option: Application uses the name",
        ),
        (
            SERVE + "name = 'my load'",
            "Load.name must be of letters, digits, - and _, not 'my load'",
        ),
        (
            SERVE + "page = 'pages'",
            "Load.page isn't read by the server: is it to be 'pages'? If not, say "
            "'page: ClassVar = …'",
        ),
        (SERVE + "handler_timeout = 5", "is it to be 'handlerTimeout'?"),
        (
            SERVE + "def __init__(self): pass",
            "Load.__init__ must be: def __init__(self, services, **options), and call",
        ),
    ],
)
def test_mistakes(tmp_path: Path, body: str, message: str) -> None:
    """A class that can't be an application raises an error when it is loaded: one line
    that names the class, the attribute, and the line of the file.
    """
    with pytest.raises(PluginFailed) as caught:
        declare(tmp_path, body)
    error = str(caught.value)
    assert message in error
    assert "\n" not in error
    assert re.search(r"load\.py, line [3-5]\)", error)


def test_similar_names(tmp_path: Path) -> None:
    """A method's name may resemble one of the contract's if it can't be a misspelling,
    or if the class has the contract's method as well.
    """
    declare(
        tmp_path,
        "def closed(self, socket, reason): pass\n"
        "def close(self, socket): pass\n"
        "def closes(self, socket, reason): pass\n"
        "def restart(self): pass\n"
        "def post(self): pass\n"  # has the letters of stop
        "def open(self, socket): pass\n",
    )


def test_file(tmp_path: Path) -> None:
    """A file with a class needs nothing else for --app.

    Classes that it imports don't count.
    """
    mount = declare(tmp_path, SERVE)
    assert (mount.name, mount.path) == ("load", "/")
    (tmp_path / "more.py").write_text(
        "from tests.unit.test_application import Total, Noted\n"
        "class More(Total):\n    step = 5\n",
        "utf-8",
    )
    found: Any = loadPlugin(Description(str(tmp_path / "more.py")))
    assert (found.name, found.options[0].default) == ("more", 5)


def test_base_in_a_file(tmp_path: Path) -> None:
    """A base class alone is no application."""
    with pytest.raises(UnknownApplication, match=r"load\.py has no application: write"):
        declare(tmp_path, SERVE, "class Load(Application, abstract=True):")


def test_initializer_without_super() -> None:
    """
    An initializer that doesn't call that of the base class is named at the start.
    """

    class Silent(Application):
        def __init__(self, services: Services, **options: Any) -> None:
            self.count = 0

        async def serve(self, socket: WebSocket) -> None: ...

    with pytest.raises(TypeError, match=r"Silent.__init__ must be: .* super\(\)"):
        MemoryServer(Silent)


def test_names_of_ones_own() -> None:
    """
    An attribute with a similar name can be annotated; methods, properties and other
    names need nothing.
    """

    class Own(Application):
        page: ClassVar = "mine"
        maximum = 3

        @property
        def message(self) -> str:
            return "mine"

        async def serve(self, socket: WebSocket) -> None: ...

    assert MemoryServer(Own).connect().closed == (1000, "")


def test_timer_of_no_function() -> None:
    """
    A timer that gets what a function has returned says so at once.
    """

    class Calls(Application):
        def start(self) -> None:
            self.every(1, self.tick())  # type: ignore[arg-type]

        async def tick(self) -> None: ...

        async def serve(self, socket: WebSocket) -> None: ...

    with pytest.raises(TypeError, match="write its name without parentheses"):
        MemoryServer(Calls)
