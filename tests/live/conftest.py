"""
The servers and the clients of the live tests.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.live.certificates import makeCertificate
from tests.live.drivers import (
    ALL,
    ROOT,
    AiohttpDriver,
    AsyncioDriver,
    Driver,
    ProcessDriver,
    ThreadsDriver,
    twistedDriver,
)
from tests.live.talk import Job, Step
from tests.processes import HOST, TCP, Server, portOf, serve

TRANSPORTS = ("tcp", "tls", "unix")

CLIENTS = ("websockets", "websockets-asyncio", "aiohttp", "autobahn", "ws", "twisted")

NODE_FOLDER = Path(__file__).parent / "node"

APPLICATION = Path(__file__).with_name("application.py")


@dataclass
class Live:
    """
    A server, and one way to reach it.
    """

    server: Server
    transport: str
    port: int
    certificate: Path
    socket: Path

    def job(
        self,
        *talks: Sequence[Step],
        path: str = "/",
        compression: bool = False,
        bits: int | None = None,
        subprotocols: Sequence[str] = (),
    ) -> Job:
        """
        Make a job that is done here.
        """
        tls = self.transport == "tls"
        scheme = "wss" if tls else "ws"
        return Job(
            f"{scheme}://{HOST}:{self.port}{path}",
            talks,
            unix=str(self.socket) if self.transport == "unix" else None,
            ca=str(self.certificate) if tls else None,
            compression=compression,
            bits=bits,
            subprotocols=subprotocols,
        )


@dataclass
class Everywhere:
    """
    A server that listens on each transport.
    """

    server: Server
    certificate: Path
    socket: Path

    def by(self, transport: str) -> Live:
        """
        Choose a transport.
        """
        port = portOf(self.server.addresses[transport == "tcp"])
        return Live(self.server, transport, port, self.certificate, self.socket)


@contextmanager
def everywhere(folder: Path, *arguments: str) -> Iterator[Everywhere]:
    """
    Start a server that listens on each transport.
    """
    certificate, key = makeCertificate(folder, HOST)
    socket = folder / "socket"
    with serve(
        folder,
        *("--port=0", f"--interface={HOST}"),
        *(f"--tls-cert={certificate}", f"--tls-key={key}"),
        "--app=echo:path=/",
        f"--app={APPLICATION}",
        f"--app={ROOT / 'examples' / 'shout.py'}",  # it has no pages
        *arguments,
        listen=(TCP, f"unix:{socket}"),
    ) as server:
        yield Everywhere(server, certificate, socket)
        assert server.stop() == 0
        assert "Traceback" not in server.log + server.err
        assert "Unhandled" not in server.log + server.err


@pytest.fixture(scope="session")
def defaultServer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everywhere]:
    """
    A server with the default settings.
    """
    with everywhere(tmp_path_factory.mktemp("live")) as server:
        yield server


@pytest.fixture(scope="session")
def roomyServer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everywhere]:
    """
    A server with large limits, and compression across messages.
    """
    with everywhere(
        tmp_path_factory.mktemp("roomy"),
        "--max-message-size=16MiB",
        "--max-send-buffer=64MiB",
        "--context-takeover=yes",
    ) as server:
        yield server


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    """
    Each transport in turn.
    """
    name: str = request.param
    return name


@pytest.fixture
def live(defaultServer: Everywhere, transport: str) -> Live:
    """
    The server with the default settings, over each transport in turn.
    """
    return defaultServer.by(transport)


@pytest.fixture
def roomy(roomyServer: Everywhere, transport: str) -> Live:
    """
    The server with large limits, over each transport in turn.
    """
    return roomyServer.by(transport)


# Clients


def _startNode() -> Driver:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        missing("node and npm, for the tests with Node's ws")
    folder = ROOT / "build" / "node"
    lock = (NODE_FOLDER / "package-lock.json").read_bytes()
    installed = folder / "installed"
    if not installed.exists() or installed.read_bytes() != lock:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(NODE_FOLDER / name, folder)
        done = subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            missing(f"npm ci can't install Node's ws: {done.stderr}")
        installed.write_bytes(lock)
    command = [node, str(NODE_FOLDER / "driver.js"), str(folder / "node_modules")]
    return ProcessDriver(command, ALL - {"lenience"})


def _startTwisted() -> Driver:
    # Not imported: it imports wsproto.
    if importlib.util.find_spec("twisted.web.websocket") is None:
        pytest.skip("this Twisted has no twisted.web.websocket")
    if importlib.util.find_spec("wsproto") is None:
        missing("wsproto, for the tests with twisted.web.websocket")
    return twistedDriver("twisted")


START: dict[str, Callable[[], Driver]] = {
    "websockets": ThreadsDriver,
    "websockets-asyncio": AsyncioDriver,
    "aiohttp": AiohttpDriver,
    "autobahn": lambda: twistedDriver("autobahn"),
    "ws": _startNode,
    "twisted": _startTwisted,
}


@pytest.fixture(scope="session", params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """
    Each client in turn.
    """
    driver = START[request.param]()
    yield driver
    driver.end()
