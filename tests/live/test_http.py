"""
Plain HTTP over real sockets: clients that say nothing, close by halves, or answer no
close_notify.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.certificates import makeCertificate
from tests.processes import HANDSHAKE, HOST, TCP, Server, portOf, serve

CHECK = b"GET /-/health/live HTTP/1.1\r\nHost: a\r\n\r\n"

TRANSPORTS = ("tls", "tcp")

SOON = 0.5
"""
Seconds in which a health check is to be answered.
"""


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def readAll(source: socket.socket) -> bytes:
    """
    Read up to the end.
    """
    data = b""
    while piece := source.recv(65536):
        data += piece
    return data


def check(port: int, trust: ssl.SSLContext | None = None) -> float:
    """
    Have a health check answered.

    @return: the seconds that it took.
    """
    began = time.monotonic()
    with socket.create_connection((HOST, port), 10) as plain, ExitStack() as stack:
        client = plain
        if trust is not None:
            client = stack.enter_context(trust.wrap_socket(plain, server_hostname=HOST))
        client.sendall(CHECK)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    return time.monotonic() - began


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return makeCertificate(tmp_path_factory.mktemp("certificate"), HOST)


@pytest.fixture
def full(tmp_path: Path, certificate: tuple[Path, Path]) -> Iterator[Server]:
    """
    A server that is full, over TLS and without.
    """
    with (
        serve(
            tmp_path,
            *("--port=0", f"--interface={HOST}", "--max-connections=1"),
            *(f"--tls-cert={certificate[0]}", f"--tls-key={certificate[1]}"),
            # It waits for two of the three: these are TLS and TCP.
            listen=(TCP, f"unix:{tmp_path / 'socket'}"),
        ) as server,
        socket.create_connection((HOST, portOf(server.addresses[1])), 10) as client,
    ):
        client.sendall(b"GET /")
        check(portOf(server.addresses[1]))
        yield server


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_idle_connections_over_a_full_server(
    full: Server, certificate: tuple[Path, Path], transport: str
) -> None:
    """
    Forty idle connections from four addresses don't hide a full server's health, not
    even from one of those addresses.
    """
    port = portOf(full.addresses[transport == "tcp"])
    trust = trusting(certificate[0]) if transport == "tls" else None
    with ExitStack() as stack:
        for number in range(40):
            own = (f"127.0.0.{1 + number % 4}", 0)
            client = socket.create_connection((HOST, port), 10, own)
            stack.enter_context(client)
        assert min(check(port, trust) for _ in range(3)) < SOON


# Clients that close their side for writing

SIZE = 3_000_000


@pytest.fixture(scope="module")
def pages(
    tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]
) -> Iterator[Server]:
    """
    A server that has a large page, and takes publications.
    """
    folder = tmp_path_factory.mktemp("pages")
    (folder / "pages").mkdir()
    (folder / "pages" / "large.bin").write_bytes(bytes(SIZE))
    (folder / "large.py").write_text(
        "from wsplug import WebSocketProtocol, application\n"
        "@application('large', pages='pages')\n"
        "class large(WebSocketProtocol):\n"
        "    pass\n",
        "ascii",
    )
    with serve(
        folder,
        *("--port=0", f"--interface={HOST}", "--close-timeout=1"),
        *(f"--tls-cert={certificate[0]}", f"--tls-key={certificate[1]}"),
        "--app=large.py:path=/",
        "--app=push:token=abcdefghijklmnopqrstuvwxyz012345",
        listen=(TCP, f"unix:{folder / 'socket'}"),
    ) as server:
        server.waitForLog("socket")
        yield server
        assert server.stop() == 0
        assert "Traceback" not in server.log + server.err
        assert "Unhandled" not in server.log + server.err


PUBLISH = (
    b"POST /push/publish?channel=a HTTP/1.1\r\nHost: a\r\n"
    b"Authorization: Bearer abcdefghijklmnopqrstuvwxyz012345\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
)


def connect(server: Server, transport: str) -> socket.socket:
    if transport == "tcp":
        return socket.create_connection((HOST, portOf(server.addresses[1])), 30)
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(30)
    client.connect(str(server.folder / "socket"))
    return client


@pytest.mark.parametrize("transport", ["tcp", "unix"])
@pytest.mark.parametrize(
    ("data", "status", "size"),
    [
        (b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n", 200, SIZE),
        (PUBLISH, 200, 1),
        (b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404, 1),
        (b"nonsense\r\n\r\n", 400, 1),
    ],
    ids=["page", "publish", "nothing", "nonsense"],
)
def test_half_closed(
    pages: Server, transport: str, data: bytes, status: int, size: int
) -> None:
    """
    Who has sent all gets the whole answer, and then the end.
    """
    with connect(pages, transport) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        head, _, body = readAll(client).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert len(body) >= size


@pytest.mark.parametrize("transport", ["tcp", "unix"])
@pytest.mark.parametrize("data", [b"", b"GET / HTT", HANDSHAKE % b"/"])
def test_half_closed_is_loss(pages: Server, transport: str, data: bytes) -> None:
    """
    Before a request is whole, and once there is a WebSocket, it is the end.
    """
    start = len(pages.log)
    with connect(pages, transport) as client:
        client.sendall(data)
        if data.endswith(b"\r\n\r\n"):
            assert client.recv(65536).startswith(b"HTTP/1.1 101 ")
        client.shutdown(socket.SHUT_WR)
        assert readAll(client) == b""
        if data.endswith(b"\r\n\r\n"):
            pages.waitForLog("went away without closing", start)


def test_half_closed_within_tls(pages: Server, certificate: tuple[Path, Path]) -> None:
    """
    A close_notify is answered, and what had been sent before it arrives.
    """
    with (
        socket.create_connection((HOST, portOf(pages.addresses[0])), 30) as plain,
        trusting(certificate[0]).wrap_socket(plain, server_hostname=HOST) as client,
    ):
        client.sendall(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 404 ")
        assert readAll(client.unwrap()) == b""


# Clients that don't answer close_notify


def open_(port: int, certificate: Path, data: bytes) -> socket.socket:
    """
    Ask for something over TLS, and read what comes, but answer no close_notify.
    """
    plain = socket.create_connection((HOST, port), 30)
    client = trusting(certificate).wrap_socket(
        plain, server_hostname=HOST, suppress_ragged_eofs=False
    )
    client.sendall(data)
    assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    return client


def test_no_close_notify(pages: Server, certificate: tuple[Path, Path]) -> None:
    """
    The server ends TCP behind its own close_notify; it waits for no other.
    """
    data = CHECK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with open_(portOf(pages.addresses[0]), certificate[0], data) as client:
        assert client.recv(1) == b""
        with socket.socket(fileno=os.dup(client.fileno())) as below:
            below.settimeout(SOON * 4)
            assert below.recv(1) == b""


def test_no_close_notify_of_checks(
    full: Server, certificate: tuple[Path, Path]
) -> None:
    """
    Nor does a full server keep the places of health checks for such clients.
    """
    port = portOf(full.addresses[0])
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(open_(port, certificate[0], CHECK))
        trust = trusting(certificate[0])
        assert min(check(port, trust) for _ in range(3)) < SOON


def test_no_close_notify_at_a_stop(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    """
    Nor does a stop take its whole time for them.
    """
    with (
        serve(
            tmp_path,
            *("--port=0", f"--interface={HOST}", "--stop-timeout=60"),
            *(f"--tls-cert={certificate[0]}", f"--tls-key={certificate[1]}"),
            *("--close-timeout=60", "--send-timeout=60"),
            listen=(TCP,),
        ) as server,
        ExitStack() as stack,
    ):
        for _ in range(40):
            stack.enter_context(open_(server.port, certificate[0], CHECK))
        assert server.stop(30) == 0
