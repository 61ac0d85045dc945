"""Calls that block the reactor: in fake time, and in a real process."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any
from urllib.request import Request, urlopen

import pytest
from twisted.internet.interfaces import IReactorFromThreads
from websockets.sync.client import connect
from zope.interface import implementer

from tests.admin.kit import TOKEN
from tests.processes import HOST, Server, checkEcho, serve, waitUntil
from tests.server.kit import App, Logs
from tests.web.kit import readSamples
from wsplug import Mount
from wsplug.server.stalls import Sample, StallDetector, findCulprit
from wsplug.server.statistics import Statistics


@implementer(IReactorFromThreads)
class _Reactor:
    """Responds when the test says so."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []

    def callFromThread(
        self, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> None:
        self.calls.append(lambda: callable(*args, **kwargs))

    def turn(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


class _Watched:
    """A detector and its time.

    @ivar seconds: the clock's time.
    @ivar worked: processor time.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self.seconds = 1000.0
        self.worked = 0.0
        self.reactor = _Reactor()
        self.statistics = Statistics()
        self.detector = StallDetector(
            self.reactor,
            self.statistics,
            [Mount("/", App(), "app")],
            threshold,
            now=lambda: self.seconds,
            worked=lambda: self.worked,
        )
        self.detector.watch()

    def look(self, seconds: float = 0.25) -> None:
        """Let the thread check after some seconds."""
        self.seconds += seconds
        self.detector.look()


def test_well(logs: Logs) -> None:
    """A reactor that responds causes no log line."""
    watched = _Watched()
    for _ in range(100):
        watched.look()
        watched.reactor.turn()
    watched.look()
    watched.look()
    watched.reactor.turn()
    assert not logs.lines()
    assert watched.statistics.reactorStalls == {}


def test_stall(logs: Logs) -> None:
    """When a blocked reactor runs again, the log has the application, the duration
    and the location; the block is counted.
    """
    watched = _Watched()
    watched.statistics.serving = "app"
    for _ in range(5):
        watched.look()
    assert not logs.lines()
    watched.seconds += 0.125
    watched.reactor.turn()
    (event,) = logs.events()
    assert event["application"] == "app"
    assert event["seconds"] == 1.125
    assert "stalls.py" in event["where"]
    assert "app has blocked the reactor for 1.125 s, at " in logs.lines()[0]
    assert watched.statistics.reactorStalls == {"app": (1, 1.125)}
    watched.look()
    watched.reactor.turn()
    assert len(logs.lines()) == 1


def test_long_stall(logs: Logs) -> None:
    """A long block is logged before it ends: after ten seconds, twenty, forty."""
    watched = _Watched()
    watched.look()
    for _ in range(4 * 41):
        watched.look()
    assert [event["seconds"] for event in logs.events()] == [10, 20, 40]
    assert "something has blocked the reactor for 10.0 s so far, at " in logs.lines()[0]
    watched.reactor.turn()
    assert logs.events()[-1]["seconds"] == 41
    assert watched.statistics.reactorStalls == {"": (1, 41.0)}
    # The next block starts again from ten.
    for _ in range(41):
        watched.look()
    assert logs.events()[-1]["seconds"] == 10


def test_stopped_process(logs: Logs) -> None:
    """A process that was stopped did nothing, so no application is blamed.

    An application that held the GIL and worked all the time is.
    """
    watched = _Watched()
    watched.look()
    watched.look(3600)
    watched.reactor.turn()
    watched.look()
    watched.reactor.turn()
    watched.look(3600)
    watched.look()
    watched.reactor.turn()
    assert not logs.lines()
    watched.look()
    watched.worked += 3
    watched.look(3)
    watched.reactor.turn()
    (event,) = logs.events()
    assert event["seconds"] == 3


def test_few_looks() -> None:
    """
    The thread wakes up no more than four times a second.
    """
    assert _Watched(0.1).detector._interval == 0.25
    assert _Watched(0.5).detector._interval == 0.25
    assert _Watched(4).detector._interval == 2


def test_thread() -> None:
    """
    The thread ends with the detector, at once.
    """
    detector = StallDetector(_Reactor(), Statistics(), [], 100)
    detector.start()
    (thread,) = (each for each in threading.enumerate() if "stalls" in each.name)
    assert thread.daemon
    began = time.monotonic()
    detector.stop()
    assert time.monotonic() - began < 10
    assert not thread.is_alive()
    detector.stop()


def _module(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Create a module with an application, and a function that calls another one."""
    module: Any = ModuleType(name)
    module.__package__ = name.rpartition(".")[0]
    monkeypatch.setitem(sys.modules, name, module)
    exec(
        "def run(call):\n    return call()\n\nclass A:\n    buildProtocol = print",
        module.__dict__,
    )
    return module


def _frame() -> FrameType:
    return sys._getframe()


def test_culprit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application is found by the modules on the stack, the innermost first,
    then by their packages if only one application matches.
    """
    first = _module("things.first", monkeypatch)
    second = _module("things.second", monkeypatch)
    other = _module("other", monkeypatch)
    helper = _module("things.helper", monkeypatch)
    mounts = [
        Mount("/1", first.A(), "first"),
        Mount("/2", second.A(), "second"),
        Mount("/3", other.A(), "other"),
    ]

    def find(*path: Any, serving: str | None = None) -> Sample:
        call: Callable[[], Any] = _frame
        for module in path:
            call = partial(module.run, call)
        return findCulprit(call(), serving, mounts)

    assert find(first).application == "first"
    assert find(second, first).application == "second"
    assert find(first, other).application == "first"
    assert find(helper, other).application == ""
    assert find(other).where.endswith(", called from <string>:2, run")
    assert find().application == ""
    assert find(helper, serving="second").application == "second"
    assert find(first, serving="second").application == "second"
    assert findCulprit(None, None, mounts) == Sample("", "an unknown location")
    del mounts[1]
    assert find(helper, other).application == "first"


SLOW = """
import time
from wsplug import application, WebSocketProtocol
from twisted.internet import reactor


def compute(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


@application("slow", help="Holds the reactor.")
class Slow(WebSocketProtocol):
    def textMessageReceived(self, message):
        if message == "sleep":
            time.sleep(0.6)
        elif message == "compute":
            compute(0.6)
        else:
            reactor.callLater(0.01, self.later)
            return
        self.transport.sendTextMessage("done")

    def later(self):
        time.sleep(0.6)
        self.transport.sendTextMessage("done")
"""

COROUTINE = """
import time
from wsplug import application


@application("coroutine", help="Holds the reactor after a wait.")
async def wait(socket):
    async for message in socket:
        await socket.sleep(0.01)
        time.sleep(0.6)
        await socket.send("done")
"""


def _stalls(server: Server) -> list[str]:
    return [
        line for line in server.log.splitlines() if "has blocked the reactor" in line
    ]


@pytest.mark.slow
def test_process(tmp_path: Path) -> None:
    """Blocking code is named: in a message, in a coroutine after waiting, and in a
    delayed call of the application, whether it sleeps or computes. If the process was
    stopped, no application is blamed. The metrics include all of it.
    """
    (tmp_path / "slow.py").write_text(SLOW, "utf-8")
    (tmp_path / "coroutine.py").write_text(COROUTINE, "utf-8")
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    cases = [
        ("slow", "sleep", "textMessageReceived"),
        ("slow", "compute", "compute"),
        ("slow", "later", "later"),
        ("coroutine", "x", "wait"),
    ]
    arguments = ["--app=slow.py", "--app=coroutine.py", "--stall-threshold=0.25"]
    with serve(tmp_path, "--admin-token-file=token", *arguments) as server:
        for name, message, function in cases:
            with connect(f"ws://{HOST}:{server.port}/{name}") as client:
                client.send(message)
                assert client.recv(60) == "done"
            waitUntil(partial(_isNamed, server, function), "it is logged")
            line = _stallsIn(server, function)[-1]
            assert f"] {name} has blocked the reactor for 0." in line
            assert f"{name}.py:" in line
        before = len(_stalls(server))
        server.signal(signal.SIGSTOP)
        time.sleep(0.8)
        server.signal(signal.SIGCONT)
        address = f"http://{HOST}:{server.port}/-/metrics"
        asked = Request(address, headers={"Authorization": f"Bearer {TOKEN}"})
        samples = readSamples(urlopen(asked).read().decode())
        stalls = {
            dict(labels)["application"]: value
            for (name, labels), value in samples.items()
            if name == "wsplug_reactor_stalls_total"
        }
        assert len(_stalls(server)) == before
        # A busy machine makes stalls of its own.
        assert stalls["slow"] >= 3
        assert stalls["coroutine"] >= 1
        assert server.stop() == 0


def _isNamed(server: Server, function: str) -> bool:
    return bool(_stallsIn(server, function))


def _stallsIn(server: Server, function: str) -> list[str]:
    return [each for each in _stalls(server) if each.endswith(f", {function}")]


@pytest.mark.slow
def test_off(tmp_path: Path) -> None:
    """With "off", no thread is started."""
    for threshold, threads in (("off", 1), ("1h", 2)):
        with serve(tmp_path, f"--stall-threshold={threshold}") as server:
            task = Path(f"/proc/{server.pid}/task")
            checkEcho(server.port)
            assert len(list(task.iterdir())) == threads
