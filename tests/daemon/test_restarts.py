"""A new process takes over from an old one, and no client is refused meanwhile."""

from __future__ import annotations

import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.daemon.kit import Callers, activate, boundPort
from tests.processes import HOST, Server, checkEcho, waitUntil

pytestmark = pytest.mark.costly

SHARED = ["--app=echo", f"--interface={HOST}", "--reuse-port"]


def shared(folder: Path, port: int) -> Server:
    return Server(folder, [*SHARED, f"--port={port}"], listen=())


def checkRestarts(callers: Callers, servers: list[Server]) -> None:
    """Check that no client was refused, reset or asked to come again, and that
    clients connected throughout.
    """
    assert callers.failures == []
    assert callers.count > 20 * len(servers)
    for server in servers:
        log = server.log + server.err
        assert "Traceback" not in log
        assert " 503 " not in log
        assert "echo: closed" in log


def restartShared(folder: Path, times: int) -> None:
    holder, port = boundPort()
    servers = []
    with holder, ExitStack() as stack:
        current = stack.enter_context(shared(folder, port))
        callers = stack.enter_context(Callers((HOST, port)))
        for _ in range(times):
            servers.append(current)
            new = stack.enter_context(shared(folder, port))
            assert current.stop() == 0
            current = new
            seen = callers.count
            waitUntil(lambda seen=seen: callers.count > seen + 50, "clients come")  # type: ignore[misc]
        callers.__exit__()
        checkRestarts(callers, servers)
        assert callers.slowest < 5


@pytest.mark.everyday
def test_shared(tmp_path: Path) -> None:
    """A restart on a shared port, while clients connect all the time: every
    handshake succeeds.
    """
    restartShared(tmp_path, 1)


@pytest.mark.slow
def test_shared_ten_times(tmp_path: Path) -> None:
    """The same with ten restarts."""
    restartShared(tmp_path, 10)


def restartInherited(folder: Path, times: int, listener: socket.socket) -> None:
    unix = listener.family == socket.AF_UNIX
    domain = "UNIX" if unix else "INET"
    listen = [f"systemd:domain={domain}:index=0"]
    servers = []
    with ExitStack() as stack:
        current = stack.enter_context(activate(folder, [listener], listen))
        callers = stack.enter_context(Callers(listener.getsockname()))
        for _ in range(times):
            servers.append(current)
            new = stack.enter_context(activate(folder, [listener], listen))
            assert current.stop() == 0
            current = new
            seen = callers.count
            waitUntil(lambda seen=seen: callers.count > seen + 50, "clients come")  # type: ignore[misc]
        callers.__exit__()
        checkRestarts(callers, servers)


def test_inherited(tmp_path: Path) -> None:
    """A restart on an inherited socket."""
    with socket.create_server((HOST, 0), backlog=128) as listener:
        restartInherited(tmp_path, 1, listener)


@pytest.mark.slow
def test_inherited_ten_times(tmp_path: Path) -> None:
    """Ten restarts, and ten on a UNIX socket, whose file stays."""
    with socket.create_server((HOST, 0), backlog=128) as listener:
        restartInherited(tmp_path, 10, listener)
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(128)
        restartInherited(tmp_path, 10, listener)
        assert path.exists()


@pytest.mark.slow
def test_nobody_there_meanwhile(tmp_path: Path) -> None:
    """A client that connects to an inherited socket while no process is there waits
    for the next process, which serves it.
    """
    listen = ["systemd:domain=INET:index=0"]
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        with activate(tmp_path, [listener], listen) as server:
            checkEcho(port)
            assert server.stop() == 0
        with socket.create_connection((HOST, port)) as waiting:
            waiting.settimeout(60)
            waiting.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            with activate(tmp_path, [listener], listen):
                assert waiting.recv(12) == b"HTTP/1.1 200"


def test_queue_of_a_closed_port(tmp_path: Path) -> None:
    """On a port of the server's own, clients that the kernel has already accepted
    are asked to reconnect; none is reset.
    """
    app = tmp_path / "busy.py"
    app.write_text(
        "import time\n"
        "from wsplug import application\n"
        "@application('busy', help='Hold everything up.')\n"
        "async def busy(socket):\n"
        "    async for message in socket:\n"
        "        time.sleep(1)\n",
        "utf-8",
    )
    arguments = ["--app=busy.py", "--port=0", f"--interface={HOST}"]
    with Server(tmp_path, arguments, listen=()) as server, ExitStack() as stack:
        url = f"ws://{HOST}:{server.port}"
        client = stack.enter_context(connect(url))
        client.send("x")
        # They connect while the server isn't looking, and the signal arrives then, too.
        late = [
            stack.enter_context(socket.create_connection((HOST, server.port)))
            for _ in range(30)
        ]
        for each in late:
            each.sendall(b"GET / HTTP/1.1\r\n")
        server.signal(signal.SIGTERM)
        for each in late:
            each.settimeout(60)
            answer = b""
            while part := each.recv(4096):
                answer += part
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 5\r\n" in answer
            each.close()
        with pytest.raises(ConnectionClosed):
            client.recv(60)
        assert client.protocol.close_code == 1012
        assert server.wait() == 0
        assert "Traceback" not in server.log + server.err
