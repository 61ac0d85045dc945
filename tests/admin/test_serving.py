"""The status page on real sockets: where it is, who may use it, and what it does."""

from __future__ import annotations

import json
import re
import socket
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Close
from websockets.sync.client import ClientConnection, connect, unix_connect

from tests.admin.kit import TOKEN
from tests.processes import (
    HANDSHAKE,
    HOST,
    TCP,
    Server,
    checkEcho,
    portOf,
    runTwistd,
    serve,
    waitUntil,
)
from wsplug.admin.messages import SUBPROTOCOL
from wsplug.tap import Options

pytestmark = pytest.mark.costly

PATIENCE = 60.0


def adminPort(server: Server) -> int:
    """Return the port of the admin endpoint."""
    server.waitForLog("the admin endpoint listens on")
    (address,) = re.findall(r"the admin endpoint listens on (\S+)$", server.log, re.M)
    return portOf(address)


def get(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    """Get a page: return its status and body."""
    connection = HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def watch(port: int, **options: Any) -> ClientConnection:
    """Connect as an operator."""
    return connect(
        f"ws://{HOST}:{port}/-/status",
        subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
        open_timeout=PATIENCE,
        **options,
    )


def statusOf(port: int) -> int:
    """Return the status of a refused handshake. The refusal may arrive before the
    handshake is sent, which not every client accepts as an answer."""
    with socket.create_connection((HOST, port), PATIENCE) as connection:
        connection.sendall(HANDSHAKE % b"/")
        head = connection.makefile("rb").readline()
    return int(head.split()[1])


def receive(connection: ClientConnection) -> dict[str, Any]:
    """Return the next message."""
    message: dict[str, Any] = json.loads(connection.recv(PATIENCE))
    return message


def closing(connection: ClientConnection) -> Close:
    """Return the close frame that ends the connection. Earlier messages are dropped."""
    with suppress(ConnectionClosed):
        while True:
            connection.recv(PATIENCE)
    received = connection.protocol.close_rcvd
    assert received is not None
    return received


def ask(connection: ClientConnection, type: str, **values: Any) -> dict[str, Any]:
    """Send a request, and return its answer. Messages in between are dropped."""
    connection.send(json.dumps({"type": type, "request": 1, **values}))
    while (answer := receive(connection)).get("request") != 1:
        pass
    return answer


@pytest.fixture
def tokenFile(tmp_path: Path) -> Path:
    """A file with the token, which only its owner can read."""
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return path


def test_off(tmp_path: Path) -> None:
    """By default there is no status page: its paths answer as if it didn't exist. The
    health check is there."""
    with serve(tmp_path) as server:
        for path in ("/-/status", "/-/status/", "/-/status/status.js", "/-/metrics"):
            assert get(server.port, path)[0] == 404
        assert get(server.port, "/-/health")[0] == 200


@pytest.mark.everyday
def test_admin_endpoint(tmp_path: Path) -> None:
    """With an endpoint of its own, the status page is there, and not on the server's
    port. It is reachable when the server is full, and until the server ends."""
    with serve(tmp_path, f"--admin={TCP}", "--max-connections=1") as server:
        port = adminPort(server)
        for path in ("/-/status/", "/-/metrics", "/-/health"):
            assert get(server.port, path)[0] == 404
        assert get(port, "/-/health")[0] == 200
        assert get(port, "/-/metrics")[0] != 404
        assert b"<title>" in get(port, "/-/status/")[1]
        assert get(port, "/")[0] == 302
        # Wait until the connections of those pages are gone.
        waitUntil(lambda: get(port, "/-/health")[0] == 200, "there is room")
        with connect(f"ws://{HOST}:{server.port}/") as client, watch(port) as operator:
            assert receive(operator)["type"] == "welcome"
            assert statusOf(server.port) == 503
            assert get(port, "/-/health")[0] == 503
            answer = ask(operator, "clients")
            assert answer["total"] == 1
            number = answer["clients"][0]["id"]
            assert ask(operator, "notice", text="hello")["reached"] == 1
            assert client.recv(PATIENCE) == "hello"
            answer = ask(operator, "close", client=number, code=4000, reason="bye")
            assert answer["count"] == 1
            closed = closing(client)
            assert (closed.code, closed.reason) == (4000, "bye")
            server.waitForLog("closed by the server, 4000: bye (operator)")
        assert "hello" not in server.log


def test_ban_and_drain(tmp_path: Path) -> None:
    """A ban holds for connections and pages of the server, but not for the operator.
    Draining closes with 1012, and the status page works until the process ends."""
    with serve(tmp_path, f"--admin={TCP}") as server:
        port = adminPort(server)
        with watch(port) as operator:
            assert ask(operator, "ban", address=HOST)["type"] == "banned"
            assert statusOf(server.port) == 403
            assert get(server.port, "/")[0] == 403
            assert ask(operator, "lift", address=HOST)["type"] == "lifted"
            checkEcho(server.port)
            with connect(f"ws://{HOST}:{server.port}/") as client:
                assert ask(operator, "drain")["type"] == "draining"
                closed = closing(client)
                assert closed.code == 1012
            with pytest.raises(OSError, match="refused"):
                connect(f"ws://{HOST}:{server.port}/")
            while receive(operator).get("state") == "ready":
                pass
            assert server.stop() == 0
            closed = closing(operator)
            assert closed.code == 1001


def test_token_on_the_servers_port(tmp_path: Path, tokenFile: Path) -> None:
    """With a token and no endpoint, the status page is on the server's port, for
    clients with the token."""
    argument = f"--admin-token-file={tokenFile}"
    with serve(tmp_path, "--app=echo:path=/", argument) as server:
        port = server.port
        assert get(port, "/-/health")[0] == 200
        assert get(port, "/-/status/")[0] == 200
        assert get(port, "/-/metrics")[0] == 401
        assert get(port, "/-/metrics", Authorization=f"Bearer {TOKEN}")[0] not in (
            401,
            404,
        )
        checkEcho(port)
        refuseOperator(port, f"http://{HOST}:1")  # a page that echo would accept
        with watch(port, origin=f"http://{HOST}:{port}") as operator:
            assert receive(operator)["type"] == "auth-required"
            assert ask(operator, "auth", token=TOKEN)["type"] == "welcome"
            answer = ask(operator, "ban", address=HOST)
            assert answer["code"] == "own-address"
        with watch(port) as operator:
            receive(operator)
            assert ask(operator, "auth", token="no")["code"] == "unauthorized"
            closed = closing(operator)
            assert closed.code == 1008
        assert TOKEN not in server.log
        assert "refused as an operator: a wrong token" in server.log


@pytest.mark.slow
def test_token_on_the_admin_endpoint(tmp_path: Path, tokenFile: Path) -> None:
    """With both, the endpoint requires the token, and then accepts any host name."""
    arguments = (f"--admin={TCP}", f"--admin-token-file={tokenFile}")
    with serve(tmp_path, *arguments) as server:
        port = adminPort(server)
        assert get(server.port, "/-/status/")[0] == 404
        assert get(port, "/-/metrics")[0] == 401
        assert get(port, "/-/status/", Host="status.example")[0] == 200
        with watch(port) as operator:
            assert receive(operator)["type"] == "auth-required"


def refuseOperator(port: int, origin: str) -> None:
    """Check that a page of some origin can't be an operator."""
    with pytest.raises(InvalidStatus) as refused, watch(port, origin=origin):
        pass
    assert refused.value.response.status_code == 403


def test_rebinding(tmp_path: Path) -> None:
    """Without a token, a page whose name leads to the endpoint gets nothing."""
    with serve(tmp_path, f"--admin={TCP}", "--origin=https://ok.example") as server:
        port = adminPort(server)
        for path in ("/", "/-/status/", "/-/metrics", "/-/health", "/-/wsplug.js"):
            assert get(port, path, Host="evil.example")[0] == 421
            assert get(port, path, Origin="http://evil.example")[0] == 403
            assert get(port, path, Host=f"localhost:{port}")[0] not in (403, 421)
            assert get(port, path, Host="ok.example")[0] not in (403, 421)
        for origin in ("http://evil.example", f"http://{HOST}:{server.port}"):
            refuseOperator(port, origin)
        assert "--origin" not in server.log
        with watch(port, origin=f"http://{HOST}:{port}") as operator:
            assert receive(operator)["type"] == "welcome"


@pytest.mark.slow
def test_unix(tmp_path: Path) -> None:
    """An endpoint on a UNIX socket is open to the server's user only."""
    path = tmp_path / "admin.sock"
    with serve(tmp_path, f"--admin=unix:{path}") as server:
        server.waitForLog("the admin endpoint listens on")
        assert path.stat().st_mode & 0o777 == 0o600
        with unix_connect(
            str(path),
            "ws://localhost/-/status",
            subprotocols=[SUBPROTOCOL],
        ) as operator:
            assert receive(operator)["client"].startswith("unix")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--admin=nonsense:1", "can't listen on 'nonsense:1'"),
        ("--admin-token-file=nowhere", "admin-token-file: can't read nowhere"),
    ],
)
def test_mistakes(argument: str, words: str) -> None:
    """Mistakes are found while the arguments are read. Each is one line."""
    options = Options(MemoryReactorClock())
    with pytest.raises(SystemExit, match=words) as exit:
        options.parseOptions(["--app=echo", argument])
    assert "\n" not in str(exit.value.code)


@pytest.mark.slow
def test_a_port_in_use(tmp_path: Path) -> None:
    """If the admin endpoint can't listen, the start fails, as for other endpoints."""
    with serve(tmp_path) as server:
        folder = tmp_path / "second"
        folder.mkdir()
        finished = runTwistd(
            folder,
            *("-n", "--pidfile=", "wsplug", "--app=echo", f"--listen={TCP}"),
            f"--admin=tcp:{server.port}:interface={HOST}",
        )
        assert finished.status == 1
        assert f"can't listen on tcp:{server.port}" in finished.err


@pytest.mark.slow
def test_warning(tmp_path: Path, tokenFile: Path) -> None:
    """A token that all users of the machine can read is used, with a warning."""
    tokenFile.chmod(0o644)
    with serve(tmp_path, f"--admin-token-file={tokenFile}") as server:
        server.waitForLog("all users of this machine can read")
        assert TOKEN not in server.log


@pytest.mark.slow
def test_stopping(tmp_path: Path) -> None:
    """When operators are connected, stopping takes no longer than their closing
    handshakes."""
    with serve(tmp_path, f"--admin={TCP}") as server, ExitStack() as stack:
        port = adminPort(server)
        operators = [stack.enter_context(watch(port)) for _ in range(3)]
        assert server.stop(20) == 0
        assert [closing(each).code for each in operators] == [1001] * 3
