"""
nginx and haproxy as processes, with the example configurations.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import missing
from tests.processes import HOST, Process, waitUntil

__all__ = ["EXAMPLES", "freePort", "haproxy", "nginx"]

EXAMPLES = Path(__file__).parents[2] / "examples" / "proxies"

_MODULE = Path("/etc/nginx/modules-enabled/50-mod-stream.conf")

_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def freePort() -> int:
    """
    Find a port for a program that can't find one itself.
    """
    with socket.create_server((HOST, 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _find(program: str, package: str) -> str:
    found = shutil.which(
        program, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"
    )
    if found is None:
        missing(f"{program}, of Debian's package {package}")
    return found


def _fill(name: str, changes: Mapping[str, str]) -> str:
    """
    Give an example with what differs here.
    """
    text = (EXAMPLES / name).read_text("utf-8")
    for old, new in changes.items():
        assert old in text, f"{name} has no {old!r}"
        text = text.replace(old, new)
    return text


@contextmanager
def _running(command: list[str], folder: Path, ports: list[int]) -> Iterator[Process]:
    with Process(command, folder) as process:

        def listens() -> bool:
            assert not process.ended, f"it has ended:\n{process.out}\n{process.err}"
            try:
                for port in ports:
                    socket.create_connection((HOST, port), 5).close()
            except OSError:
                return False
            return True

        waitUntil(listens, f"{command[0]} listens")
        yield process
        assert not process.ended, f"it has ended:\n{process.out}\n{process.err}"


@contextmanager
def nginx(
    folder: Path, name: str, changes: Mapping[str, str], *ports: int
) -> Iterator[Process]:
    """
    Have nginx while something is done.

    @param folder: one of its own.
    @param name: the example's.
    @param changes: what is different from the example.
    @param ports: where it will listen.
    """
    program = _find("nginx", "nginx")
    if "stream" in name and not _MODULE.exists():
        missing("nginx's stream module, of Debian's package libnginx-mod-stream")
    folder.mkdir(exist_ok=True)
    text = _fill(name, changes)
    paths = "".join(f"{each}_temp_path {folder / each};" for each in _FOLDERS)
    file = folder / name
    log = "access_log off;"
    file.write_text(text.replace("http {", "http {" + paths + log), "utf-8")
    user = "user root;" if os.geteuid() == 0 else ""
    own = f"daemon off; pid {folder / 'pid'}; {user}"
    command = [program, "-e", "stderr", "-c", str(file), "-g", own]
    with _running(command, folder, list(ports)) as process:
        yield process


@contextmanager
def haproxy(
    folder: Path, name: str, changes: Mapping[str, str], *ports: int
) -> Iterator[Process]:
    """
    Have haproxy while something is done; the parameters are C{nginx}'s.
    """
    program = _find("haproxy", "haproxy")
    folder.mkdir(exist_ok=True)
    file = folder / name
    # More than root may always have open needn't be there for a test.
    few = {"maxconn 20000": "maxconn 100", **changes}
    file.write_text(_fill(name, few), "utf-8")
    with _running([program, "-db", "-f", str(file)], folder, list(ports)) as process:
        yield process
