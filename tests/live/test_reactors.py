"""
Under each of Twisted's reactors that this machine has.
"""

from __future__ import annotations

import select
import ssl
import sys
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.documentation.pages import codeIn, readPage
from tests.live.certificates import makeCertificate
from tests.processes import HOST, TCP, Process, checkEcho, portOf, serve, upgrade

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


ASYNC = """
import asyncio

from wsplug import WebSocketApplication, WebSocketProtocol, application


@application("both")
async def both(socket):
    first, _ = await asyncio.gather(socket.receive(), asyncio.sleep(0))
    await socket.sleep(0)
    await asyncio.wait_for(socket.send(first), 30)


class Waiting(WebSocketProtocol):
    async def textMessageReceived(self, message):
        if message == "fail":
            await asyncio.sleep(0)
            raise SystemExit(7)
        self.transport.sendTextMessage("waiting")
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            print("cancelled at the connection's end", flush=True)
            raise


class Waiters(WebSocketApplication):
    async def startApplication(self):
        await asyncio.sleep(0.01)
        print("started with asyncio", flush=True)

    async def buildProtocol(self, request):
        await asyncio.sleep(0)
        return Waiting()

    async def stopApplication(self):
        await asyncio.sleep(0)
        print("stopped with asyncio", flush=True)


waiters = Waiters()
"""
"""
Applications that await what a library for asyncio gives them.
"""


def test_library_of_asyncio(tmp_path: Path) -> None:
    """
    Under asyncio's reactor, applications await aiohttp's requests next to Deferreds: in
    coroutines for a connection, in methods, and at the start and the stop. Whatever
    they raise is theirs, and the end of a connection cancels what they wait for.
    """
    (tmp_path / "asking.py").write_text(ASYNC)
    sample, test = codeIn(readPage("asyncio"), "python")
    (tmp_path / "status.py").write_text(sample)
    (tmp_path / "test_status.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    with Process(command, tmp_path) as testing:
        assert testing.wait() == 0, testing.out
    with serve(
        tmp_path,
        "--app=status.py:path=/",
        "--app=asking.py:both:path=/both",
        "--app=asking.py:waiters:path=/wait",
        twistd=["--reactor=asyncio"],
    ) as server:
        server.waitForLog("started with asyncio")
        with connect(f"ws://{HOST}:{server.port}") as client:
            for _ in range(3):
                client.send(f"http://{HOST}:{server.port}/-/health")
                assert client.recv(60) == "200 OK"
        with connect(f"ws://{HOST}:{server.port}/both") as client:
            client.send("hello")
            assert client.recv(60) == "hello"
        with connect(f"ws://{HOST}:{server.port}/wait") as client:
            client.send("wait")
            assert client.recv(60) == "waiting"
        server.waitForLog("cancelled at the connection's end")
        with connect(f"ws://{HOST}:{server.port}/wait") as client:
            client.send("fail")
            with pytest.raises(ConnectionClosed):
                client.recv(60)
            assert client.protocol.close_code == 1011
        assert server.stop() == 0
        assert "stopped with asyncio" in server.log
        assert "was never awaited" not in server.log + server.err


def test_without_asyncio(tmp_path: Path) -> None:
    """
    Under another reactor, an application that awaits something of asyncio fails with
    one line that names the way out.
    """
    (tmp_path / "asking.py").write_text(
        "import asyncio\n"
        "from wsplug import application\n\n\n"
        "@application('late')\n"
        "async def late(socket):\n"
        "    await asyncio.sleep(0)\n"
        "    await asyncio.sleep(1)\n"
    )
    with serve(tmp_path, "--app=asking.py:late") as server:
        with connect(f"ws://{HOST}:{server.port}") as client:
            with pytest.raises(ConnectionClosed):
                client.recv(60)
            assert client.protocol.close_code == 1011
        server.waitForLog("start the server with 'twistd --reactor=asyncio'")
