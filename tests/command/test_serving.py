"""The ways to choose what is served, and where."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.processes import HOST, TCP, Server, checkEcho, portOf, serve

pytestmark = pytest.mark.costly

SHOUT = """
from wsplug import application


@application("shout", help="Repeat every text in capitals.")
async def shout(socket):
    async for message in socket:
        await socket.send(message.upper())
"""


def checkShout(port: int, path: str = "/") -> None:
    """
    Have a text repeated in capitals.
    """
    with connect(f"ws://{HOST}:{port}{path}") as client:
        client.send("hello")
        assert client.recv(60) == "HELLO"


def freePort() -> int:
    """Find a port that is free, and most probably stays free for a moment."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.everyday
def test_port(tmp_path: Path) -> None:
    """ "--port" and "--interface" say where the server listens."""
    port = freePort()
    with serve(tmp_path, f"--port={port}", f"--interface={HOST}", listen=()) as server:
        assert server.addresses == [f"{HOST}:{port}"]
        checkEcho(port)


@pytest.mark.everyday
def test_ipv6(tmp_path: Path) -> None:
    """An interface with colons is an IPv6 address."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with (
        serve(tmp_path, "--port=0", "--interface=::1", listen=()) as server,
        connect(f"ws://[::1]:{server.port}") as client,
    ):
        assert server.addresses[0].startswith("[::1]:")
        client.send("hello")
        assert client.recv(60) == "hello"


def test_everywhere(tmp_path: Path) -> None:
    """Several endpoints serve the same application.

    One is a UNIX socket, whose file is removed at the end.
    """
    path = tmp_path / "run.sock"
    with serve(tmp_path, listen=(TCP, TCP, f"unix:{path}")) as server:
        first, second = map(portOf, server.addresses[:2])
        assert server.addresses[2] == f"unix:{path}"
        checkEcho(first)
        checkEcho(second)
        checkEcho(unix=path)
        assert server.stop() == 0
    assert not path.exists()


def test_portAndListen(tmp_path: Path) -> None:
    """ "--port" and "--listen" can be combined."""
    arguments = ["--app=echo", "--port=0", f"--interface={HOST}", f"--listen={TCP}"]
    with Server(tmp_path, arguments, listen=()) as server:
        server.waitForLog("listening", server.log.index("listening on") + 1)
        addresses = [
            line.rpartition(" ")[2]
            for line in server.log.splitlines()
            if "listening on" in line
        ]
        assert len(set(addresses)) == 2
        for address in addresses:
            checkEcho(portOf(address))


def test_paths(tmp_path: Path) -> None:
    """Several applications are at their names, or where "path=" puts them; other
    paths have no application.
    """
    (tmp_path / "shout.py").write_text(SHOUT, "utf-8")
    with serve(
        tmp_path, "--app=echo", "--app=shout.py:path=/a/b", "--app=shout.py:shout"
    ) as server:
        checkEcho(server.port, "/echo")
        checkEcho(server.port, "/echo/and/more")
        checkShout(server.port, "/a/b")
        checkShout(server.port, "/shout")
        with pytest.raises(InvalidStatus) as caught:
            connect(f"ws://{HOST}:{server.port}/")
        assert caught.value.response.status_code == 404


def test_module(tmp_path: Path) -> None:
    """
    "package.module:attribute" is found in the working directory.
    """
    package = tmp_path / "things"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "loud.py").write_text(SHOUT, "utf-8")
    with serve(tmp_path, "--app=things.loud:shout") as server:
        checkShout(server.port)


def test_configuration(tmp_path: Path) -> None:
    """Every part of a configuration file takes effect."""
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "index.html").write_text("the page", "utf-8")
    paged = SHOUT.replace(
        "capitals.", f'capitals.", pages={str(pages)!r}, subprotocols=("a", "b'
    ).replace('"b")', '"b"))')
    (tmp_path / "shout.py").write_text(paged, "utf-8")
    (tmp_path / "wsplug.toml").write_text(
        f"""
listen = ["{TCP}"]
max-message-size = "64KiB"
ping-interval = "off"
origin = ["https://example.org", "same-host"]

[[app]]
use = "echo"
path = "/e"
compression = false

[[app]]
use = "shout.py"
""",
        "utf-8",
    )
    with serve(tmp_path, "--config=wsplug.toml", listen=()) as server:
        checkEcho(server.port, "/e")
        checkShout(server.port, "/shout")
        url = f"ws://{HOST}:{server.port}"
        with connect(f"{url}/e", origin=Origin("https://example.org")) as client:
            assert not client.protocol.extensions
            client.send("a" * 65536)
            assert client.recv(60) == "a" * 65536
            client.send("a" * 65537)
            with pytest.raises(Exception, match="1009"):
                client.recv(60)
        with connect(f"{url}/shout") as client:
            assert client.protocol.extensions
        with pytest.raises(InvalidStatus) as caught:
            connect(f"{url}/e", origin=Origin("https://example.com"))
        assert caught.value.response.status_code == 403
        plain = http.client.HTTPConnection(HOST, server.port, timeout=60)
        plain.request("GET", "/shout/")
        response = plain.getresponse()
        assert (response.status, response.read()) == (200, b"the page")
        plain.close()


def test_commandLineWins(tmp_path: Path) -> None:
    """The command line overrides the file."""
    (tmp_path / "wsplug.toml").write_text(
        'listen = "unix:never.sock"\nport = 1\nmax-message-size = 4\napp = "none"\n',
        "utf-8",
    )
    with serve(
        tmp_path, "--config=wsplug.toml", "--app=echo", "--max-message-size=5"
    ) as server:
        checkEcho(server.port)
        assert len(server.addresses) == 1
    assert not (tmp_path / "never.sock").exists()
