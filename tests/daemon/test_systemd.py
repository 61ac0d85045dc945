"""Notifications to systemd, over a real datagram socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from websockets.sync.client import connect

from tests.processes import HOST, runTwistd, serve, waitUntil
from wsplug.daemon.systemd import Notifier, describe, makeNotifier


@contextmanager
def systemd(address: str) -> Iterator[socket.socket]:
    """Create the socket that systemd would listen on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + address[1:] if address[0] == "@" else address)
        listener.settimeout(60)
        yield listener


def told(listener: socket.socket) -> list[str]:
    """Receive the notifications so far."""
    messages = []
    listener.setblocking(False)
    while True:
        try:
            messages.append(listener.recv(4096).decode("utf-8"))
        except BlockingIOError:
            listener.settimeout(60)
            return messages


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    path = str(tmp_path / "notify")
    return path if request.param == "path" else f"@{path}"


def test_messages(address: str) -> None:
    """It reports readiness with a status, each changed status, a sign of life at
    half the watchdog's interval, and the stop.
    """
    clock = Clock()
    status = ["0 connections"]
    environment = {
        "NOTIFY_SOCKET": address,
        "WATCHDOG_USEC": "8000000",
        "WATCHDOG_PID": str(os.getpid()),
        "OTHER": "x",
    }
    with systemd(address) as listener:
        notifier = makeNotifier(environment, clock, lambda: status[0])
        assert notifier is not None
        assert environment == {"OTHER": "x"}
        clock.advance(60)
        assert told(listener) == []
        notifier.ready()
        assert told(listener) == ["READY=1\nSTATUS=0 connections"]
        clock.pump([1] * 3)
        assert told(listener) == []
        clock.advance(1)
        assert told(listener) == ["WATCHDOG=1"]
        status[0] = "1 connection"
        clock.pump([1] * 16)
        assert sorted(told(listener)) == ["STATUS=1 connection", *["WATCHDOG=1"] * 4]
        status[0] = "draining, 1 connection"
        notifier.stopping()
        assert told(listener) == ["STOPPING=1", "STATUS=draining, 1 connection"]
        notifier.stop()
        clock.advance(60)
        assert told(listener) == []
        assert not clock.getDelayedCalls()


@pytest.mark.parametrize(
    ("variables", "watched"),
    [
        ({}, False),
        ({"WATCHDOG_USEC": "1000000"}, True),
        ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, False),
        ({"WATCHDOG_USEC": "soon"}, False),
        ({"WATCHDOG_USEC": "0"}, False),
    ],
)
def test_watchdog(variables: dict[str, str], watched: bool, tmp_path: Path) -> None:
    """The watchdog is meant for this process, or for any that has its variables, and
    needs a time.
    """
    address = str(tmp_path / "notify")
    clock = Clock()
    with systemd(address) as listener:
        environment = {"NOTIFY_SOCKET": address, **variables}
        notifier = makeNotifier(environment, clock, lambda: "")
        assert notifier is not None
        assert environment == {}
        notifier.ready()
        told(listener)
        clock.advance(0.5)
        assert told(listener) == (["WATCHDOG=1"] if watched else [])


@pytest.mark.parametrize("variables", [{}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_nobody_wants_to_know(variables: dict[str, str]) -> None:
    """Without a socket, or with one of an unsupported kind, nothing is sent."""
    assert makeNotifier(dict(variables), Clock(), str) is None


def test_nobody_listens(tmp_path: Path) -> None:
    """If the socket doesn't exist, that is logged once, and the server goes on."""
    notifier = Notifier(str(tmp_path / "none"), Clock(), str)
    with capturedLogs() as events:
        notifier.ready()
        notifier.stopping()
    (line,) = [formatEvent(each) for each in events]
    assert line.startswith("can't notify systemd: ")


def test_status_line() -> None:
    """
    The status counts.
    """
    assert describe(1, True) == "1 connection"
    assert describe(20, False) == "draining, 20 connections"


HANGS = """
import os, time
from twisted.internet import reactor, task
from zope.interface import implementer
from wsplug import WebSocketProtocol
from wsplug.interfaces import IWebSocketApplication


class Hanging(WebSocketProtocol):
    def textMessageReceived(self, message):
        assert "NOTIFY_SOCKET" not in os.environ
        open("hangs", "w").close()
        while os.path.exists("hangs"):
            time.sleep(0.01)


@implementer(IWebSocketApplication)
class Application:
    pages = None
    subprotocols = ()

    async def startApplication(self):
        while not os.path.exists("go"):
            await task.deferLater(reactor, 0.01)

    def stopApplication(self):
        pass

    def buildProtocol(self, request):
        return Hanging()


hangs = Application()
"""


def test_process(tmp_path: Path) -> None:
    """While a server listens, but its application has not started, it isn't ready.

    Then it is, and drains at SIGTERM. While an application hangs, no sign of life is
    sent.
    """
    (tmp_path / "hangs.py").write_text(HANGS, "utf-8")
    address = f"@{tmp_path}/notify"
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000"}
    with (
        systemd(address) as listener,
        serve(tmp_path, "--app=hangs.py:hangs", environment=environment) as server,
    ):
        assert told(listener) == []
        (tmp_path / "go").touch()
        assert listener.recv(100).decode() == "READY=1\nSTATUS=0 connections"
        assert listener.recv(100) == b"WATCHDOG=1"
        with connect(f"ws://{HOST}:{server.port}") as client:
            client.send("hang")
            waitUntil((tmp_path / "hangs").exists, "it hangs")
            told(listener)
            listener.settimeout(1)
            with pytest.raises(TimeoutError):
                listener.recv(100)
            listener.settimeout(60)
            (tmp_path / "hangs").unlink()
            assert listener.recv(100) == b"WATCHDOG=1"
            assert server.stop() == 0
        assert "STOPPING=1" in told(listener)
        assert "Traceback" not in server.log + server.err


@pytest.mark.slow
def test_never_ready(tmp_path: Path) -> None:
    """A server that doesn't start never reports that it is ready."""
    address = str(tmp_path / "notify")
    with systemd(address) as listener:
        finished = runTwistd(
            tmp_path,
            *("-n", "--pidfile=", "wsplug", "--app=echo", "--listen=unix:no/where"),
            environment={"NOTIFY_SOCKET": address},
        )
        assert finished.status == 1
        assert told(listener) == []
