"""
Clients that nobody here wrote, on each kind of endpoint.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import websockets.sync.client

import twisted
from tests.conftest import missing
from tests.daemon.kit import inherit
from tests.live.certificates import Authority
from tests.live.drivers import AiohttpDriver, AsyncioDriver, Driver
from tests.live.talk import Job, binary, close, exchange, recordOf, text
from tests.processes import HOST, PATIENCE, TWISTD, Server, portOf

pytestmark = pytest.mark.costly

DRIVERS: dict[str, Callable[[], Driver]] = {
    "websockets": AsyncioDriver,
    "aiohttp": AiohttpDriver,
}

HAPROXY = b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n"

ENDPOINTS = ("tcp", "tls-cert", "ssl", "unix", "haproxy", "systemd")


@dataclass
class Everywhere:
    """A server that listens on each kind of endpoint."""

    server: Server
    authority: Authority
    ca: Path
    unix: Path
    ports: dict[str, int]

    def job(self, kind: str) -> Job:
        """Make a job: a text and a binary message, and their answers."""
        secure = kind in ("tls-cert", "ssl")
        scheme = "wss" if secure else "ws"
        port = self.ports.get(kind, 80)
        return Job(
            f"{scheme}://{HOST}:{port}/",
            [[exchange(text("hello"), binary(b"\0" * 70_000)), close()]],
            unix=str(self.unix) if kind == "unix" else None,
            ca=str(self.ca) if secure else None,
        )


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everywhere]:
    """The server, for all tests."""
    folder = tmp_path_factory.mktemp("endpoints")
    authority = Authority()
    ca = authority.write(folder)
    authority.issue("server", HOST).write(folder)
    unix = folder / "socket"
    with socket.create_server((HOST, 0)) as handed:
        arguments = [
            *("--app=echo", "--port=0", f"--interface={HOST}"),
            *("--tls-cert=server.pem", "--tls-key=server.key"),
        ]
        listen = [
            f"tcp:0:interface={HOST}",
            f"ssl:0:interface={HOST}:privateKey=server.key:certKey=server.pem",
            f"unix:{unix}",
            f"haproxy:tcp:0:interface={HOST}",
            "systemd:domain=INET:index=0",
        ]
        with Server(
            folder,
            arguments,
            listen=listen,
            environment={"LISTEN_FDNAMES": "wsplug.socket"},
            program=[*inherit([handed]), TWISTD],
            descriptors=[handed.fileno()],
        ) as server:
            kinds = ["tls-cert", "tcp", "ssl", "unix", "haproxy", "systemd"]
            ports = {
                kind: portOf(address)
                for kind, address in zip(kinds, server.addresses, strict=True)
                if kind != "unix"
            }
            yield Everywhere(server, authority, ca, unix, ports)
            assert server.stop() == 0
            assert "Traceback" not in server.log + server.err
            assert "Unhandled" not in server.log + server.err


@pytest.mark.parametrize("kind", [each for each in ENDPOINTS if each != "haproxy"])
@pytest.mark.parametrize("client", DRIVERS)
def test_libraries(everywhere: Everywhere, client: str, kind: str) -> None:
    """A library connects and talks, whatever it connects to."""
    (talk,) = DRIVERS[client]().do(everywhere.job(kind))
    assert talk.error is None
    assert talk.received == [recordOf(text("hello")), recordOf(binary(b"\0" * 70_000))]


def test_haproxy(everywhere: Everywhere) -> None:
    """Behind a PROXY header, as HAProxy sends it, the library talks as ever."""
    plain = socket.create_connection((HOST, everywhere.ports["haproxy"]), PATIENCE)
    plain.sendall(HAPROXY)
    with websockets.sync.client.connect(f"ws://{HOST}/", sock=plain) as connection:
        connection.send("hello")
        assert connection.recv(PATIENCE) == "hello"


@pytest.mark.parametrize("kind", ENDPOINTS)
def test_curl(everywhere: Everywhere, kind: str) -> None:
    """curl, which offers HTTP/2 and HTTP/1.1 within TLS, gets a page by HTTP/1.1."""
    curl = shutil.which("curl")
    if curl is None:
        missing("curl")
    scheme = "https" if kind in ("tls-cert", "ssl") else "http"
    url = f"{scheme}://{HOST}:{everywhere.ports.get(kind, 80)}/"
    more = {
        "unix": ["--unix-socket", str(everywhere.unix)],
        "haproxy": ["--haproxy-protocol"],
    }
    command = [curl, "--silent", "--show-error", "--max-time", str(PATIENCE)]
    command += ["--cacert", str(everywhere.ca), *more.get(kind, [])]
    shown = "%{stderr}%{http_version} %{response_code}"
    done = subprocess.run(
        [*command, "--write-out", shown, url],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "1.1 200")
    assert "<title>" in done.stdout


@pytest.mark.parametrize(
    ("kind", "alert", "logged"),
    [
        ("tls-cert", "alert no application protocol", "no application protocol"),
        ("ssl", "alert internal error", ""),
    ],
)
def test_only_other_protocols(
    everywhere: Everywhere, kind: str, alert: str, logged: str
) -> None:
    """RFC 7301 section 3.2: who offers only what isn't spoken here gets no connection,
    and on wsplug's own TLS the alert that says why; Twisted's ssl: has no public way to
    send it. The log has one line, and the next client is served."""
    if kind == "ssl" and int(twisted.__version__.partition(".")[0]) < 26:
        return  # it ignores what is offered, as WebSocketFactory's module explains
    trust = ssl.create_default_context(cafile=str(everywhere.ca))
    trust.set_alpn_protocols(["h2"])
    start = len(everywhere.server.log)
    with (
        socket.create_connection((HOST, everywhere.ports[kind]), PATIENCE) as plain,
        pytest.raises(ssl.SSLError) as caught,
    ):
        trust.wrap_socket(plain, server_hostname=HOST)
    assert alert in str(caught.value)
    everywhere.server.waitForLog(f"failed in TLS: {logged}", start)
    (talk,) = AiohttpDriver().do(everywhere.job(kind))
    assert talk.error is None
