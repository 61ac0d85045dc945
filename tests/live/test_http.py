"""
Plain HTTP over real sockets: clients that say nothing, close by halves, or answer no
close_notify.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.certificates import makeCertificate
from tests.processes import HOST, TCP, Server, portOf, serve

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
