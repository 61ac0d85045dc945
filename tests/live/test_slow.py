"""
Clients that don't read.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect, unix_connect

from tests.live.conftest import TRANSPORTS, Everywhere, Live, everywhere
from tests.processes import HANDSHAKE, HOST, checkEcho, serve, upgrade, waitUntil

pytestmark = pytest.mark.costly

MB = 1000 * 1000

SIZE = 65536


def message(number: int) -> bytes:
    """
    Make a binary frame with a number, masked with zeros.
    """
    head = struct.pack("!BBQ4x", 0x82, 0xFF, SIZE)
    return head + struct.pack("!Q", number) + bytes(SIZE - 8)


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
def test_neverReads(tmp_path: Path) -> None:
    """
    A client that sends 300 MB to be echoed, and reads nothing, is stopped by the
    server, which reads no more from it: the server's memory stays as it is, others are
    served, and after its send timeout it is closed.
    """
    arguments = ["--send-timeout=2", "--close-timeout=1"]
    with serve(tmp_path, *arguments) as server, upgrade(server.port) as client:
        checkEcho(server.port)
        before = most = server.memory()
        client.setblocking(False)
        frame = memoryview(message(0))
        sent = served = stopped = 0
        deadline = time.monotonic() + 60
        while sent < 300 * MB:
            assert time.monotonic() < deadline, "it isn't closed"
            _, writable, _ = select.select([], [client], [], 0.05)
            most = max(most, server.memory())
            if not writable:
                checkEcho(server.port)
                served += 1
                stopped = stopped or sent
                continue
            try:
                sent += client.send(frame[sent % len(frame) :])
            except (ConnectionResetError, BrokenPipeError):
                break
        server.waitForLog("(send-timeout)")
        # It was stopped by then; what it sends after its close is thrown away.
        assert 0 < stopped < 50 * MB
        assert most - before < 30 * MB
        assert served > 2
        (line,) = (line for line in server.log.splitlines() if "send-timeout" in line)
        assert "closed by the server, without a handshake, 1013: " in line
        checkEcho(server.port)
        assert "Traceback" not in server.log


def test_readsLate(tmp_path: Path) -> None:
    """
    One that reads only when it can't send any more gets everything in its order.
    """
    with serve(tmp_path) as server, upgrade(server.port) as client:
        client.setblocking(False)
        count = 30 * MB // SIZE
        outgoing = memoryview(b"".join(map(message, range(count))))
        incoming = bytearray()
        total = count * (SIZE + 10)
        reads = False
        deadline = time.monotonic() + 60
        while len(incoming) < total:
            assert time.monotonic() < deadline, (len(outgoing), len(incoming))
            readable, writable, _ = select.select(
                [client] if reads else [], [client] if outgoing else [], [], 0.5
            )
            if not readable and not writable:
                reads = True
            if writable:
                outgoing = outgoing[client.send(outgoing[:1000000]) :]
            if readable:
                incoming += client.recv(1000000)
        assert reads
        for number in range(count):
            start = number * (SIZE + 10)
            frame = bytes(incoming[start : start + SIZE + 10])
            assert frame[10:18] == struct.pack("!Q", number)
            assert frame[:10] == struct.pack("!BBQ", 0x82, 0x7F, SIZE)
        client.setblocking(True)
        client.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(("size", "count"), [(100_000, 15), (1000, 20_000)])
def test_muchInOneTurn(
    defaultServer: Everywhere, transport: str, size: int, count: int
) -> None:
    """
    One that reads all the time gets all that is sent to it in one turn of the reactor,
    more than the kernel takes at once and more than the send limit, and stays.
    """
    live = defaultServer.by(transport)
    trust = None
    if transport == "tls":
        trust = ssl.create_default_context(cafile=str(live.certificate))
    connecting = (
        unix_connect(str(live.socket), "ws://localhost/live", compression=None)
        if transport == "unix"
        else connect(
            f"ws{'s' if trust else ''}://{HOST}:{live.port}/live",
            ssl=trust,
            compression=None,
        )
    )
    with connecting as client:
        for _ in range(2):
            client.send(f"burst {count} {size}")
            for _ in range(count):
                assert client.recv(60) == bytes(size)
            assert client.recv(60) == "done"


def text(payload: bytes) -> bytes:
    """
    Make a frame of text, masked with zeros.
    """
    if len(payload) < 126:
        return struct.pack("!BB4x", 0x81, 0x80 | len(payload)) + payload
    return struct.pack("!BBQ4x", 0x81, 0xFF, len(payload)) + payload


def connectRaw(live: Live, path: str) -> socket.socket:
    """
    Connect without a library.
    """
    if live.transport == "tls":
        trust = ssl.create_default_context(cafile=str(live.certificate))
        return upgrade(live.port, path, trust)
    if live.transport == "tcp":
        return upgrade(live.port, path)
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(live.socket))
    client.sendall(HANDSHAKE % path.encode("ascii"))
    assert client.recv(10_000).endswith(b"\r\n\r\n")
    return client


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everywhere]:
    """
    A server with a short close timeout.
    """
    folder = tmp_path_factory.mktemp("hurried")
    with everywhere(folder, "--close-timeout=2") as server:
        yield server


@pytest.mark.parametrize(
    ("transport", "size", "end"),
    [
        *((name, 0, "ends") for name in TRANSPORTS),
        *((name, 0, "resets") for name in ("tcp", "tls")),
        # Of much that isn't read from a UNIX socket nobody tells the end.
        *(
            (name, 100_000, end)
            for name in ("tcp", "tls")
            for end in ("ends", "resets")
        ),
    ],
)
def test_goesWhileAHandlerWaits(
    hurried: Everywhere, transport: str, size: int, end: str
) -> None:
    """
    One that goes while a handler waits for ever is missed: at once or, where much of
    what it had sent before is left, when the handler had its time.
    """
    live = hurried.by(transport)
    log = live.server
    before = log.log.count(" live: closed by ")
    client = connectRaw(live, "/live")
    client.sendall(text(b"wait") + (text(bytes(size)) if size else b""))
    time.sleep(0.2)
    if end == "resets":
        linger = struct.pack("ii", 1, 0)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    began = time.monotonic()
    client.close()
    waitUntil(lambda: log.log.count(" live: closed by ") > before, "it is missed", 20)
    (*_, line) = (line for line in log.log.splitlines() if " live: closed by " in line)
    assert "closed by the peer, without a handshake, 1006" in line
    took = time.monotonic() - began
    if size and end == "ends":
        assert 1.5 < took < 6
    else:
        assert took < 1.5


@pytest.mark.parametrize("leaves", [False, True])
def test_goesOnAfterAViolation(
    hurried: Everywhere, transport: str, leaves: bool
) -> None:
    """
    One that broke a rule and goes on sending is read from for two MiB; what is
    more is in the kernels. It finds out why, and leaves, or is cut off in the end.
    """
    live = hurried.by(transport)
    log = live.server
    before = log.log.count(": closed by ")
    with connectRaw(live, "/live") as client:
        client.sendall(b"\xff\xff")
        sent = 0
        client.settimeout(0.5)
        began = time.monotonic()
        try:
            while sent < 200 * MB:
                sent += client.send(bytes(16_000))
        except TimeoutError:
            answer = client.recv(100)
            assert answer[:1] + answer[2:4] == b"\x88\x03\xea"
            if not leaves:
                client.settimeout(10)
                with pytest.raises((ConnectionError, ssl.SSLError)):
                    client.sendall(bytes(50 * MB))
        assert sent < 30 * MB
    waitUntil(lambda: log.log.count(": closed by ") > before, "it is gone", 10)
    assert time.monotonic() - began < 6


@pytest.fixture(scope="module")
def pinging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everywhere]:
    """
    A server that soon asks for signs of life, and soon gives up.
    """
    folder = tmp_path_factory.mktemp("pinging")
    timeouts = ("--ping-interval=2", "--ping-timeout=2", "--send-timeout=4")
    with everywhere(folder, *timeouts) as server:
        yield server


@pytest.mark.parametrize("size", [1 * MB, 3 * MB])
def test_readsSlowly(pinging: Everywhere, transport: str, size: int) -> None:
    """
    One that reads steadily, but so slowly that a ping isn't reached in time behind a
    message, or that the kernel doesn't ask for more in time, gets all of it. When it
    reads no more, it is dropped.
    """
    live = pinging.by(transport)
    log = live.server
    before = log.log.count("(ping-timeout)")
    with connectRaw(live, "/live") as client:
        client.sendall(text(f"burst 1 {size}".encode()))
        rate = size // 7
        began = time.monotonic()
        incoming = 0
        while incoming < size + 10:
            data = client.recv(10_000)
            assert data, "it is closed"
            incoming += len(data)
            time.sleep(max(0.0, began + incoming / rate - time.monotonic()))
        assert time.monotonic() - began > 6
        assert log.log.count("(ping-timeout)") == before
        began = time.monotonic()
        client.sendall(text(b"hello"))
        waitUntil(lambda: log.log.count("(ping-timeout)") > before, "it is dropped", 15)
        assert time.monotonic() - began > 3


def test_resets(tmp_path: Path) -> None:
    """
    One that cuts the connection off while much is on its way leaves nothing behind but
    a line in the log.
    """
    with serve(tmp_path) as server:
        for _ in range(5):
            with upgrade(server.port) as client:
                client.sendall(message(1) * 4)
                client.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
        for _ in range(5):
            with socket.create_connection((HOST, server.port)) as client:
                client.sendall(b"GET / HTTP/1.1\r\n")
                client.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
        checkEcho(server.port)
        assert server.stop() == 0
        assert server.log.count("1006: ") == 5
        assert "Traceback" not in server.log
