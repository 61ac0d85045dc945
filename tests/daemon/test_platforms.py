"""On a system without all of POSIX, such as Windows, the server does what it can
there, and reports what it can't.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import pytest
from websockets.sync.client import connect

from tests.processes import HOST, Process, Server

pytestmark = pytest.mark.costly

_POORER: Final = """
import os, select, signal, socket, sys

# What Python and Twisted themselves take on this system comes first.
import asyncio, subprocess, sysconfig
sysconfig.get_config_vars()
import twisted.internet.process, twisted.internet.selectreactor, twisted.internet.unix
from twisted.scripts.twistd import run

for name in ("pwd", "grp", "fcntl", "resource"):
    sys.modules[name] = None
for name in ("fork", "geteuid", "getegid", "killpg", "register_at_fork"):
    delattr(os, name)
for name in ("epoll", "poll"):
    delattr(select, name)
for name in ("SIGHUP", "SIGUSR1"):
    delattr(signal, name)
for name in ("AF_UNIX", "MSG_DONTWAIT", "SO_REUSEPORT"):
    delattr(socket, name)

def missing(*_):
    raise AttributeError("no sendmsg here")

socket.socket.sendmsg = property(missing)
sys.platform = "win32"
os.environ["WSPLUG_PURE"] = "1"
"""

_TWISTD: Final = (sys.executable, "-c", f"{_POORER}\nsys.exit(run())")


def test_messages(tmp_path: Path) -> None:
    """It starts, and exchanges messages of all sizes."""
    with (
        Server(
            tmp_path,
            ("--app=echo:path=/", "--max-message-size=8MiB", "--max-send-buffer=16MiB"),
            twistd=("--reactor=select",),
            program=_TWISTD,
        ) as server,
        connect(f"ws://{HOST}:{server.port}", max_size=None) as client,
    ):
        for size in (0, 100, 2_000, 20_000, 200_000, 5_000_000):
            message = "x" * size
            client.send(message)
            assert client.recv(30) == message
        assert server.err == ""
        assert "Traceback" not in server.log


def test_imports(tmp_path: Path) -> None:
    """All modules can be imported."""
    script = f"""{_POORER}
import importlib, pkgutil, wsplug
for module in pkgutil.walk_packages(wsplug.__path__, "wsplug."):
    if not module.name.startswith("wsplug.transport._"):
        importlib.import_module(module.name)
print("all")
"""
    with Process([sys.executable, "-c", script], tmp_path) as process:
        assert process.finish() == (0, "all\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--uid=1", "wsplug", "--app=echo"), "are for POSIX systems"),
        (("wsplug", "--app=process:command=cat"), "process needs a POSIX system"),
        (("wsplug", "--app=echo", "--reuse-port=yes"), "reuse-port"),
    ],
)
def test_what_it_cannot_do(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    """An option that needs POSIX is refused with one line that says so."""
    command = [*_TWISTD, "-n", "--reactor=select", "--pidfile=", *arguments]
    with Process(command, tmp_path) as process:
        status, _, err = process.finish()
    assert status == 1
    (line,) = err.splitlines()
    assert words in line
