"""Each example runs the way that its first lines describe."""

from __future__ import annotations

import ast
import io
import re
import shutil
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.auth.kit import basic
from tests.processes import HOST, TWISTD, Process, Server, waitUntil

pytestmark = pytest.mark.costly

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_shout(tmp_path: Path) -> None:
    """
    The coroutine application answers, takes its option, and refuses binary messages.
    """
    with (
        Server(tmp_path, ["--app", f"{EXAMPLES}/shout.py:times=2"]) as server,
        connect(f"ws://{HOST}:{server.port}/") as client,
    ):
        client.send("hello")
        assert client.recv() == "HELLO HELLO"
        client.send(b"hello")
        assert _close_of(client) == (1003, "only text is understood here")


def test_greeter(tmp_path: Path) -> None:
    """It knows who is there, if users have to log in."""
    greeter = f"{EXAMPLES}/greeter.py"
    with Server(tmp_path, ["--app", greeter, "--auth", "memory:ann:secret"]) as server:
        headers = dict([basic("ann", "secret")])
        url = f"ws://{HOST}:{server.port}/"
        with connect(url, additional_headers=headers) as client:
            assert client.recv(timeout=30) == "Hello, ann!"
            client.send("hi")
            assert client.recv(timeout=30) == "ann: 'hi'"
        with pytest.raises(InvalidStatus, match="401"):
            connect(url)


def test_relay(tmp_path: Path) -> None:
    """A message goes to the other clients in the room only."""
    with Server(tmp_path, ["--app", f"{EXAMPLES}/relay.py:largest=2"]) as server:
        url = f"ws://{HOST}:{server.port}"
        with (
            connect(f"{url}/a") as ann,
            connect(f"{url}/a") as bob,
            connect(f"{url}/b") as cid,
        ):
            ann.send("to bob")
            bob.send(b"to ann")
            cid.send("to nobody")
            assert bob.recv() == "to bob"
            assert ann.recv() == b"to ann"
            with connect(f"{url}/a") as dan:
                assert _close_of(dan) == (1013, "this room is full")
            ann.send("still here")
            assert bob.recv() == "still here"


def test_dice(tmp_path: Path) -> None:
    """The package installs with its drop-in.

    C{--list-apps} shows it, and C{--app} runs it.
    """
    environment = _install(EXAMPLES / "dice", tmp_path)
    with Process(
        [TWISTD, "wsplug", "--list-apps"], tmp_path, environment=environment
    ) as listing:
        assert listing.wait() == 0
        assert "dice: Throw dice: send how many.\n    sides: " in listing.out
    arguments = ["--app", "dice:sides=1"]
    with (
        Server(tmp_path, arguments, environment=environment) as server,
        connect(f"ws://{HOST}:{server.port}/") as client,
    ):
        client.send("3")
        assert client.recv() == "1 1 1"
        client.send("many")
        assert client.recv() == "send a number from 1 to 100"


def test_tricks(tmp_path: Path) -> None:
    """The package installs with its drop-in: the bot has its commands, and lists
    them.
    """
    environment = _install(EXAMPLES / "tricks", tmp_path)
    with (
        Server(tmp_path, ["--app", "bot"], environment=environment) as server,
        connect(f"ws://{HOST}:{server.port}/") as client,
    ):
        client.send("help roll")
        expected = "roll (dice too): Throws a die. With more sides: roll 20"
        assert client.recv(timeout=30) == expected
        client.send("Roll!")
        assert re.fullmatch(r"You threw a [1-6]\.", str(client.recv(timeout=30)))
        client.send("dice 1")
        assert client.recv(timeout=30) == "You threw a 1."
        client.send("roll a lot")
        assert client.recv(timeout=30) == "A die has from 1 to 100 sides."
        client.send("count 3")
        client.send("hello")
        answers = [client.recv(timeout=30) for _ in range(4)]
        assert answers == ["1", "2", "3", "Hello, human!"]
        client.send("count on me")
        assert client.recv(timeout=30) == "Up to where? Type: count 3"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("load", "load: Push the load of this machine to those who watch it.\n"),
        ("quiz", "quiz: Ask questions in rooms, and keep the scores.\n"),
        ("rpc", "calculator: Answer JSON-RPC 2.0 calls.\n"),
    ],
)
def test_packages(name: str, shown: str, tmp_path: Path) -> None:
    """
    Each package with a class of L{wsplug.Application} installs with its drop-in, and
    its tests pass.
    """
    environment = _install(EXAMPLES / name, tmp_path)
    with Process(
        [TWISTD, "wsplug", "--list-apps"], tmp_path, environment=environment
    ) as listing:
        assert listing.wait() == 0
        assert shown in listing.out
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    with Process(command, tmp_path / name, environment=environment) as testing:
        assert testing.wait() == 0, testing.out


@pytest.mark.parametrize(("name", "most"), [("load", 40), ("quiz", 75), ("rpc", 45)])
@pytest.mark.everyday
def test_sizes(name: str, most: int) -> None:
    """Each of them is as short as the guide promises: lines of code, without blank
    lines, comments and docstrings.
    """
    text = (EXAMPLES / name / "src" / f"wsplug_{name}" / "__init__.py").read_text()
    tree = ast.parse(text)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines.difference_update(range(node.lineno, (node.end_lineno or 0) + 1))
    assert len(lines) <= most


_NO_CODE = (
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
)


@pytest.mark.everyday
def test_service_tree(tmp_path: Path) -> None:
    """wsplug runs in another program's service tree, with its own settings."""
    command = [TWISTD, "--pidfile=", "-ny", str(EXAMPLES / "service_tree.tac")]
    with Process(command, tmp_path, environment={"PORT": "0"}) as process:
        waitUntil(lambda: "listening on" in process.out, "it listens")
        match = re.search(r"listening on \S+:(\d+)$", process.out, re.MULTILINE)
        assert match is not None
        with connect(f"ws://{HOST}:{match[1]}/clock") as client:
            assert re.fullmatch(r"\d\d:\d\d:\d\d", str(client.recv(timeout=30)))
            client.send("x" * 1025)
            assert _close_of(client) == (1009, "message over 1024 bytes")


def _close_of(client: ClientConnection) -> tuple[int, str]:
    """Read up to the close frame, and return its contents."""
    with pytest.raises(ConnectionClosed) as raised:
        _read_all(client)
    close = raised.value.rcvd
    assert close is not None
    return close.code, close.reason


def _read_all(client: ClientConnection) -> None:
    while True:
        client.recv(timeout=30)


def _install(folder: Path, path: Path) -> dict[str, str]:
    """Install a package into its own folder.

    @return: the environment variables with which it is found.
    """
    target = path / "installed"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--disable-pip-version-check"),
            *("--target", str(target), str(_copy(folder, path))),
        ],
        check=True,
        timeout=300,
    )
    return {"PYTHONPATH": str(target)}


def _copy(folder: Path, target: Path) -> Path:
    """Copy a package's sources, so that the build changes nothing in them."""
    ignored = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    return Path(shutil.copytree(folder, target / folder.name, ignore=ignored))
