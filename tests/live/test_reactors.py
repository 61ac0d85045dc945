"""
Under each of Twisted's reactors that this machine has.
"""

from __future__ import annotations

import select
import ssl
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.live.certificates import makeCertificate
from tests.processes import HOST, TCP, checkEcho, portOf, serve, upgrade

pytestmark = pytest.mark.costly

REACTORS = ["select", "asyncio"]
if hasattr(select, "poll"):
    REACTORS.append("poll")
if hasattr(select, "epoll"):
    REACTORS.append("epoll")


@pytest.mark.parametrize("reactor", REACTORS)
def test_reactor(reactor: str, tmp_path: Path) -> None:
    """
    Small and large messages are echoed over each transport, and SIGTERM ends the server
    in order, with status 0.
    """
    certificate, key = makeCertificate(tmp_path, HOST)
    listen = (
        TCP,
        f"ssl:0:interface={HOST}:privateKey={key}:certKey={certificate}",
        "unix:socket",
    )
    with serve(tmp_path, listen=listen, twistd=[f"--reactor={reactor}"]) as server:
        assert f"reactor class: twisted.internet.{reactor}" in server.log
        checkEcho(server.port)
        trust = ssl.create_default_context(cafile=str(certificate))
        with upgrade(portOf(server.addresses[1]), trust=trust) as secure:
            secure.sendall(b"\x81\x85\0\0\0\0hello")
            assert secure.recv(100) == b"\x81\x05hello"
        checkEcho(unix=tmp_path / "socket")
        with connect(f"ws://{HOST}:{server.port}", compression=None) as client:
            large = bytes(range(256)) * 4096
            client.send(large)
            assert client.recv(60) == large
            assert server.stop() == 0
            with pytest.raises(ConnectionClosed):
                client.recv(60)
            assert client.protocol.close_code == 1012
        assert "Traceback" not in server.log + server.err
        assert "SIGTERM: stopping" in server.log
