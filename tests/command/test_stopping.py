"""How the server stops on SIGTERM.

With and without connections, in the foreground and as a daemon.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.processes import (
    HOST,
    TCP,
    TWISTD,
    Process,
    Server,
    checkEcho,
    portOf,
    runTwistd,
    serve,
    upgrade,
    waitUntil,
)

pytestmark = pytest.mark.costly


def test_connections(tmp_path: Path) -> None:
    """SIGTERM closes each connection with 1012. Then the process ends with status 0."""
    with serve(tmp_path) as server, ExitStack() as stack:
        clients = [
            stack.enter_context(connect(f"ws://{HOST}:{server.port}"))
            for _ in range(20)
        ]
        for client in clients:
            client.send("hello")
            assert client.recv(60) == "hello"
        server.signal(signal.SIGTERM)
        for client in clients:
            with pytest.raises(ConnectionClosed):
                client.recv(60)
            assert client.protocol.close_code == 1012
            assert client.protocol.close_reason == "the server restarts"
        assert server.wait() == 0
        assert "SIGTERM: stopping" in server.log
        assert "closing 20 connections" in server.log
        assert "Traceback" not in server.log + server.err
        assert server.err == ""


def test_interrupt(tmp_path: Path) -> None:
    """Ctrl-C also stops the server in order."""
    with serve(tmp_path) as server:
        with connect(f"ws://{HOST}:{server.port}") as client:
            server.signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed):
                client.recv(60)
            assert client.protocol.close_code == 1001
        server.wait()
        assert "Traceback" not in server.log + server.err


def test_ignored_interrupt(tmp_path: Path) -> None:
    """Where Ctrl-C is ignored, as in a shell's background job, it stays ignored."""
    shell = ("sh", "-c", 'trap "" INT; exec "$@"', "sh", TWISTD)
    with (
        Server(tmp_path, ("--app=echo",), program=shell) as server,
        connect(f"ws://{HOST}:{server.port}") as client,
    ):
        for _ in range(2):
            server.signal(signal.SIGINT)
        client.send("still there?")
        assert client.recv(60) == "still there?"
        assert server.stop() == 0
        assert server.err == ""


def test_silentClient(tmp_path: Path) -> None:
    """A client that never answers delays the stop until the deadline at most, and
    has received its 1012.
    """
    with serve(tmp_path, "--stop-timeout=1", "--close-timeout=1h") as server:
        silent, silentToo = upgrade(server.port), upgrade(server.port)
        with silent, silentToo:
            began = time.monotonic()
            assert server.stop() == 0
            assert 0.9 < time.monotonic() - began < 30
            frame = silent.recv(2)
            assert frame[0] == 0x88
            payload = silent.recv(frame[1])
            assert int.from_bytes(payload[:2], "big") == 1012
        assert server.log.count("1012: the server restarts") == 2
        assert "Traceback" not in server.log + server.err


def test_openHandshake(tmp_path: Path) -> None:
    """Nor does a client that hasn't sent a whole request; it gets an answer."""
    with serve(tmp_path) as server:
        with socket.create_connection((HOST, server.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\n")
            checkEcho(server.port)
            server.signal(signal.SIGTERM)
            assert client.recv(1000).startswith(b"HTTP/1.1 503 ")
            client.close()
            assert server.wait() == 0
        assert "Traceback" not in server.log + server.err


def test_again(tmp_path: Path) -> None:
    """A second SIGTERM ends the process at once."""
    with serve(tmp_path, "--stop-timeout=1h", "--close-timeout=1h") as server:
        with upgrade(server.port):
            server.signal(signal.SIGTERM)
            server.waitForLog("closing 1 connections")
            assert not server.ended
            assert server.stop() == 0
            server.waitForLog("SIGTERM again")
        assert "Traceback" not in server.log + server.err


def test_portIsFree(tmp_path: Path) -> None:
    """Its address can be listened on again at once."""
    with serve(tmp_path) as server:
        port = server.port
        with connect(f"ws://{HOST}:{port}"):
            assert server.stop() == 0
    with serve(tmp_path, listen=(f"tcp:{port}:interface={HOST}",)):
        checkEcho(port)


@pytest.mark.everyday
def test_daemon(tmp_path: Path) -> None:
    """As a daemon, it has a pidfile and a log.

    The command ends with status 0 once the daemon runs. While the daemon runs, it can't
    be started again. SIGTERM ends it in order, and then it can.
    """
    pidfile, logfile = tmp_path / "pid", tmp_path / "log"
    command = ["--pidfile=pid", "--logfile=log", "wsplug", "--app=echo"]
    for _ in range(2):
        started = runTwistd(tmp_path, *command, f"--listen={TCP}")
        assert started == (0, "", "")
        pid = int(pidfile.read_text("ascii"))
        try:
            waitUntil(lambda: "listening on" in logfile.read_text("utf-8"), "it runs")
            line = next(
                line
                for line in logfile.read_text("utf-8").splitlines()
                if "listening on" in line
            )
            port = portOf(line)
            checkEcho(port)
            second = runTwistd(tmp_path, *command, f"--listen={TCP}")
            assert second.status == 1
            assert second.err.startswith("wsplug: ")
            assert f"already runs as process {pid} (pid" in second.err
            assert second.err.count("\n") == 1
            assert "Traceback" not in second.out + second.err
            with connect(f"ws://{HOST}:{port}") as client:
                os.kill(pid, signal.SIGTERM)
                with pytest.raises(ConnectionClosed):
                    client.recv(60)
                assert client.protocol.close_code == 1012
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            raise
        waitUntil(lambda: not pidfile.exists(), "the pidfile is gone")
        waitUntil(lambda: "Server Shut Down" in logfile.read_text("utf-8"), "it ends")
        log = logfile.read_text("utf-8")
        assert "SIGTERM: stopping" in log
        assert "Traceback" not in log
        logfile.unlink()


@pytest.mark.parametrize("when", ["before", "between", "meanwhile"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_at_once(number: signal.Signals, when: str, tmp_path: Path) -> None:
    """A SIGTERM or SIGINT that arrives before or while the reactor starts is not
    lost, and ends the process in order.
    """
    (tmp_path / "terminated.py").write_text(TERMINATED, "utf-8")
    command = [
        TWISTD,
        "-n",
        "--pidfile=own.pid",
        "wsplug",
        f"--app=terminated.py:{when}",
    ]
    environment = {"NUMBER": str(int(number)), "WHEN": when}
    command.append(f"--listen={TCP}")
    with Process(command, tmp_path, environment=environment) as process:
        done = process.finish()
    isTerminated = number == signal.SIGTERM
    assert done.status == (0 if isTerminated else -number), done.err
    assert ("SIGTERM: stopping" if isTerminated else "Received SIGINT") in done.out
    assert "Traceback" not in done.out + done.err
    assert not (tmp_path / "own.pid").exists()


TERMINATED = """
import os

from twisted.internet import reactor
from zope.interface import implementer

from wsplug.interfaces import IWebSocketApplication


@implementer(IWebSocketApplication)
class Application:
    subprotocols = ()
    pages = None

    def __init__(self, terminate):
        self.startApplication = terminate

    def buildProtocol(self, request):
        return None

    def stopApplication(self):
        pass


def terminate():
    os.kill(os.getpid(), int(os.environ["NUMBER"]))


before = Application(terminate)


def terminateLater():
    reactor.addSystemEventTrigger("after", "startup", terminate)


meanwhile = Application(terminateLater)

# After the reactor's own handlers are there, and before anybody else's.
if os.environ["WHEN"] == "between":
    reactor.addSystemEventTrigger("during", "startup", terminate)

between = Application(lambda: None)
"""


_SLOWLY: Final = """
import os, sys, time

from twisted.scripts.twistd import run
from wsplug.broker.store import Store

openNow = Store.open

def openLater(store):
    open("opening", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.01)
    openNow(store)

Store.open = openLater
sys.exit(run())
"""
"""C{twistd} on a machine where opening a database waits for a file C{go}."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_whileTheBrokerOpens(tmp_path: Path, number: signal.Signals) -> None:
    """If a signal arrives while a broker still opens its new file, the process ends
    once the file is open, and leaves no thread behind that it would wait for.
    """
    program = (sys.executable, "-c", _SLOWLY)
    arguments = ("--app=chat", "--broker=sqlite:new.db")
    with Server(tmp_path, arguments, program=program) as server:
        waitUntil((tmp_path / "opening").exists, "the broker opens its file")
        server.signal(number)
        stopping = "SIGTERM: stopping" if number == signal.SIGTERM else "SIGINT"
        server.waitForLog(stopping)
        assert not server.ended
        (tmp_path / "go").touch()
        status = server.wait(20)
        assert status == (0 if number == signal.SIGTERM else -signal.SIGINT)
        assert "Traceback" not in server.log + server.err
        assert (tmp_path / "new.db").exists()


def test_brokerThatNeverOpens(tmp_path: Path) -> None:
    """With the stop timeout off, a server waits for a broker that never opens its
    file, until the second signal. Then the process ends, even though the broker's
    thread doesn't.
    """
    program = (sys.executable, "-c", _SLOWLY)
    arguments = ("--app=chat", "--broker=sqlite:new.db", "--stop-timeout=off")
    with Server(tmp_path, arguments, program=program) as server:
        waitUntil((tmp_path / "opening").exists, "the broker opens its file")
        server.signal(signal.SIGTERM)
        server.waitForLog("SIGTERM: stopping")
        assert not server.ended
        server.signal(signal.SIGTERM)
        assert server.wait(20) == 0
        assert "the broker is still starting; the server ends without it" in server.log
        assert "Traceback" not in server.log + server.err
