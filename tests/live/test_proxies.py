"""
Behind real proxies, configured as the examples are: the client is who it is, to the
application, to pages and in the log, whatever it says of itself.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.live.certificates import makeCertificate
from tests.live.drivers import runLoop
from tests.live.proxies import freePort, haproxy, nginx
from tests.processes import (
    HANDSHAKE,
    HOST,
    PATIENCE,
    TCP,
    Server,
    portOf,
    serve,
    waitUntil,
)

CLIENT = "127.0.0.2"
OTHER = "127.0.0.3"

APPLICATION = Path(__file__).with_name("proxied.py")

SPOOFED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "Forwarded": "for=203.0.113.7;proto=https",
    "X-Real-IP": "203.0.113.7",
}

HTTP_WAYS = (
    "nginx",
    "nginx-tls",
    "nginx-path",
    "nginx-unix",
    "haproxy",
    "haproxy-tls",
    "haproxy-path",
)

TCP_WAYS = ("nginx-stream", "nginx-stream-tls", "haproxy-tcp", "haproxy-tcp-tls")

TLS_PASSED_ON = {"nginx-stream-tls", "haproxy-tcp-tls"}


@dataclass
class Proxied:
    """
    A server, and one way to reach it.

    @ivar prefix: of the paths that lead there, without the slash at the end.
    """

    server: Server
    port: int
    tls: ssl.SSLContext | None = None
    prefix: str = ""

    @property
    def secure(self) -> bool:
        return self.tls is not None

    @property
    def url(self) -> str:
        scheme = "wss" if self.secure else "ws"
        return f"{scheme}://{HOST}:{self.port}{self.prefix}/a/ws/b?c=d"

    @property
    def origin(self) -> str:
        return f"{'https' if self.secure else 'http'}://{HOST}:{self.port}"

    def connect(self, **options: Any) -> ClientConnection:
        """
        Connect from another address than the proxy's.
        """
        options = {"source_address": (CLIENT, 0), "compression": None, **options}
        made: ClientConnection = connect(
            self.url, ssl=self.tls, open_timeout=PATIENCE, **options
        )
        return made


class Farm:
    """
    Servers, and proxies in front of them, each started when it is first asked for.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._made: dict[str, Any] = {}
        self._certificate, self._key = makeCertificate(folder, HOST)
        self._both = folder / "both.pem"
        both = self._certificate.read_text() + self._key.read_text()
        self._both.write_text(both)
        self._socket = folder / "socket"

    @property
    def trust(self) -> ssl.SSLContext:
        """
        Make what clients trust. websockets' threads read and write at the same time; in
        TLS 1.3, where the server has more to say behind its handshake, a request in
        some hundreds is lost to that within the client.
        """
        trust = ssl.create_default_context(cafile=str(self._certificate))
        trust.maximum_version = ssl.TLSVersion.TLSv1_2
        return trust

    def _serve(self, name: str, *arguments: str) -> Server:
        if name not in self._made:
            listen = (
                TCP,
                f"ssl:0:interface={HOST}:privateKey={self._key}"
                f":certKey={self._certificate}",
                f"unix:{self._socket}-{name}",
            )
            folder = self._folder / name
            folder.mkdir()
            self._made[name] = self._stack.enter_context(
                serve(
                    folder,
                    f"--app={APPLICATION}",
                    f"--trusted-proxy={HOST}",
                    "--trusted-proxy=unix",
                    *arguments,
                    listen=listen,
                )
            )
        server: Server = self._made[name]
        return server

    @property
    def http(self) -> Server:
        return self._serve("http")

    @property
    def tcp(self) -> Server:
        return self._serve("tcp", "--proxy-protocol=yes")

    def servers(self) -> list[Server]:
        return [each for each in self._made.values() if isinstance(each, Server)]

    def nginx(self, to: str) -> tuple[int, int]:
        """
        Have nginx before the server's TCP port or UNIX socket.

        @return: its ports, without TLS and with.
        """
        if to not in self._made:
            server = self.http
            upstream = {
                "nginx": f"{HOST}:{server.port}",
                "nginx-unix": f"unix:{self._socket}-http",
            }[to]
            ports = freePort(), freePort()
            changes = {
                "listen 80;": f"listen {HOST}:{ports[0]};",
                "listen 443 ssl;": f"listen {HOST}:{ports[1]} ssl;",
                "/etc/ssl/wsplug/certificate.pem": str(self._certificate),
                "/etc/ssl/wsplug/key.pem": str(self._key),
                "server 127.0.0.1:9000;": f"server {upstream};",
            }
            running = nginx(self._folder / to, "nginx.conf", changes, *ports)
            self._stack.enter_context(running)
            self._made[to] = ports
        made: tuple[int, int] = self._made[to]
        return made

    def haproxy(self) -> tuple[int, int]:
        """
        Have haproxy that speaks HTTP.

        @return: as from C{nginx}.
        """
        if "haproxy" not in self._made:
            ports = freePort(), freePort()
            changes = {
                "bind :80\n": f"bind {HOST}:{ports[0]}\n",
                "bind :443 ": f"bind {HOST}:{ports[1]} ",
                "/etc/ssl/wsplug/both.pem": str(self._both),
                "127.0.0.1:9000": f"{HOST}:{self.http.port}",
                " check\n": " check inter 50\n",
            }
            folder = self._folder / "haproxy"
            running = haproxy(folder, "haproxy-http.cfg", changes, *ports)
            self._stack.enter_context(running)
            self._made["haproxy"] = ports
        made: tuple[int, int] = self._made["haproxy"]
        return made

    def forwarding(
        self, proxy: str, folder: Path, port: int, line: str, *ports: int
    ) -> AbstractContextManager[Any]:
        """
        Have a proxy that names the client in another header.

        @param line: what says so in its configuration.
        @param ports: where it listens, without TLS and with.
        """
        if proxy == "nginx":
            changes = {
                "listen 80;": f"listen {HOST}:{ports[0]};",
                "listen 443 ssl;": f"listen {HOST}:{ports[1]} ssl;",
                "/etc/ssl/wsplug/certificate.pem": str(self._certificate),
                "/etc/ssl/wsplug/key.pem": str(self._key),
                "server 127.0.0.1:9000;": f"server {HOST}:{port};",
                "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;": line,
                "proxy_set_header X-Forwarded-Proto $scheme;": "",
            }
            return nginx(folder, "nginx.conf", changes, *ports)
        plain = "http-request set-header X-Forwarded-Proto http"
        changes = {
            "bind :80\n": f"bind {HOST}:{ports[0]}\n",
            "bind :443 ": f"bind {HOST}:{ports[1]} ",
            "/etc/ssl/wsplug/both.pem": str(self._both),
            "127.0.0.1:9000": f"{HOST}:{port}",
            "option forwardfor\n": f"{line}\n",
            f"{plain}s if {{ ssl_fc }}\n": "\n",
            f"{plain}\n": "\n",
        }
        return haproxy(folder, "haproxy-http.cfg", changes, *ports)

    def passing(self, way: str) -> int:
        """
        Have a proxy that passes bytes on.
        """
        if way not in self._made:
            port = freePort()
            target = portOf(self.tcp.addresses[way in TLS_PASSED_ON])
            folder = self._folder / way
            changes = {"127.0.0.1:9443": f"{HOST}:{target}"}
            if way.startswith("nginx"):
                changes["listen 443;"] = f"listen {HOST}:{port};"
                running = nginx(folder, "nginx-stream.conf", changes, port)
            else:
                changes["bind :443\n"] = f"bind {HOST}:{port}\n"
                changes[" check\n"] = " check inter 50\n"
                running = haproxy(folder, "haproxy-tcp.cfg", changes, port)
            self._stack.enter_context(running)
            self._made[way] = port
        made: int = self._made[way]
        return made

    def by(self, way: str) -> Proxied:
        """
        Give a way to a server.
        """
        if way in TCP_WAYS:
            tls = self.trust if way in TLS_PASSED_ON else None
            return Proxied(self.tcp, self.passing(way), tls)
        proxy, _, kind = way.partition("-")
        if proxy == "haproxy":
            ports = self.haproxy()
        else:
            ports = self.nginx("nginx-unix" if kind == "unix" else "nginx")
        secure = kind == "tls"
        prefix = "/ws" if kind == "path" else ""
        return Proxied(self.http, ports[secure], self.trust if secure else None, prefix)


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """
    What the tests of this module share; in the end, nothing has gone wrong in it.
    """
    with ExitStack() as stack:
        farm = Farm(tmp_path_factory.mktemp("proxies"), stack)
        yield farm
        for server in farm.servers():
            assert server.stop() == 0
            assert "Traceback" not in server.log + server.err
            assert "sends a malformed" not in server.log


@pytest.fixture(params=HTTP_WAYS + TCP_WAYS)
def proxied(request: pytest.FixtureRequest, farm: Farm) -> Proxied:
    """
    Each way in turn.
    """
    return farm.by(request.param)


@pytest.fixture(params=["nginx", "haproxy", "nginx-stream", "haproxy-tcp-tls"])
def each(request: pytest.FixtureRequest, farm: Farm) -> Proxied:
    """
    Each example in turn.
    """
    return farm.by(request.param)


# Who the client is


def check(told: str | bytes, proxied: Proxied, host: str = CLIENT) -> None:
    found = json.loads(told)
    assert found["host"] == host
    assert found["secure"] is proxied.secure
    assert found["uri"] == "/a/ws/b?c=d"


def test_client(proxied: Proxied) -> None:
    """
    The application sees the client, and whether that uses TLS; messages go both ways,
    the largest ones too; the log names the client.
    """
    start = len(proxied.server.log)
    with proxied.connect(max_size=None) as client:
        check(client.recv(PATIENCE), proxied)
        for message in ("hello", b"", bytes(range(256)) * 4096):
            client.send(message)
            assert client.recv(PATIENCE) == message
        client.close(4321, "bye")
    proxied.server.waitForLog("closed by the peer, 4321: bye", start)
    (line,) = (
        line for line in proxied.server.log[start:].splitlines() if "4321" in line
    )
    assert f" {CLIENT} " in line or f" {CLIENT}:" in line


def test_aiohttp(each: Proxied) -> None:
    """
    So it is with another client, in TLS 1.3 too.
    """
    if each.tls is not None:
        each.tls.maximum_version = ssl.TLSVersion.TLSv1_3

    async def talk() -> None:
        connector = aiohttp.TCPConnector(local_addr=(CLIENT, 0))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.ws_connect(each.url, ssl=each.tls or True) as client,
        ):
            check(await client.receive_str(timeout=PATIENCE), each)
            await client.send_str("hello")
            assert await client.receive_str(timeout=PATIENCE) == "hello"

    runLoop(talk())


def test_spoofing(proxied: Proxied) -> None:
    """
    What the client says of itself in the request is nothing to anybody.
    """
    with proxied.connect(additional_headers=SPOOFED) as client:
        check(client.recv(PATIENCE), proxied)


@contextmanager
def opened(port: int, source: str = CLIENT) -> Iterator[socket.socket]:
    with closing(
        socket.create_connection((HOST, port), PATIENCE, source_address=(source, 0))
    ) as connection:
        yield connection


def readAll(connection: socket.socket) -> bytes:
    """
    Read up to the end.
    """
    data = b""
    while part := connection.recv(65536):
        data += part
    return data


SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"

LINE = b"PROXY TCP4 203.0.113.7 203.0.113.8 1 2\r\n"

BINARY = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([203, 0, 113, 7] * 2) + b"\0\1\0\2"


@pytest.mark.parametrize("header", [LINE, BINARY])
@pytest.mark.parametrize("way", ["nginx", "haproxy", "nginx-stream", "haproxy-tcp"])
def test_spoofed_header(way: str, header: bytes, farm: Farm) -> None:
    """
    A PROXY header of the client's own is garbage to whoever gets it: the proxy, or the
    server behind the proxy's own header.
    """
    proxied = farm.by(way)
    with opened(proxied.port) as client:
        client.sendall(header + HANDSHAKE % b"/")
        answer = readAll(client)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ", b"<html>")), answer
    assert b"203.0.113.7" not in answer
    assert "203.0.113.7" not in proxied.server.log


@pytest.mark.parametrize("header", [LINE, BINARY])
def test_spoofed_header_from_elsewhere(header: bytes, farm: Farm) -> None:
    """
    So it is for a client that comes past the proxy; without the header it is served,
    as who it is.
    """
    with opened(farm.tcp.port) as client:
        client.sendall(header + HANDSHAKE % b"/")
        assert readAll(client).startswith(b"HTTP/1.1 400 ")
    direct = Proxied(farm.tcp, farm.tcp.port)
    with direct.connect(additional_headers=SPOOFED) as past:
        check(past.recv(PATIENCE), direct)


def test_no_header(farm: Farm) -> None:
    """
    The proxy itself has to send one: without, it is told so; within TLS, the connection
    just ends. The log says why, both times.
    """
    start = len(farm.tcp.log)
    with opened(farm.tcp.port, HOST) as client:
        client.sendall(HANDSHAKE % b"/")
        assert b"no PROXY header" in readAll(client)
    port = portOf(farm.tcp.addresses[1])
    with opened(port, HOST) as client, pytest.raises((ssl.SSLError, OSError)):
        farm.trust.wrap_socket(client, server_hostname=HOST)
    waitUntil(
        lambda: farm.tcp.log[start:].count("refused: 400 no PROXY header") == 2,
        "both are in the log",
    )


def test_unix(farm: Farm) -> None:
    """
    A PROXY header can come through a UNIX socket.
    """
    path = next(each for each in farm.tcp.addresses if each.startswith("unix:"))
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(path.removeprefix("unix:"))
        client.sendall(LINE + b"GET /a HTTP/1.0\r\n\r\n")
        told = json.loads(readAll(client).partition(b"\r\n\r\n")[2])
    assert (told["host"], told["port"]) == ("203.0.113.7", 1)


# Origins


def test_same_host(proxied: Proxied) -> None:
    """
    A page of the same host may connect, on whatever port that is, if it uses TLS where
    the proxy does; one of another host may not.
    """
    for origin in (proxied.origin, f"https://{HOST}:1"):
        with proxied.connect(origin=origin) as client:
            check(client.recv(PATIENCE), proxied)
    refused = [f"https://{HOST}.example"]
    if proxied.origin.startswith("https:"):
        refused.append(proxied.origin.replace("https:", "http:"))
    for origin in refused:
        with pytest.raises(InvalidStatus) as caught:
            proxied.connect(origin=origin)
        assert caught.value.response.status_code == 403


def test_host_without_port(farm: Farm, tmp_path: Path) -> None:
    """
    Where nginx is told to drop the port, pages on an odd one are of the same host.
    """
    port = freePort()
    changes = {
        "listen 80;": f"listen {HOST}:{port};",
        "listen 443 ssl;": "",
        "/etc/ssl/wsplug/certificate.pem": str(farm._certificate),
        "/etc/ssl/wsplug/key.pem": str(farm._key),
        "server 127.0.0.1:9000;": f"server {HOST}:{farm.http.port};",
        "$http_host;": "$host;",
    }
    with nginx(tmp_path / "nginx", "nginx.conf", changes, port):
        proxied = Proxied(farm.http, port)
        with proxied.connect(origin=proxied.origin) as client:
            check(client.recv(PATIENCE), proxied)


FORWARDED = {
    "nginx": r"""
        proxy_set_header Forwarded "for=\"$remote_addr\";proto=$scheme";
""",
    "haproxy": r"""
    http-request set-header Forwarded "for=\"%[src]\";proto=%[ssl_fc,iif(https,http)]"
""",
}


@pytest.mark.parametrize("proxy", FORWARDED)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_forwarded(proxy: str, secure: bool, farm: Farm, tmp_path: Path) -> None:
    """
    With the standard's own header (RFC 7239) in place of the others, as
    docs/guides/proxies.md says it, the client is who it is, too.
    """
    line = FORWARDED[proxy]
    page = (
        Path(__file__)
        .parents[2]
        .joinpath("docs", "guides", "proxies.md")
        .read_text("utf-8")
    )
    assert f"    {line.strip()}\n" in page
    arguments = [
        f"--app={APPLICATION}",
        f"--trusted-proxy={HOST}",
        "--forwarded-header=forwarded",
    ]
    ports = freePort(), freePort()
    with ExitStack() as stack:
        server = stack.enter_context(serve(tmp_path, *arguments))
        stack.enter_context(
            farm.forwarding(proxy, tmp_path / proxy, server.port, line, *ports)
        )
        trust = farm.trust if secure else None
        proxied = Proxied(server, ports[secure], trust)
        with proxied.connect(additional_headers=SPOOFED) as client:
            check(client.recv(PATIENCE), proxied, CLIENT)


# Pages


def request(proxied: Proxied, source: str, times: int = 1) -> list[Any]:
    """
    Ask for a page, over one connection of a client's.
    """
    made: http.client.HTTPConnection
    options: dict[str, Any] = {"timeout": PATIENCE, "source_address": (source, 0)}
    if proxied.tls is None:
        made = http.client.HTTPConnection(HOST, proxied.port, **options)
    else:
        made = http.client.HTTPSConnection(
            HOST, proxied.port, context=proxied.tls, **options
        )
    responses = []
    with closing(made) as connection:
        for _ in range(times):
            connection.request("GET", f"{proxied.prefix}/a/ws/b?c=d", headers=SPOOFED)
            response = connection.getresponse()
            check(response.read(), proxied, source)
            responses.append(response)
    return responses


def test_pages(proxied: Proxied) -> None:
    """
    A page's client is who it is, for each of those that use the proxy, in turn.
    """
    for source in (CLIENT, OTHER, CLIENT):
        assert [each.status for each in request(proxied, source, 2)] == [200, 200]


def test_keepalive(farm: Farm) -> None:
    """
    nginx sends requests of different clients over one connection.
    """
    proxied = farm.by("nginx")
    connections = {
        response.headers["X-Connection"]
        for source in (CLIENT, OTHER)
        for response in request(proxied, source, 3)
    }
    assert len(connections) < 6


# Silence


def idle(farm: Farm, way: str, folder: Path, server: Server) -> Any:
    """
    Have a proxy that gives up after 1.5 seconds of silence.
    """
    port = freePort()
    if way == "nginx":
        changes = {
            "listen 80;": f"listen {HOST}:{port};",
            "listen 443 ssl;": "",
            "/etc/ssl/wsplug/certificate.pem": str(farm._certificate),
            "/etc/ssl/wsplug/key.pem": str(farm._key),
            "server 127.0.0.1:9000;": f"server {HOST}:{server.port};",
            "proxy_read_timeout 60s;": "proxy_read_timeout 1500ms;",
        }
        return port, nginx(folder / way, "nginx.conf", changes, port)
    changes = {
        "bind :80\n": f"bind {HOST}:{port}\n",
        "    bind :443 ssl crt /etc/ssl/wsplug/both.pem alpn http/1.1\n": "",
        "127.0.0.1:9000": f"{HOST}:{server.port}",
        "timeout tunnel 60s": "timeout tunnel 1500ms",
    }
    return port, haproxy(folder / way, "haproxy-http.cfg", changes, port)


@pytest.mark.slow
def test_silence(farm: Farm, tmp_path: Path) -> None:
    """
    The server's pings keep a silent connection through a proxy alive; without them, the
    proxy's timeout ends it.
    """
    pinging = ("--ping-interval=0.1", "--ping-timeout=0.3")
    with ExitStack() as stack:

        def silent(name: str, *arguments: str) -> list[ClientConnection]:
            folder = tmp_path / name
            folder.mkdir()
            server = stack.enter_context(serve(folder, *arguments))
            clients = []
            for way in ("nginx", "haproxy"):
                port, proxy = idle(farm, way, folder, server)
                stack.enter_context(proxy)
                made = connect(f"ws://{HOST}:{port}", ping_interval=None)
                clients.append(stack.enter_context(made))
            return clients

        dropped = silent("silent", "--ping-interval=off")
        kept = silent("pinging", *pinging)
        with pytest.raises(TimeoutError):
            kept[0].recv(2)
        for client in kept:
            client.send("still there")
            assert client.recv(PATIENCE) == "still there"
        for client in dropped:
            with pytest.raises(ConnectionClosed):
                client.recv(PATIENCE)
            assert client.protocol.close_code == 1006


# What the operator is told


def test_health_checks(farm: Farm) -> None:
    """
    haproxy's health checks, with and without a PROXY header, and connections that are
    opened and reset at once leave nothing in the log.
    """
    for way in ("haproxy", "haproxy-tcp"):
        proxied = farm.by(way)
        start = len(proxied.server.log)
        with opened(proxied.server.port, HOST) as client:
            linger = struct.pack("ii", 1, 0)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        # Whatever came before the handshake has been served by its end.
        with proxied.connect() as served:
            check(served.recv(PATIENCE), proxied)
        proxied.server.waitForLog("closed by", start)
        lines = proxied.server.log[start:].splitlines()
        assert [line for line in lines if f" {CLIENT}" not in line] == []


def test_nobody_is_trusted(tmp_path: Path) -> None:
    """
    Behind nginx, without saying so: one line tells what to set, and everybody is the
    proxy.
    """
    port = freePort()
    with serve(tmp_path, f"--app={APPLICATION}") as server:
        changes = {
            "listen 80;": f"listen {HOST}:{port};",
            "listen 443 ssl;": "",
            "ssl_certificate ": "#",
            "ssl_certificate_key ": "#",
            "server 127.0.0.1:9000;": f"server {HOST}:{server.port};",
        }
        with nginx(tmp_path / "nginx", "nginx.conf", changes, port):
            proxied = Proxied(server, port)
            for _ in range(2):
                with proxied.connect() as client:
                    check(client.recv(PATIENCE), proxied, HOST)
        assert server.log.count(f"set trusted-proxy {HOST}") == 1
