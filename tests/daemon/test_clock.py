"""
The machine's clock is set while the server runs.
"""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path
from typing import Final

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.processes import HOST, Server

pytestmark = pytest.mark.costly

_TWISTD: Final = """
import os, sys, time

real = time.time
start = real()

def setTime():
    # By an hour, in the direction that the file's content says.
    try:
        with open("set") as file:
            return real() + 3600 * int(file.read() or 0)
    except OSError:
        return real()

time.time = setTime
from twisted.scripts.twistd import run
sys.exit(run())
"""
"""C{twistd} on a machine whose wall clock is set back once a file C{set} exists."""


def test_set_back(tmp_path: Path) -> None:
    """The clock goes back an hour: a call that was due in half a second still comes
    on time, and so do all later calls until the end.
    """
    program = (sys.executable, "-c", _TWISTD)
    arguments = (
        "--app=echo:delay=0.3",
        "--open-timeout=0.5",
        "--ping-interval=0.5",
        "--ping-timeout=0.5",
        "--close-timeout=0.5",
        "--stop-timeout=1",
    )
    with (
        Server(tmp_path, arguments, program=program) as server,
        socket.create_connection((HOST, server.port)) as unfinished,
        connect(f"ws://{HOST}:{server.port}") as echo,
    ):
        unfinished.settimeout(20)
        unfinished.sendall(b"GET / HTTP/1.1\r\n")
        echo.send("before")
        (tmp_path / "set").write_text("-1")
        assert unfinished.recv(1000).startswith(b"HTTP/1.1 408 ")
        assert echo.recv(20) == "before"
        echo.send("after")
        assert echo.recv(20) == "after"
        server.signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed):
            echo.recv(20)
        assert server.wait(20) == 0
