"""The servers: how each is started and stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.errors import MeasurementError, tail
from benchmarks.installing import ROOT, SOURCES, Installation
from benchmarks.workloads import (
    CHAT,
    DEFLATE,
    ECHO,
    FANOUT,
    HANDSHAKES,
    IDLE,
    TLS,
    Workload,
)

HOST = "127.0.0.1"

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0

_ALL = frozenset({ECHO, FANOUT, CHAT, HANDSHAKES, IDLE, DEFLATE, TLS})

Command = Callable[[Installation, Workload, int], list[str]]


@dataclass(frozen=True)
class Server:
    """A server in the comparison.

    @ivar name: its word on the command line.
    @ivar label: its name in tables.
    @ivar command: gives the command that serves a workload on a port.
    @ivar can: its capabilities.
    @ivar environment: its environment variables.
    @ivar raw: whether it sends bytes back as they came.
    @ivar quick: whether a C{--quick} run has it.
    """

    name: str
    label: str
    command: Command
    can: frozenset[str] = _ALL
    environment: Mapping[str, str] = field(default_factory=dict)
    raw: bool = False
    quick: bool = True

    def fits(self, workload: Workload) -> bool:
        """@return: whether it is capable of a workload."""
        return workload.needs <= self.can


def _peer(module: str, *words: str) -> Command:
    """@return: the command that runs one of the programs in C{peers/}."""

    def command(installed: Installation, workload: Workload, port: int) -> list[str]:
        line = [str(installed.python), "-m", f"benchmarks.peers.{module}", str(port)]
        line += words
        if workload.kind in (FANOUT, CHAT):
            line += ["--application", workload.kind]
        if workload.deflate:
            line.append("--deflate")
        if workload.tls:
            line += ["--certificate", str(installed.certificate)]
            line += ["--key", str(installed.key)]
        return line

    return command


# Each of a chat's rooms has one client that sends without a pause.
_RATES = "rate=1000000:burst=1000000"

_APPLICATIONS = {
    FANOUT: str(SOURCES / "peers" / "wsplug_fanout.py"),
    CHAT: f"chat:notices=at-once:{_RATES}",
}


def _wsplug(installed: Installation, workload: Workload, port: int) -> list[str]:
    """wsplug with its defaults, including all limits and checks; also those from which
    its own machine is exempt. Limits that the workloads reach are raised: those for a
    little over 10,000 connections, for a waiting message of 1 MiB, for the traffic
    from one connection and one address, and for a chat client's messages.
    """
    where = f"tcp:{port}:interface={HOST}"
    if workload.tls:
        pair = f"privateKey={installed.key}:certKey={installed.certificate}"
        where = f"ssl:{port}:interface={HOST}:{pair}"
    return [
        *(str(installed.twistd), "-n", "--pidfile=", "wsplug", "--listen", where),
        *("--max-connections", "12000", "--max-send-buffer", "16MiB"),
        *("--exempt", "none", "--max-address-connections", "12000"),
        *("--max-address-handshake-rate", "1000000"),
        *("--max-message-rate", "1000000000", "--max-byte-rate", "1000GiB"),
        *(
            "--max-address-message-rate",
            "1000000000",
            "--max-address-byte-rate",
            "1000GiB",
        ),
        *("--compression", "yes" if workload.deflate else "no"),
        *("--app", _APPLICATIONS.get(workload.kind, "echo")),
    ]


def _without(measure: str) -> Command:
    """@return: the command that runs wsplug without one of C{wsplug_without}'s
    measures.
    """

    def command(installed: Installation, workload: Workload, port: int) -> list[str]:
        _, *arguments = _wsplug(installed, workload, port)
        module = "benchmarks.peers.wsplug_without"
        return [str(installed.python), "-m", module, measure, *arguments]

    return command


def _c(mode: str) -> Command:
    def command(installed: Installation, workload: Workload, port: int) -> list[str]:
        return [str(installed.echo), str(port), mode]

    return command


_NO_DEFLATE = _ALL - {DEFLATE}

SERVERS: tuple[Server, ...] = (
    Server("wsplug", "wsplug", _wsplug),
    Server(
        "wsplug-pure",
        "wsplug, pure Python",
        _wsplug,
        environment={"WSPLUG_PURE": "1"},
        quick=False,
    ),
    Server(
        "autobahn",
        "Autobahn",
        _peer("autobahn"),
        environment={"AUTOBAHN_USE_NVX": "1"},
    ),
    Server(
        "autobahn-pure",
        "Autobahn, without NVX",
        _peer("autobahn"),
        environment={"AUTOBAHN_USE_NVX": "0"},
        quick=False,
    ),
    Server("twisted", "twisted.web.websocket", _peer("twisted_web"), _NO_DEFLATE),
    Server("websockets", "websockets on uvloop", _peer("websockets", "--uvloop")),
    Server("aiohttp", "aiohttp on uvloop", _peer("aiohttp", "--uvloop")),
    Server("picows", "picows on uvloop", _peer("picows", "--uvloop"), _NO_DEFLATE),
    Server(
        "picows-asyncio",
        "picows on asyncio",
        _peer("picows"),
        _NO_DEFLATE,
        quick=False,
    ),
    Server("c", "C, WebSocket", _c("websocket"), frozenset({ECHO, HANDSHAKES})),
    Server("c-raw", "C, raw bytes", _c("raw"), frozenset({ECHO}), raw=True),
)

# wsplug, and wsplug without one measure each: see docs/explanation/write-path.md.
MEASURES: tuple[Server, ...] = (
    Server("wsplug", "wsplug", _wsplug),
    Server(
        "without-compiler",
        "... in plain Python",
        _wsplug,
        environment={"WSPLUG_PURE": "1"},
    ),
    Server("without-epoll-set", "... in the reactor", _without("epoll-set")),
    Server(
        "without-direct-transport",
        "... over Twisted's transport",
        _without("direct-transport"),
    ),
    Server("without-cork", "... without the cork", _without("cork")),
    Server("without-shared-frames", "... framed for each", _without("shared-frames")),
    Server(
        "without-get-buffer", "... read through dataReceived", _without("get-buffer")
    ),
    Server(
        "without-kept-memory",
        "... with glibc's own thresholds",
        _wsplug,
        environment={"GLIBC_TUNABLES": "glibc.malloc.arena_max=8"},
    ),
)


@dataclass
class Running:
    """A running server.

    @ivar server: which one.
    @ivar port: where it listens.
    @ivar pid: its process.
    @ivar log: its output.
    """

    server: Server
    port: int
    log: Path
    _process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self._process.pid

    def complain(self, what: str) -> MeasurementError:
        """
        @return: an error with the end of its log.
        """
        status = self._process.poll()
        death = "" if status is None else f" (it has ended with status {status})"
        return MeasurementError(
            f"{self.server.name}: {what}{death}; the end of its log:\n{tail(self.log)}"
        )

    def check(self) -> None:
        """
        @raise MeasurementError: it is dead.
        """
        if self._process.poll() is not None:
            raise self.complain("the server is gone")

    def wait(self) -> None:
        """
        Wait until it accepts connections.

        @raise MeasurementError: it dies, or doesn't in time.
        """
        give_up = time.monotonic() + _START_SECONDS
        while time.monotonic() < give_up:
            self.check()
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise self.complain("the server does not start")

    def stop(self) -> None:
        """Stop it, by force if it doesn't end in time."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running(
    server: Server, workload: Workload, installed: Installation, core: int
) -> Iterator[Running]:
    """
    Run a server on one core for as long as the context lasts.

    @param core: the number of the core.
    @raise MeasurementError: it doesn't start.
    """
    logs = installed.folder / "logs"
    logs.mkdir(exist_ok=True)
    log = logs / f"{server.name}.{workload.name}.log"
    port = _free_port()
    # The programs in peers/ are modules of the checkout. wsplug is installed, and runs
    # elsewhere, so that it doesn't find the checkout's drop-ins.
    is_peer = "-m" in server.command(installed, workload, port)
    with log.open("wb") as output:
        process = subprocess.Popen(
            server.command(installed, workload, port),
            cwd=ROOT if is_peer else installed.folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **server.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    run = Running(server, port, log, process)
    try:
        run.wait()
        yield run
    finally:
        run.stop()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port
