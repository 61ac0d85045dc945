"""
C{--app push} and C{--app ticker} over sockets, with other people's clients.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import aiohttp
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.conftest import missing
from tests.processes import (
    HOST,
    TCP,
    TWISTD,
    Process,
    Server,
    serve,
    upgrade,
    waitUntil,
)

pytestmark = pytest.mark.costly

TOKEN = "0123456789abcdef0123456789abcdef"

EXAMPLES = Path(__file__).parents[2] / "examples" / "push"


def _publish(server: Server, query: str, data: bytes) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "text/plain"}
    url = f"http://{HOST}:{server.port}/publish?{query}"
    with urlopen(Request(url, data, headers), timeout=30) as response:
        return json.load(response)["published"]


def _open(server: Server, target: str) -> ClientConnection:
    return connect(f"ws://{HOST}:{server.port}{target}")


def _take(client: ClientConnection) -> Any:
    return json.loads(client.recv(30))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """
    One with a token in a file, which nobody sees in the list of processes.
    """
    (tmp_path / "tokens").write_text(f"{TOKEN}\n")
    with serve(tmp_path, "--app=push:token-file=tokens:backlog=200KiB") as server:
        yield server


@pytest.mark.everyday
def test_websockets(server: Server) -> None:
    """
    A subscriber by its path and one by message get what is published.
    """
    with _open(server, "/news") as first, _open(server, "/") as second:
        assert _take(first)["type"] == "subscribed"
        second.send('{"type":"subscribe","channel":"news","request":1}')
        assert _take(second)["request"] == 1
        (published,) = _publish(server, "channel=news", b'{"a":1}')
        assert published["subscribers"] == 2
        for client in (first, second):
            message = _take(client)
            assert (message["offset"], message["data"]) == (1, {"a": 1})


def test_aiohttp(server: Server) -> None:
    """
    One client subscribes and publishes over the same server, bytes too.
    """

    async def talk() -> None:
        url = f"http://{HOST}:{server.port}"
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{url}/a?format=raw") as client,
        ):
            headers = {"Authorization": f"Bearer {TOKEN}"}
            for data in (b"text", b"\xff\x00"):
                async with session.post(
                    f"{url}/publish?channel=a", data=data, headers=headers
                ) as response:
                    assert response.status == 200
            assert await client.receive_str(timeout=30) == "text"
            assert await client.receive_bytes(timeout=30) == b"\xff\x00"

    asyncio.run(talk())


def test_connection_is_kept(server: Server) -> None:
    """
    Publications, refusals and a subscription can follow each other on one connection,
    as behind a proxy.
    """
    with socket.create_connection((HOST, server.port), 30) as connection:
        for token, status in ((TOKEN, b"200"), ("wrong", b"401"), (TOKEN, b"200")):
            connection.sendall(
                b"POST /publish?channel=a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
                b"Authorization: Bearer %b\r\n\r\n1" % token.encode()
            )
            answer = b""
            while not answer.endswith(b"}\n"):
                more = connection.recv(65536)
                assert more, answer
                answer += more
            assert answer.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("chunked", [False, True])
def test_too_large(server: Server, chunked: bool) -> None:
    """
    Whoever sends too much is told so, while it still sends.
    """
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 99999999999"
    with socket.create_connection((HOST, server.port), 30) as connection:
        head = "POST /publish?channel=a HTTP/1.1\r\nHost: x\r\n"
        authorization = f"Authorization: Bearer {TOKEN}\r\n"
        connection.sendall(f"{head}{authorization}{length}\r\n\r\n".encode())
        part = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        connection.sendall(part * 2)
        answer = b""
        while more := connection.recv(65536):
            answer += more
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"65536 bytes" in answer
    assert "Traceback" not in server.log


def test_impatient_publisher(server: Server) -> None:
    """
    A publisher that doesn't wait for the answer leaves no traceback.
    """
    for _ in range(20):
        with socket.create_connection((HOST, server.port), 30) as connection:
            connection.sendall(
                b"POST /publish?channel=a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
                b"Authorization: Bearer %b\r\n\r\n1" % TOKEN.encode()
            )
    _publish(server, "channel=a", b"1")
    assert "Traceback" not in server.log


@pytest.mark.parametrize("broker", ["memory", "sqlite:broker.db"])
def test_comes_back(tmp_path: Path, broker: str) -> None:
    """
    Who was away gets what it has missed, once and in order.
    """
    arguments = (f"--app=push:token={TOKEN}", f"--broker={broker}")
    with serve(tmp_path, *arguments) as server:
        _publish(server, "channel=a", b"0")
        with _open(server, "/a") as client:
            position = _take(client)["position"]
        for number in range(1, 4):
            _publish(server, "channel=a", b"%d" % number)
        since = f"{position['offset']}-{position['epoch']}"
        with _open(server, f"/a?since={since}") as client:
            answer = _take(client)
            assert answer["recovered"] is True
            assert [each["data"] for each in answer["messages"]] == [1, 2, 3]
            _publish(server, "channel=a", b"4")
            assert _take(client)["data"] == 4


@pytest.mark.parametrize("broker", ["memory", "sqlite:broker.db"])
def test_killed(tmp_path: Path, broker: str) -> None:
    """
    What was answered is there after a C{kill -9}, where the broker keeps it; where it
    doesn't, the client is told that it has missed something.
    """
    arguments = (f"--app=push:token={TOKEN}", f"--broker={broker}")
    with serve(tmp_path, *arguments) as server:
        with _open(server, "/a") as client:
            _take(client)
            _publish(server, "channel=a", b"1")
            offset = _take(client)["offset"]
        (published,) = _publish(server, "channel=a", b"2")
        epoch = published["position"]["epoch"]
        server.signal(signal.SIGKILL)
        server.wait()
    with serve(tmp_path, *arguments) as server:
        with _open(server, f"/a?since={offset}-{epoch}") as client:
            answer = _take(client)
        kept = broker != "memory"
        assert answer["recovered"] is kept
        assert [each["data"] for each in answer["messages"]] == ([2] if kept else [])


def test_slow(server: Server) -> None:
    """
    A subscriber that never reads delays nobody, and is one no more in the end.
    """
    stuck = upgrade(server.port, "/a?format=raw")
    with stuck, _open(server, "/a?format=raw") as client:
        data = b"x" * 60_000
        # Far more than the kernel's buffers and the backlog take.
        for number in range(300):
            _publish(server, "channel=a", b"%03d" % number + data)
            message = client.recv(30)
            assert isinstance(message, str)
            assert message.startswith(f"{number:03}")
        assert _publish(server, "channel=a", b"last")[0]["subscribers"] == 1


@pytest.mark.parametrize("language", ["sh", "python", "php"])
def test_examples(server: Server, tmp_path: Path, language: str) -> None:
    """
    The examples publish, and say what is wrong where they can't.
    """
    program = {"python": sys.executable}.get(language) or shutil.which(language)
    if program is None or (language == "sh" and shutil.which("curl") is None):
        missing({"sh": "curl", "php": "php (Debian's package php-cli)"}[language])
    ending = {"python": "py"}.get(language, language)
    command = [program, str(EXAMPLES / f"publish.{ending}"), "news"]
    environment = {
        "WSPLUG_TOKEN": TOKEN,
        "WSPLUG_URL": f"http://{HOST}:{server.port}/publish",
    }
    with _open(server, "/news") as client:
        _take(client)
        done = _run(command, environment)
        assert done.returncode == 0, done.stderr
        assert "news" in done.stdout
        data = _take(client)["data"]
        if language == "sh":
            assert data == {"from": "standard input"}
        else:
            assert data["headline"].startswith("Hello from ")
    done = _run(command, {**environment, "WSPLUG_TOKEN": "wrong"})
    assert done.returncode != 0
    assert "this token is wrong" in done.stdout + done.stderr


def _run(
    command: list[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input='{"from": "standard input"}\n',
        env={"PATH": "/usr/bin:/bin", "NO_PROXY": "*", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.slow
def test_mistakes(tmp_path: Path) -> None:
    """
    A mistake in the options ends the command with a line that says what it is.
    """
    for options, words in (
        ("token-file=none.txt", "token-file: can't read none.txt: No such file"),
        ("token=a:token-file=b", "give either token or token-file, not both"),
        ("prefix=a/b", "prefix takes letters, digits"),
        ("overflow=none", "overflow takes one of close, oldest, latest"),
        ("max-channels=0", "max-channels takes a whole number of at least 1"),
    ):
        command = [TWISTD, "-n", "--pidfile="]
        command += ["wsplug", f"--app=push:{options}", f"--listen={TCP}"]
        with Process(command, tmp_path) as process:
            done = process.finish()
        assert done.status != 0
        assert words in done.err
        assert "Traceback" not in done.err + done.out


def test_unauthorized(server: Server) -> None:
    """
    Without a token: 401, as C{urllib} sees it.
    """
    url = f"http://{HOST}:{server.port}/publish?channel=a"
    with pytest.raises(HTTPError) as raised:
        urlopen(Request(url, b"x"), timeout=30)
    with raised.value as error:
        assert error.code == 401
        assert error.headers["WWW-Authenticate"] == 'Bearer realm="publish"'


def test_many(server: Server) -> None:
    """
    Publishers at the same time each get their answer, and subscribers everything, in
    the order of the offsets.
    """
    with _open(server, "/a") as client:
        _take(client)
        threads = [
            threading.Thread(target=_publish, args=(server, "channel=a", b"%d" % each))
            for each in range(20)
        ]
        for thread in threads:
            thread.start()
        messages = [_take(client) for _ in threads]
        for thread in threads:
            thread.join()
    assert [each["offset"] for each in messages] == list(range(1, 21))
    assert sorted(each["data"] for each in messages) == list(range(20))


def _codeBehind(client: ClientConnection) -> int | None:
    """
    Read on until the client is closed, and give the code.
    """
    for _ in client:
        pass
    return client.close_code


@pytest.mark.slow
def test_ticker(tmp_path: Path) -> None:
    """
    A client that knows nothing gets messages at C{/}, until it says C{quit}.
    """
    with (
        serve(tmp_path, "--app=ticker:shortest=1:longest=1") as server,
        _open(server, "/") as client,
    ):
        message = client.recv(30)
        assert isinstance(message, str)
        assert re.fullmatch(r"I am waiting 1 seconds", message)
        client.send("quit")
        assert _codeBehind(client) == 1000


@pytest.mark.slow
def test_service_tree(tmp_path: Path) -> None:
    """
    The example publishes from a service tree.
    """
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    command = [TWISTD, "-n", "--pidfile=", "-y", str(EXAMPLES / "service.tac")]
    with Process(command, tmp_path, environment={"PORT": str(port)}) as process:
        waitUntil(lambda: "listening on" in process.out, "it listens")
        with connect(f"ws://{HOST}:{port}/time") as client:
            while _take(client)["type"] != "message":
                pass
            assert isinstance(_take(client)["data"]["time"], float)
        process.stop()
        assert "Traceback" not in process.out


def test_documentation(server: Server, tmp_path: Path) -> None:
    """
    The C{curl} commands of the documentation publish, and its Python reads.
    """
    if shutil.which("curl") is None:
        missing("curl")
    (tmp_path / "icon.png").write_bytes(b"\x89PNG")
    here = f"{HOST}:{server.port}"
    text = (EXAMPLES.parents[1] / "docs" / "guides" / "push.md").read_text("utf-8")
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    commands = [code for language, code in blocks if language == "sh"]
    assert len(commands) == 3
    for code in commands:
        done = subprocess.run(
            [
                "sh",
                "-ec",
                "TOKEN=$(cat tokens)\n" + code.replace("localhost:9000", here),
            ],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "NO_PROXY": "*"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        answers = done.stdout.splitlines()
        assert len(answers) == code.count("curl -H")
        for answer in answers:
            assert "published" in json.loads(answer), answer
    (reading,) = (code for language, code in blocks if "websockets" in code)
    done = subprocess.run(
        [sys.executable, "-c", reading.replace("localhost:9000", here)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == '{"headline": "Hello"}\n'
