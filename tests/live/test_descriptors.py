"""
A server that may open few files.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.processes import (
    HANDSHAKE,
    HOST,
    PATIENCE,
    TWISTD,
    Server,
    checkEcho,
    upgrade,
    waitUntil,
)

pytestmark = [
    pytest.mark.costly,
    pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc"),
]

LIMITED = ("/bin/sh", "-c", 'ulimit -n 200; exec "$0" "$@"', TWISTD)

CLIENTS = 130

PAGES = """
from wsplug import application
from wsplug.folder import Folder

async def repeat(socket):
    async for message in socket:
        await socket.send(message)

own = application("own", help="Files.", pages="pages")(repeat)
foreign = application("foreign", help="Files.", pages=Folder("pages"))(repeat)
"""


def checkHealth(port: int) -> None:
    """
    Have the server say, on a connection of its own, that it lives.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        connection.request("GET", "/-/health/live")
        assert connection.getresponse().status == 200
    finally:
        connection.close()


def ask(port: int, path: str) -> socket.socket:
    """
    Ask for a file, and leave the response in the kernel.
    """
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(PATIENCE)
    client.connect((HOST, port))
    client.sendall(b"GET %s HTTP/1.0\r\n\r\n" % path.encode("ascii"))
    assert client.recv(1, socket.MSG_PEEK)
    return client


def readAll(client: socket.socket) -> bytes:
    """
    Read until the end.
    """
    pieces = []
    while piece := client.recv(1_000_000):
        pieces.append(piece)
    return b"".join(pieces)


def test_clients_that_read_nothing(tmp_path: Path) -> None:
    """
    With C{ulimit -n 200}, 130 clients ask for a file of 20 MB and read none of it. Each
    takes the descriptor of its connection and no other, so everybody else is served:
    health checks, WebSockets, and the same files.
    """
    (tmp_path / "pages").mkdir()
    content = os.urandom(1_000_000) * 20
    (tmp_path / "pages" / "large").write_bytes(content)
    (tmp_path / "pages" / "small").write_bytes(b"small")
    (tmp_path / "files.py").write_text(PAGES, "ascii")
    arguments = [
        "--app=files.py:own",
        "--app=files.py:foreign",
        f"--send-timeout={PATIENCE * 10:g}",
    ]
    with ExitStack() as stack:
        server = stack.enter_context(Server(tmp_path, arguments, program=LIMITED))
        port = server.port
        checkHealth(port)
        before = server.descriptors()
        clients = [
            stack.enter_context(ask(port, f"/{name}/large"))
            for name in ("own", "foreign")
            for _ in range(CLIENTS // 2)
        ]
        for _ in range(10):
            checkHealth(port)
            with ask(port, "/own/small") as client:
                assert readAll(client).endswith(b"\r\n\r\nsmall")
            with ask(port, "/foreign/small") as client:
                assert readAll(client).endswith(b"\r\n\r\nsmall")
        checkEcho(port, "/own")
        # The server may see a little later that others have left.
        most = before + CLIENTS
        waitUntil(lambda: server.descriptors() <= most, "no descriptor but theirs")
        for client in (clients[0], clients[-1]):
            assert readAll(client).partition(b"\r\n\r\n")[2] == content
        assert "Traceback" not in server.log
        assert "EMFILE" not in server.log
        for client in clients:
            client.close()
        assert server.stop() == 0


def test_full(tmp_path: Path) -> None:
    """
    A server that is full, with as many connections as fit, more that it has refused,
    and idle ones in the slots for health checks, still has descriptors. It answers
    health checks.
    """
    program = (*LIMITED[:2], LIMITED[2].replace("200", "600"), TWISTD)
    arguments = ["--app=echo", "--close-timeout=300", "--open-timeout=300"]
    with ExitStack() as stack:
        server = stack.enter_context(Server(tmp_path, arguments, program=program))
        server.waitForLog(" connections\n")
        (count,) = re.findall(r"up to (\d+) connections", server.log)
        for _ in range(int(count)):
            stack.enter_context(upgrade(server.port))
        for _ in range(100):
            client = socket.create_connection((HOST, server.port), PATIENCE)
            stack.enter_context(client).sendall(HANDSHAKE % b"/")
            assert client.recv(12) == b"HTTP/1.1 503"
        for _ in range(40):
            client = socket.create_connection((HOST, server.port), PATIENCE)
            stack.enter_context(client).sendall(b"GET /-/health/live HTTP/1.1\r\n")
        for _ in range(10):
            checkHealth(server.port)
        assert "can't accept" not in server.log
        assert server.descriptors() < 600


HOARD = """
import os
from wsplug import application

@application("hoard", help="Opens files until none can be opened.")
async def hoard(socket):
    opened = []
    async for message in socket:
        try:
            while message == "open":
                opened.append(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            await socket.send(error.strerror)
        while message == "close" and opened:
            os.close(opened.pop())
        await socket.send("done")
"""


def test_no_descriptor_left(tmp_path: Path) -> None:
    """
    When an application has taken all descriptors, connections are ended at once, and a
    hundred of them are one line in the log. Once there are descriptors again, the
    server serves as before.
    """
    (tmp_path / "hoard.py").write_text(HOARD, "ascii")
    with Server(tmp_path, ["--app=hoard.py"], program=LIMITED) as server:
        checkHealth(server.port)
        start = len(server.log)
        with connect(f"ws://{HOST}:{server.port}/", open_timeout=PATIENCE) as other:
            other.send("open")
            assert other.recv(PATIENCE) == "Too many open files"
            assert other.recv(PATIENCE) == "done"
            for _ in range(100):
                client = socket.create_connection((HOST, server.port), PATIENCE)
                with client, suppress(ConnectionError):
                    assert client.recv(1) == b""
            other.send("close")
            assert other.recv(PATIENCE) == "done"
            checkHealth(server.port)
        assert server.stop() == 0
        log = server.log[start:].splitlines()
        lines = [line for line in log if "can't accept" in line]
        # One, and one more for every ten seconds that a slow machine took.
        assert 1 <= len(lines) < 20
        assert all(line.endswith(": Too many open files") for line in lines)
        assert "EMFILE" not in server.log
        assert "Traceback" not in server.log
