"""
Clients that log in, over sockets: and what the server's log has of it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.auth.kit import basic, bearer, writeTokens
from tests.processes import HOST, Server, serve

pytestmark = pytest.mark.costly

GREETER = Path(__file__).parents[2] / "examples" / "greeter.py"

SECRET = "shared-secret-of-at-least-32-bytes"

PASSWORD, TOKEN = "correct-horse", "3q2-7w_battery.staple"

SAME = "http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """
    A server with everything that there is of it.
    """
    folder = tmp_path_factory.mktemp("authentication")
    for name, content in (("passwords", f"ann:{PASSWORD}\n"), ("secret", SECRET)):
        (folder / name).write_text(content)
        (folder / name).chmod(0o600)
    tokens = writeTokens(folder / "tokens", bob=TOKEN)
    with serve(
        folder,
        *(f"--app={GREETER}:path=/", "--app=echo:path=/open:auth=no"),
        *(f"--auth=file:{folder}/passwords", f"--auth={tokens}"),
        f"--auth=jwt:key={folder}/secret:algorithm=HS256",
        "--auth-cookie=session",
        "--max-auth-failures=100",
    ) as made:
        yield made
        assert "Traceback" not in made.log + made.err


def sign(seconds: float, key: str = SECRET) -> str:
    return jwt.encode({"sub": "cid", "exp": time.time() + seconds}, key, "HS256")


def open_(
    server: Server, *headers: tuple[str, str], path: str = "/", origin: Any = None
) -> ClientConnection:
    return connect(
        f"ws://{HOST}:{server.port}{path}",
        additional_headers=list(headers),
        origin=origin,
        open_timeout=30,
    )


def status(server: Server, *headers: tuple[str, str], origin: Any = None) -> Any:
    """
    Connect in vain.
    """
    with pytest.raises(InvalidStatus) as caught:
        open_(server, *headers, origin=origin)
    return caught.value.response


def closing(client: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        client.recv(30)
    received = caught.value.rcvd
    assert received is not None
    return received.code, received.reason


@pytest.mark.everyday
def test_websockets(server: Server) -> None:
    """
    C{websockets}: the header with a password, a token, a signed token, and a cookie.
    """
    same = SAME.format(port=server.port)
    for header, origin, name in (
        (basic("ann", PASSWORD), None, "ann"),
        (basic("ann", PASSWORD), same, "ann"),
        (bearer(TOKEN), None, "bob"),
        (bearer(sign(60)), None, "cid"),
        (("Cookie", f"session={TOKEN}"), same, "bob"),
    ):
        with open_(server, header, origin=origin) as client:
            assert client.recv(30) == f"Hello, {name}!"
    server.waitForLog("logged in as 'ann'")


def test_refused(server: Server) -> None:
    """
    What is wrong is a 401 with a challenge for each kind.
    """
    for header in (
        basic("ann", "wrong-horse"),
        bearer("wrong-token"),
        bearer(sign(60, "another-secret-of-at-least-32-bytes")),
        bearer(sign(-60)),
        ("Cookie", f"session={TOKEN}"),
    ):
        response = status(server, header)
        assert response.status_code == 401
        challenges = response.headers.get_all("WWW-Authenticate")
        assert challenges[0] == 'Basic realm="wsplug", charset="UTF-8"'
        assert challenges[1].startswith('Bearer realm="wsplug"')
    same = SAME.format(port=server.port)
    cookie = ("Cookie", "session=wrong-token")
    assert status(server, cookie, origin=same).status_code == 401
    server.waitForLog("the token has expired")


def test_open_mount(server: Server) -> None:
    """
    An application without auth is for everybody.
    """
    with open_(server, path="/open") as client:
        client.send("hello")
        assert client.recv(30) == "hello"


def test_first_message(server: Server) -> None:
    """
    A token in the first message, with more right behind it; and a wrong one.
    """
    same = SAME.format(port=server.port)
    with open_(server, origin=same) as client:
        client.send(json.dumps({"type": "auth", "token": TOKEN}))
        client.send("a")
        client.send("b")
        assert [client.recv(30) for _ in range(4)] == [
            '{"type":"auth","ok":true}',
            "Hello, bob!",
            "bob: 'a'",
            "bob: 'b'",
        ]
    with open_(server, origin=same) as client:
        client.send(json.dumps({"type": "auth", "token": "wrong-token"}))
        assert closing(client) == (1008, "malformed token")


def test_expiry(tmp_path: Path) -> None:
    """
    When a signed token expires, its connection ends.
    """
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    option = f"--auth=jwt:key={secret}:algorithm=HS256:leeway=0"
    with (
        serve(tmp_path, f"--app={GREETER}", option) as server,
        open_(server, bearer(sign(1.5))) as client,
    ):
        assert client.recv(30) == "Hello, cid!"
        assert closing(client) == (3000, "the token has expired")
        server.waitForLog("3000: the token has expired (auth)")


def test_aiohttp(server: Server) -> None:
    """
    C{aiohttp}: the same headers.
    """
    url = f"http://{HOST}:{server.port}/"

    async def talk() -> list[object]:
        answers: list[object] = []
        async with aiohttp.ClientSession() as session:
            for header in (basic("ann", PASSWORD), bearer(TOKEN)):
                async with session.ws_connect(url, headers=dict([header])) as client:
                    answers.append(await client.receive_str())
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(url)
            answers.append(caught.value.status)
        return answers

    assert asyncio.run(talk()) == ["Hello, ann!", "Hello, bob!", 401]


def get(server: Server, path: str, *headers: tuple[str, str]) -> tuple[int, bytes]:
    connection = HTTPConnection(HOST, server.port, timeout=30)
    connection.request("GET", path, headers=dict(headers))
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


def test_pages(server: Server) -> None:
    """
    Pages are behind the password too.
    """
    assert get(server, "/-/wsplug.js")[0] == 401
    assert get(server, "/-/wsplug.js", basic("ann", "wrong-horse"))[0] == 401
    code, content = get(server, "/-/wsplug.js", basic("ann", PASSWORD))
    assert (code, b"export function connect" in content) == (200, True)
    assert get(server, "/open/")[0] == 200


def test_too_many(tmp_path: Path) -> None:
    """
    Who guesses is stopped, over however many connections.
    """
    with serve(
        tmp_path, "--app=echo", "--auth=memory:ann:x", "--max-auth-failures=3"
    ) as server:
        codes = [status(server, basic("ann", "guess")).status_code for _ in range(5)]
        assert codes == [401, 401, 401, 429, 429]
        assert get(server, "/", basic("ann", "x"))[0] == 429


def test_nothing_secret_in_the_log(server: Server) -> None:
    """
    Whatever was sent to the server, right or wrong, in whatever place: nothing of it is
    in its log, or on its standard error.
    """
    signed = sign(60)
    same = SAME.format(port=server.port)
    for header in (
        basic("ann", PASSWORD),
        bearer(TOKEN),
        bearer(signed),
        basic("ann", "wrong-horse"),
        bearer("wrong-token"),
        bearer("wr!ng-token"),
        ("Authorization", "Basic wrong-base64"),
        ("Authorization", "Digest wrong-digest"),
        ("Cookie", f"session={TOKEN}; other=wrong-cookie"),
    ):
        for origin in (None, same):
            try:
                with open_(server, header, origin=origin) as client:
                    client.send(json.dumps({"type": "auth", "token": "wrong-token"}))
            except InvalidStatus:
                pass
        get(server, "/", header)
    # The last lines are there once this one is.
    with open_(server, path="/open"):
        pass
    server.waitForLog("echo: closed by the peer")
    said = server.log + server.err
    assert said.count("logged in as") >= 3
    assert "wrong name or password" in said
    secrets = [PASSWORD, TOKEN, SECRET, signed, signed.split(".")[1], "wrong-"]
    secrets += [basic("ann", PASSWORD)[1].split()[1], "wr!ng"]
    assert [each for each in secrets if each in said] == []
