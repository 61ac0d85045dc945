"""Sockets inherited from systemd: they are taken over, served, and left unchanged."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent

from tests.conftest import missing
from tests.daemon.kit import activate, inherit
from tests.processes import HOST, TWISTD, Process, checkEcho, runTwistd, upgrade
from wsplug.daemon.inherited import UNIXListener, takeOver
from wsplug.errors import InvalidOption

pytestmark = pytest.mark.costly


def test_several_with_names(tmp_path: Path) -> None:
    """IPv4, IPv6 and UNIX sockets together, by name.

    They use the fast transport, and stay open for their owner.
    """
    path = tmp_path / "socket"
    with (
        socket.create_server((HOST, 0)) as four,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        unix.bind(str(path))
        path.chmod(0o600)
        unix.listen(100)
        listen = [
            "systemd:domain=INET6:name=six",
            "systemd:domain=UNIX:name=local",
            "systemd:domain=INET:name=four",
        ]
        names = ("four", "six", "local")
        with activate(
            tmp_path,
            [four, six, unix],
            listen,
            names=names,
            arguments=("--app=echo", "--close-timeout=0.5"),
        ) as server:
            assert server.addresses == [
                f"[::1]:{six.getsockname()[1]}",
                f"unix:{path}",
                f"{HOST}:{four.getsockname()[1]}",
            ]
            checkEcho(four.getsockname()[1])
            with socket.create_connection(six.getsockname()[:2]) as client:
                client.sendall(b"GET /nothing HTTP/1.0\r\nHost: x\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.")
            checkEcho(unix=path)
            with upgrade(four.getsockname()[1]) as client:
                assert server.stop() == 0
                assert client.recv(100)[2:4] == (1012).to_bytes(2, "big")
            assert "Traceback" not in server.log + server.err
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for listener in (four, six, unix):
            assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


@pytest.mark.slow
def test_unix_of_somebody_else(tmp_path: Path) -> None:
    """A user who may not change the file of root's UNIX socket can serve it."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.geteuid() != 0:
        missing("root, and setpriv from util-linux")
    path = Path("/tmp") / f"wsplug-{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        try:
            path.chmod(0o666)
            unix.listen(10)
            from tests.processes import Server

            with Server(
                tmp_path,
                ["--app=echo"],
                listen=["systemd:domain=UNIX:index=0"],
                environment={"LISTEN_FDNAMES": "x"},
                program=[
                    *(setpriv, "--bounding-set=-all", "--inh-caps=-all"),
                    *inherit([unix]),
                    TWISTD,
                ],
                descriptors=[unix.fileno()],
            ) as server:
                checkEcho(unix=path)
                assert server.stop() == 0
            assert path.exists()
        finally:
            path.unlink()


MISTAKES = {
    "index": ("domain=INET:index=1", "systemd passed no such socket (LISTEN_FDS"),
    "name": ("domain=INET:name=web", "systemd passed no such socket"),
    "domain": ("domain=INET6:index=0", "has another domain: domain=INET"),
    "no domain": ("domain=ETHER:index=0", "the domain has to be INET, INET6 or UNIX"),
    "neither": ("domain=INET", "exactly one of descriptor index or name"),
}


@pytest.mark.parametrize(
    "name",
    [
        name if name == "domain" else pytest.param(name, marks=pytest.mark.slow)
        for name in MISTAKES
    ],
)
def test_wrong(name: str, tmp_path: Path) -> None:
    """A missing or unsuitable socket is an error of one line, with status 1."""
    words, message = MISTAKES[name]
    with socket.create_server((HOST, 0)) as listener:
        command = [
            *inherit([listener]),
            *(TWISTD, "-n", "--pidfile=", "wsplug", "--app=echo"),
            f"--listen=systemd:{words}",
        ]
        environment = {"LISTEN_FDNAMES": "x"}
        with Process(
            command,
            tmp_path,
            environment=environment,
            descriptors=[listener.fileno()],
        ) as process:
            finished = process.finish()
    assert finished.status == 1
    assert finished.err.startswith("wsplug: can't listen on 'systemd:")
    assert message in finished.err
    assert finished.err.count("\n") == 1


@pytest.mark.slow
def test_without_systemd(tmp_path: Path) -> None:
    """If no socket was inherited, the line says what is missing."""
    finished = runTwistd(
        tmp_path,
        *("-n", "--pidfile=", "wsplug", "--app=echo"),
        "--listen=systemd:domain=INET:index=0",
    )
    assert finished.status == 1
    assert (
        "(LISTEN_FDS, LISTEN_FDNAMES): the service needs a .socket unit" in finished.err
    )
    assert finished.err.count("\n") == 1


def test_not_listening() -> None:
    """A socket that doesn't listen, a datagram socket, and a descriptor that isn't a
    socket are refused.
    """
    reactor = MemoryReactorClock()
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as other:
            endpoint = AdoptedStreamServerEndpoint(
                reactor, other.fileno(), socket.AF_INET
            )
            with pytest.raises(InvalidOption, match="doesn't listen for connections"):
                takeOver(endpoint, reactor)
    with open(os.devnull) as none:
        endpoint = AdoptedStreamServerEndpoint(reactor, none.fileno(), socket.AF_INET)
        with pytest.raises(InvalidOption, match="isn't a socket"):
            takeOver(endpoint, reactor)


@pytest.mark.everyday
def test_no_descriptor_left() -> None:
    """When no descriptor is left, a UNIX socket pauses for a second instead of
    retrying all the time. The pause ends with the port.
    """
    reactor: Any = MemoryReactorClock()

    class Full(socket.socket):
        def accept(self) -> Any:
            raise OSError(errno.EMFILE, "Too many open files")

    with capturedLogs() as events, Full(socket.AF_UNIX) as listener:
        port = UNIXListener(reactor, listener, Factory())
        port.startListening()
        assert port in reactor.getReaders()
        port.doRead()
        assert port not in reactor.getReaders()
        reactor.advance(1)
        assert port in reactor.getReaders()
        port.doRead()
        port.stopListening()
        port.stopListening()
        reactor.advance(1)
        assert port not in reactor.getReaders()
        reactor.advance(8)
    lines = [formatEvent(event) for event in events]
    told = [line for line in lines if "can't accept" in line]
    assert told == [
        "can't accept a connection: Too many open files",
        "can't accept 1 more connections: Too many open files",
    ]
