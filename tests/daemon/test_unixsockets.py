"""UNIX sockets left behind by a killed process."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol

from tests.processes import Process, waitUntil
from wsplug.daemon.running import isServer
from wsplug.daemon.unixsockets import listenOn
from wsplug.errors import StartupError
from wsplug.service import explainListening

FACTORY = Factory.forProtocol(Protocol)


def listen(path: Path, options: str = "") -> list[Any]:
    """Listen on a path, and return the port or the error as twistd reports it."""
    results: list[Any] = []
    listening = listenOn(serverFromString(reactor, f"unix:{path}{options}"), FACTORY)
    listening.addErrback(explainListening, str(path))
    listening.addBoth(results.append)
    return results


@contextmanager
def listening(path: Path, options: str = "") -> Iterator[None]:
    """Listen, and check that a client can connect."""
    (port,) = listen(path, options)
    assert IListeningPort.providedBy(port), port
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        yield
    finally:
        port.stopListening()


def leave(path: Path, holder: int | None) -> None:
    """Leave behind what a killed process leaves.

    @param holder: the process ID in the lock; C{None} for no lock.
    """
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
        left.listen()
    if holder is not None:
        os.symlink(str(holder), f"{path}.lock")


# Twisted leaves a socket that it could not bind to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("options", ["", ":lockfile=0"])
def test_same_process_number(tmp_path: Path, options: str) -> None:
    """In a container, the previous process had the same process ID: the lock isn't
    ours.
    """
    path = tmp_path / "socket"
    leave(path, os.getpid())
    with listening(path, options):
        pass


def test_lock_alone(tmp_path: Path) -> None:
    """A lock without its socket is stale, too."""
    path = tmp_path / "socket"
    os.symlink(str(os.getpid()), f"{path}.lock")
    with listening(path):
        pass


def test_number_of_something_else(tmp_path: Path) -> None:
    """The process ID in the lock belongs to a program that isn't a server."""
    path = tmp_path / "socket"
    with Process(["sleep", "600"], tmp_path) as other:
        leave(path, other.pid)
        with listening(path):
            pass


def test_somebody_listens(tmp_path: Path) -> None:
    """A listening process keeps its socket, and the error names the lock."""
    path = tmp_path / "socket"
    with listening(path):
        (failure,) = listen(path)
        assert failure.check(StartupError)
        assert str(failure.value) == (
            f"can't listen on {path}: Cannot acquire lock; process {os.getpid()} has "
            f"locked it; if that isn't a server, remove {path}.lock"
        )
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_server_is_about_to_listen(tmp_path: Path) -> None:
    """A running server may have locked the socket without listening yet."""
    path = tmp_path / "socket"
    command = ["sh", "-c", "sleep 600; :", "twistd"]
    with Process(command, tmp_path) as other:
        # Its command line isn't available from the first moment.
        waitUntil(lambda: isServer(other.pid), "its name is known")
        leave(path, other.pid)
        (failure,) = listen(path)
        assert f"process {other.pid} has locked it" in str(failure.value)
        assert path.exists()


def test_no_socket(tmp_path: Path) -> None:
    """A file that isn't a socket may be needed, and stays."""
    path = tmp_path / "file"
    path.write_text("precious", "ascii")
    os.symlink(str(os.getpid()), f"{path}.lock")
    (failure,) = listen(path)
    assert failure.check(StartupError)
    assert path.read_text("ascii") == "precious"
