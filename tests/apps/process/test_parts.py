"""
The application's parts: framing, standard error, the environment, the guard, options.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from zope.interface import provider

from tests.apps.process.kit import CAT, Stage
from tests.documentation.pages import codeIn
from wsplug import HandshakeRefused
from wsplug.apps.process import process
from wsplug.apps.process.framing import Lines
from wsplug.apps.process.guard import read
from wsplug.apps.process.options import OPTIONS
from wsplug.apps.process.stderr import BURST, INTERVAL, RATE, ErrorLog
from wsplug.assembly import combine, readFile
from wsplug.auth import Avatar
from wsplug.errors import InvalidOption
from wsplug.interfaces import IWebSocketApplicationPlugin
from wsplug.options import UNLIMITED, count, size
from wsplug.plugins import parseDescription
from wsplug.testing import MemoryServer

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "guides" / "process.md").read_text("utf-8")


def cut(data: bytes, limit: int, step: int = 1 << 20) -> list[str | bytes]:
    """
    Feed data to the framing, some bytes at a time, and return the messages.
    """
    lines = Lines(limit)
    messages = []
    for start in range(0, len(data), step):
        messages += lines.feed(data[start : start + step])
    return messages + lines.finish()


@pytest.mark.parametrize(
    ("data", "messages"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\n\r\nb\r", ["a", "", "b"]),
        (b"a\rb\n", ["a\rb"]),
        (b"\xff\xc3\n", ["\ufffd\ufffd"]),
        (b"12345678\n", ["12345678"]),
        (b"12345678\r\n", ["12345678"]),
        (b"123456789\n", ["12345678", "9"]),
        (b"1234567812345678", ["12345678", "12345678"]),
        ("1234567ä9\n".encode(), ["1234567", "ä9"]),
        ("12345😀😀\n".encode(), ["12345", "😀😀"]),
        (b"\x80" * 10 + b"\n", ["\ufffd" * 8, "\ufffd" * 2]),
    ],
)
def test_lines(data: bytes, messages: list[str]) -> None:
    """
    Lines end with LF or CR LF. Bytes that aren't UTF-8 are replaced. A line over eight
    bytes is split between characters.
    """
    assert cut(data, 8) == messages


@given(st.lists(st.sampled_from(["a", "ä", "😀", "\r", "\n", "€"])), st.integers(1, 9))
def test_lines_however_they_come(characters: list[str], step: int) -> None:
    """
    However the output is cut, the messages are the same. None is over the limit, no
    character is split, and nothing is lost.
    """
    data = "".join(characters).encode()
    messages = cut(data, 6)
    assert cut(data, 6, step) == messages
    for message in messages:
        assert isinstance(message, str)
        assert len(message.encode()) <= 6
        assert "\ufffd" not in message
    kept = "".join(map(str, messages)).replace("\r", "")
    assert kept == re.sub(r"[\r\n]", "", data.decode())


def test_line_limit() -> None:
    """
    max-line sets the limit.
    """
    stage = Stage(max_line="5")
    client = stage.connect()
    stage.prints(b"1234567\n")
    assert client.messages == ["12345", "67"]


# Standard error


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """
    The log's lines.
    """
    lines: list[str] = []

    @provider(ILogObserver)
    def observe(event: Any) -> None:
        if event["log_namespace"].startswith("wsplug.apps.process"):
            lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def test_errors_are_logged(logged: list[str]) -> None:
    """
    Standard error goes to the log with the program's name, escaped, and not to clients.
    """
    stage = Stage()
    client = stage.connect()
    stage.prints(b"wr\x1bong\nlast", to=2)
    stage.exits()
    assert client.messages == []
    (wrong, last) = (line for line in logged if "ong" in line or "last" in line)
    assert wrong == f"cat[{(1 << 30) + 2}]: wr\\x1bong"
    assert last.endswith(": last")


def test_errors_are_bounded(logged: list[str]) -> None:
    """
    The log takes so many lines at once and so many per second after that, and splits
    long ones. It counts the others, and reports their number every ten seconds.
    """
    clock = Clock()
    log = ErrorLog("it", clock)
    log.feed(b"x\n" * (BURST + 7) + b"y" * 2500 + b"\n")
    assert len(logged) == BURST
    clock.advance(1)
    log.feed(b"x\n" * 100)
    assert logged[BURST:] == ["it: x"] * int(RATE)
    clock.advance(INTERVAL - 1)
    assert logged[BURST + int(RATE) :] == ["it: 105 more lines on standard error"]
    log.feed(b"z" * 2500)
    assert logged[-2:] == ["it: " + "z" * 1000] * 2
    log.finish()
    assert logged[-1] == "it: " + "z" * 500
    assert clock.getDelayedCalls() == []


def test_left_out_errors_are_told_at_the_end(logged: list[str]) -> None:
    """
    When a program ends, the number of lines left out is logged at once, and no timer
    remains.
    """
    clock = Clock()
    log = ErrorLog("it", clock)
    log.feed(b"x\n" * (BURST + 7))
    log.finish()
    assert logged[BURST:] == ["it: 7 more lines on standard error"]
    assert clock.getDelayedCalls() == []


def test_errors_to_the_client() -> None:
    """
    With stderr=client, lines of standard error are messages, too, each one complete.
    """
    stage = Stage(stderr="client")
    client = stage.connect()
    stage.prints(b"out")
    stage.prints(b"wrong\n", to=2)
    stage.prints(b"put\n")
    assert client.messages == ["wrong", "output"]


# The environment


def test_environment() -> None:
    """
    The request is in a program's environment as RFC 3875 has it.
    """
    stage = Stage(path="/run", env="")
    stage.connect(
        "/run/a%2Fb/c?q=%20&r",
        headers=[
            ("X-Thing", "one"),
            ("X-Thing", "two"),
            ("Cookie", "a=1"),
            ("Cookie", "b=2"),
            ("X_Thing", "spoofed"),
            ("Proxy", "http://evil"),
            ("Authorization", "Basic x"),
            ("Proxy-Authorization", "Basic x"),
            ("X-Shell", "() { :; }; echo"),
        ],
    )
    variables = stage.program.environment
    assert variables.pop("REMOTE_PORT").isdigit()
    assert variables.pop("SERVER_SOFTWARE").startswith("wsplug/")
    assert variables == {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "HTTP_CONNECTION": "Upgrade",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_HOST": "server.example:9000",
        "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
        "HTTP_SEC_WEBSOCKET_VERSION": "13",
        "HTTP_UPGRADE": "websocket",
        "HTTP_X_SHELL": "() { :; }; echo",
        "HTTP_X_THING": "one, two",
        "PATH_INFO": "/a/b/c",
        "QUERY_STRING": "q=%20&r",
        "REMOTE_ADDR": "192.0.2.1",
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/run/a%2Fb/c?q=%20&r",
        "SCRIPT_NAME": "/run",
        "SERVER_NAME": "server.example",
        "SERVER_PORT": "9000",
        "SERVER_PROTOCOL": "HTTP/1.1",
    }


@pytest.mark.parametrize(
    ("avatar", "name"),
    [
        (Avatar("J\u00fcrgen"), "J\u00fcrgen"),
        (Avatar("a\0b"), None),
        (object(), None),
        (None, None),
    ],
)
def test_user(avatar: object, name: str | None) -> None:
    """
    REMOTE_USER is the user who has logged in (RFC 3875 section 4.1.11), if an
    environment can hold the name.
    """
    stage = Stage()
    stage.connect("/", avatar=avatar)
    assert stage.program.environment.get("REMOTE_USER") == name


def test_inherited_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A program gets the server's variables that the option names, and by default PATH.
    Variables that aren't set are left out.
    """
    monkeypatch.setenv("SECRET", "s")
    monkeypatch.setenv("GIVEN", "g")
    monkeypatch.delenv("MISSING", raising=False)
    stage = Stage(env="GIVEN,MISSING")
    stage.connect()
    assert stage.program.environment["GIVEN"] == "g"
    assert not {"SECRET", "MISSING", "PATH"} & set(stage.program.environment)
    stage = Stage()
    stage.connect()
    assert stage.program.environment["PATH"] == os.environ["PATH"]
    assert not {"SECRET", "GIVEN"} & set(stage.program.environment)


def test_path_with_nul() -> None:
    """
    A path that an environment can't hold is refused.
    """
    stage = Stage()
    with pytest.raises(HandshakeRefused) as refused:
        stage.connect("/a%00b")
    assert refused.value.status == 400
    assert stage.programs == []


def test_origin() -> None:
    """
    Pages of other sites can't start a program.
    """
    stage = Stage()
    with pytest.raises(HandshakeRefused) as refused:
        stage.connect(origin="http://evil.example")
    assert refused.value.status == 403
    assert stage.programs == []
    stage.connect(origin="http://server.example:9000")
    assert len(stage.programs) == 1


# The guard


def test_other_rights(logged: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A program that may not be signalled is named in the log, and the server goes on.
    """

    def killpg(group: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    stage = Stage(grace="1")
    client = stage.connect()
    pid = stage.program.pid
    monkeypatch.setattr(os, "killpg", killpg)
    client.drop()
    stage.advance(5)
    assert f"process {pid} runs with other privileges and can't be signalled" in logged
    assert any(line.endswith("exit after SIGKILL") for line in logged)
    stage.connect()


def test_guard_reads() -> None:
    """
    The guard knows which programs are left.
    """
    lines = [b"+1\n", b"+2\n", b"-1\n", b"+3\n", b"-7\n", b"-8\n"]
    assert read(lines, {8, 9}) == {2, 3, 9}


def test_guard_is_told() -> None:
    """
    The guard is told about each program that starts, and about each that has ended
    completely.
    """
    stage = Stage()
    stage.connect()
    group = stage.program.pid
    assert stage.guard.read == f"+{group}\n".encode()
    stage.exits()
    assert stage.guard.read == f"+{group}\n-{group}\n".encode()


def test_guard_is_replaced() -> None:
    """
    A guard that dies is replaced, repeatedly if needed, and the next one knows all
    running programs from the beginning.
    """
    stage = Stage()
    stage.connect()
    group = stage.program.pid
    stage.guard.exits(number=9)
    stage.reactor.problem = OSError(12, "Cannot allocate memory")
    stage.advance(1)
    stage.reactor.problem = None
    stage.advance(1)
    assert stage.program.argv[-1] == str(group)
    assert "guard.py" in " ".join(stage.program.argv)


def test_stop_without_guard() -> None:
    """
    A server whose guard has just died can stop.
    """
    stage = Stage()
    stage.guard.exits(number=9)
    stopped: list[None] = []
    stage.server.stop().addCallback(stopped.append)
    assert stopped == [None]
    stage.advance(10)
    assert len(stage.reactor.spawned) == 1


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"command": "no-such-program -x"}, "no program 'no-such-program' on PATH"),
        ({"command": "'open"}, "can't be parsed: No closing quotation"),
        ({"command": " "}, "names no program"),
        ({"command": "''"}, "names no program"),
        ({"command": "/nothing/here"}, "there is no program '/nothing/here'"),
        ({"command": "./data"}, "isn't executable; chmod"),
        ({"command": "cat a\0b"}, "contains a NUL"),
        ({"directory": "nowhere"}, "there is no directory 'nowhere'"),
        ({"env": "A B"}, "env takes names of variables"),
        ({"env": "A,"}, "env takes names of variables"),
        ({"grace": "never"}, "grace takes a time in seconds"),
        ({"input-timeout": "0"}, "input-timeout takes a time in seconds"),
        ({"mode": "own"}, "mode takes one of client, shared, room"),
        ({"max-programs": "0"}, "max-programs takes a whole number of at least 1"),
    ],
)
def test_mistakes(
    options: dict[str, object],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Wrong options are refused before the server starts, in one line that names them.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").write_text("", "utf-8")
    with pytest.raises(InvalidOption, match=re.escape(message)):
        MemoryServer(process, options={"command": "cat", **options})


def test_program_in_its_directory(tmp_path: Path) -> None:
    """
    A path is looked up from the directory that the program will work in.
    """
    program = tmp_path / "run.sh"
    program.write_text("#!/bin/sh\n", "utf-8")
    program.chmod(0o755)
    stage = Stage(command="./run.sh a", directory=str(tmp_path))
    stage.connect()
    assert stage.program.argv == [str(program), "a"]
    assert stage.program.directory == str(tmp_path)


def test_title(tmp_path: Path) -> None:
    """
    The page gets the names of the program and its script, or the title that is set. It
    gets no other argument, which may be a secret, and no folder.
    """
    (tmp_path / "app.py").touch()
    python = sys.executable

    def titleOf(**options: str) -> Any:
        stage = Stage(**options)
        found = stage.server.request("GET", "/program.json")
        assert found.status == 200
        return json.loads(found.body)

    name = os.path.basename(python)
    script = {"command": f"{python} -u app.py secret", "directory": str(tmp_path)}
    assert titleOf(**script) == {"title": f"{name} app.py", "mode": "client"}
    assert titleOf(command=f"{CAT} secret", mode="room")["title"] == "cat"
    assert titleOf(command="TOKEN=secret cat", shell="yes")["title"] == "sh"
    assert titleOf(title="Load") == {"title": "Load", "mode": "client"}


def test_no_shell() -> None:
    """
    No shell reads the command, unless the option says so.
    """
    stage = Stage(command="cat $(reboot) ; '*'")
    stage.connect()
    assert stage.program.argv == [CAT, "$(reboot)", ";", "*"]
    stage = Stage(command="cat $HOME", shell="yes")
    stage.connect()
    assert stage.program.argv == ["/bin/sh", "-c", "cat $HOME"]


def test_limits_are_finite() -> None:
    """
    No limit is off by default.
    """
    for option in OPTIONS:
        if option.kind in (count, size):
            assert 0 < option.default < UNLIMITED


def test_plugin() -> None:
    """
    The plugin provides its interface.
    """
    assert IWebSocketApplicationPlugin.providedBy(process)


# docs/guides/process.md


def test_documented_options() -> None:
    """
    The table of options has all options, with their defaults and help.
    """
    section = PAGE.partition("## Options")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\S+)` \| (.*?) \| (.*) \|$", section, re.MULTILINE)
    documented = [(name, default.strip("`"), help) for name, default, help in rows]
    actual = [(each.name, each.shownDefault, each.help) for each in OPTIONS]
    assert documented == actual


def test_documented_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Each command line on the page is valid, and each configuration can be served.
    """
    monkeypatch.chdir(ROOT)
    found = re.findall(r"^\$ twistd -n wsplug (.*)$", PAGE, re.MULTILINE)
    assert len(found) >= 5
    names = {option.name for option in OPTIONS} | {"path", "compression"}
    for line in found:
        words = shlex.split(line)
        (description,) = (
            parseDescription(words[index + 1])
            for index, word in enumerate(words)
            if word == "--app"
        )
        assert description.name == "process"
        assert set(description.values) <= names
        values = {"command": description.values["command"]}
        assert isinstance(values["command"], str)
        assert shlex.split(values["command"])
    (block,) = codeIn(PAGE, "toml")
    path = tmp_path / "wsplug.toml"
    path.write_text(block, "utf-8")
    for application in combine({}, readFile(str(path))).applications:
        assert application.name == "process"
        assert set(application.values) <= names


def test_documented_variables() -> None:
    """
    The page names exactly the variables that a program gets.
    """
    section = PAGE.partition("## Environment")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[A-Z_`, …]+) \|", section, re.MULTILINE)
    documented = {name.strip("`… ") for row in rows for name in row.split(", ")}
    stage = Stage(env="")
    stage.connect("/x", avatar=Avatar("ann"))
    actual = {
        name for name in stage.program.environment if not name.startswith("HTTP_")
    }
    assert documented - {"HTTP_", "HTTPS"} == actual


@pytest.mark.parametrize(
    ("environment", "greeting"),
    [
        ({"REMOTE_ADDR": "192.0.2.7", "PATH_INFO": "/"}, "hello 192.0.2.7"),
        ({"REMOTE_ADDR": "", "PATH_INFO": "/"}, "hello /"),
        ({"PATH_INFO": "/lobby"}, "hello /lobby"),
    ],
)
def test_documented_program(
    environment: dict[str, str], greeting: str, tmp_path: Path
) -> None:
    """
    The page's program runs for a client, over a UNIX socket, and for a room, which has
    no REMOTE_ADDR.
    """
    (code,) = re.findall(r"^```python\n(# greet.py\n.*?)^```$", PAGE, re.M | re.S)
    path = tmp_path / "greet.py"
    path.write_text(code, "utf-8")
    done = subprocess.run(
        [sys.executable, path],
        env=environment,
        input="word\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == [greeting, "WORD"]
