"""
What docs/guides/bot.md says is so.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from websockets.sync.client import connect

from tests.apps.botkit import BUNDLED, ask, clockAt, serveBot
from tests.documentation.pages import codeIn
from tests.processes import HOST, serve
from tests.server.conftest import logs
from tests.server.kit import Logs
from wsplug.apps.bot import bot, command
from wsplug.apps.bot.names import MAX_NAME_LENGTH
from wsplug.assembly import combine, readFile
from wsplug.interfaces import IConversation
from wsplug.options import parseOptions
from wsplug.plugins import loadPlugin, parseDescription
from wsplug.testing import MemoryServer

__all__ = ["logs"]

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "bot.md").read_text("utf-8")


def _section(title: str) -> str:
    (found,) = re.findall(rf"^##+ {title}\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
    return str(found)


def _tables(text: str) -> list[list[list[str]]]:
    """
    Give the cells of each table's rows, without the heads.
    """
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.M)
    return [
        [
            [cell.strip() for cell in row.strip("|").split(" | ")]
            for row in table.splitlines()[2:]
        ]
        for table in tables
    ]


def test_options() -> None:
    """
    The table of options is the bot's options, with their defaults.
    """
    (table,) = _tables(_section("Options"))
    documented = [(name.strip("`"), default, help) for name, default, help in table]
    actual = [(each.name, each.shownDefault, each.help) for each in bot.options]
    assert actual == documented


def test_configuration(tmp_path: Path) -> None:
    """
    What is said to set options, on the command line or in a file, does.
    """
    path = tmp_path / "wsplug.toml"
    path.write_text(codeIn(_section("Options"), "toml")[0], "utf-8")
    (fromFile,) = combine({}, readFile(str(path))).applications
    options = parseOptions(bot.options, fromFile.values)
    assert (options["age"], options["timeout"]) == (
        "older than the universe itself",
        10,
    )
    found = re.search(r"`--app (bot:\S+)`", PAGE)
    assert found is not None
    fromLine = parseDescription(found[1])
    options = parseOptions(bot.options, fromLine.values)
    assert (options["name"], options["zone"].key) == ("Marvin", "Europe/Vienna")
    parseOptions(bot.options, {"max-length": "unlimited", "timeout": "off"})


def test_answers() -> None:
    """
    Each line of the table gets the answer beside it, and there is a line for each word
    of each bundled command.
    """
    told = {"help", "?"}
    for cell, answer in _tables(_section("What it says"))[0]:
        for line in re.findall(r"`(.*?)`", cell):
            told.add(line.split()[0])
            _, client = serveBot(clock=clockAt("2012-03-07T16:01:23+00:00"))
            assert ask(client, line) == answer
    assert {word for each in BUNDLED for word in each.words} == told - {"anything"}


def test_reading() -> None:
    """
    What is said about how lines and names are read.
    """
    section = _section("What it says")
    _, client = serveBot()
    assert "`  HELLO! ` is `hello`" in section
    assert ask(client, "  HELLO! ") == ask(client, "hello")
    assert "`time please` is `time`" in section
    assert ask(client, "time please") == ask(client, "time")
    (punctuation,) = re.findall(r"any of `(\S+)` behind the word", section)
    for mark in punctuation:
        assert ask(client, f"hello{mark}") == "Hello, human!"
    assert f"up to {MAX_NAME_LENGTH} characters" in section
    assert f"`{ask(client, 'name ...')}`" in section


def test_unreadable(logs: Logs) -> None:
    """
    What can't be read or answered gets the answer beside it.
    """

    @command("oops", help="Raises.")
    def oops(arguments: str, conversation: IConversation) -> str:
        raise RuntimeError

    @command("wait", help="Waits.")
    def wait(arguments: str, conversation: IConversation) -> Deferred[str]:
        return Deferred()

    server, client = serveBot(oops, wait)
    messages: list[str | bytes] = [" ", "x" * 1001, b"x", "oops", "wait"]
    rows = _tables(_section("What it says"))[1]
    for message, (_, answer) in zip(messages, rows, strict=True):
        client.send(message)
        if message == "wait":
            server.advance(30)
        assert client.receive() == answer
    assert len(logs.failures()) == 1


@pytest.fixture
def rolling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """
    A folder with the page's modules, and imports from it.
    """
    own, dropIn, _ = codeIn(_section("A command of your own"), "python")
    plugins = tmp_path / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    for path, code in [
        (tmp_path / "rolling.py", own),
        (plugins / "rolling_dropin.py", dropIn),
        (tmp_path / "shop.py", codeIn(PAGE, "python")[-2]),
    ]:
        assert code.startswith(f"# {path.relative_to(tmp_path)}\n")
        path.write_text(code, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("rolling", None)


def test_ownCommand(rolling: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The five lines are five, and a bot finds them by the drop-in; a client has the talk
    that the page has.
    """
    code = (rolling / "rolling.py").read_text("utf-8").partition("\n")[2]
    assert len([line for line in code.splitlines() if line]) == 5
    talking = codeIn(PAGE, "python")[0]
    with serve(rolling, "--app=bot") as server:
        url = f"ws://{HOST}:{server.port}/"
        _names(talking)["talk"](url)
        answers = re.findall(r"  # (.*)$", talking, re.M)
        assert capsys.readouterr().out.splitlines() == answers
        with connect(url) as client:
            client.send("help dice")
            assert client.recv(60) == "roll (dice too): Throws a die."
            client.send("roll")
            assert re.fullmatch(r"You threw a [1-6]\.", str(client.recv(60)))


def test_waitingCommand() -> None:
    """
    The coroutine makes its tea, and remembers how much.
    """
    code = codeIn(_section("A command of your own"), "python")[2]
    server, client = serveBot(_names(code)["tea"])
    for cups in (1, 2):
        client.send("tea")
        server.advance(2.875)
        assert client.messages == []
        server.advance(0.125)
        assert client.messages == ["Here you are.", f"Cups so far: {cups}"]
        client.messages.clear()


def test_conversation() -> None:
    """
    The table of what a command gets names what a conversation has, all of it.
    """
    (table,) = _tables(_section("A command of your own"))
    documented = {re.findall(r"conversation\.(\w+)", cell)[0] for cell, _ in table}
    assert documented == set(IConversation.names())


def test_otherBots(rolling: Path) -> None:
    """
    The shop's bot knows the commands that it was given, and no others; and the page's
    test passes.
    """
    client = MemoryServer(loadPlugin(parseDescription(f"{rolling}/shop.py"))).connect()
    lines = ask(client, "help").splitlines()
    assert [line.split(":")[0] for line in lines[1:]] == ["bye", "help", "roll"]
    assert ask(client, "hello") == "You have entered: hello"
    _names(codeIn(PAGE, "python")[-1])["test_roll"]()


def test_list() -> None:
    """
    C{commands.json} is as the example has it.
    """
    (block,) = codeIn(PAGE, "json")
    server, _ = serveBot()
    documented = json.loads(block)["commands"]
    served = json.loads(server.request("GET", "/commands.json").body)["commands"]
    assert all(each in served for each in documented)


def _names(code: str) -> dict[str, Any]:
    """
    Run a block of Python, and give what it defines.
    """
    names: dict[str, Any] = {"__name__": "documentation"}
    exec(code, names)
    return names
