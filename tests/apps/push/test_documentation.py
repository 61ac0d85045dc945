"""
What C{docs/guides/push.md} says is so.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.apps.push.kit import makeServer, post, publish, subscribe, take
from tests.documentation.pages import codeIn
from wsplug.apps.push import push
from wsplug.apps.ticker import ticker
from wsplug.interfaces import IWebSocketApplicationPlugin
from wsplug.tap import Options
from wsplug.testing import MemoryServer

PAGE = (Path(__file__).parents[3] / "docs" / "guides" / "push.md").read_text("utf-8")


def _section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def _rows(text: str) -> list[list[str]]:
    lines = re.findall(r"^\| (.*) \|$", text, re.MULTILINE)
    rows = [[cell.strip().strip("`") for cell in line.split(" | ")] for line in lines]
    return rows[2:]


@pytest.mark.parametrize(
    ("plugin", "section"), [(push, "Options"), (ticker, "A ticker")]
)
def test_options(plugin: IWebSocketApplicationPlugin, section: str) -> None:
    """
    The tables are the options, with their help and their defaults.
    """
    actual = [[each.name, each.help, each.shownDefault] for each in plugin.options]
    assert _rows(_section(section)) == actual


def test_paths() -> None:
    """
    Beside each other, each application is at its name.
    """
    options = Options()
    options.parseOptions(["--app", "push", "--app", "ticker"])
    assert [mount.path for mount in options.parts.mounts] == ["/push", "/ticker"]


def test_conversation() -> None:
    """
    The conversation takes place as it is written.
    """
    lines = codeIn(_section("Subscribing"), "")[0].splitlines()
    server = makeServer()
    server.clock.advance(1763712000)
    for data in (b"one", b"two"):
        publish(server, "news", data)
    epoch = subscribe(server.connect(), "news")["position"]["epoch"]
    server.connect("/news")
    client = server.connect()
    for number, line in enumerate(lines):
        line = line.replace("1f0c24ab", epoch)
        if line.startswith("→ "):
            client.send(line[2:])
            if "since" in line:
                assert '"any":["JSON"]' in lines[number + 2]
                publish(server, "news", b'{"any":["JSON"]}')
        else:
            assert json.loads(line[2:]) == take(client)
    assert client.messages == []


@pytest.mark.parametrize("row", _rows(_section("Subscribing")))
def test_urls(row: list[str]) -> None:
    """
    Each URL is understood.
    """
    target, meaning = row
    client = makeServer().connect(target)
    if "raw" in target:
        assert client.messages == []
        return
    for name in re.findall(r"the channel `(\S+)`", meaning):
        assert take(client)["channel"] == name


def test_answer() -> None:
    """
    The request with several publications gets an answer like the one shown.
    """
    section = _section("Publishing")
    (body,) = re.findall(r"--data-binary '(\[.*?\])'", section, re.DOTALL)
    (shown,) = (json.loads(block) for block in codeIn(section, "json"))
    server = makeServer()
    for target in ("/news", "/?channel=news&channel=weather"):
        server.connect(target)
    for number in range(6):
        publish(server, "news", b"%d" % number)
    answer = json.loads(post(server, body.encode()).body)
    answer["published"][0]["position"]["epoch"] = "1f0c24ab"
    assert answer == shown


def test_error_codes() -> None:
    """
    The codes in the page are those that there are for subscribers.
    """
    package = Path(__file__).parents[3] / "src" / "wsplug"
    sources = [package / "apps/push" / f"{name}.py" for name in ("subscriber", "names")]
    sources.append(package / "jsonmessages.py")
    text = "".join(path.read_text("utf-8") for path in sources)
    used = set(re.findall(r'RequestRefused\(\s*"([a-z-]+)"', text))
    used |= set(re.findall(r'(?:return|else) "([a-z-]+)"', text))
    sentence = _section("Subscribing").partition("The codes are")[2].partition(". ")[0]
    assert set(re.findall(r"`([a-z-]+)`", sentence)) == used


def test_python() -> None:
    """
    The line that publishes in Python does.
    """
    (line,) = codeIn(_section("Publishing"), "python")
    server = makeServer()
    client = server.connect("/news?format=raw")
    exec(line, {"services": server})
    server.run()
    assert client.messages == ['{"headline": "Hello"}']


def test_ticker() -> None:
    """
    The ticker's conversation takes place, with other numbers.
    """
    server = MemoryServer(ticker)
    client = server.connect()
    (block,) = codeIn(_section("A ticker"), "")
    for line in block.splitlines():
        if line.startswith("→ "):
            client.send(line[2:])
            continue
        message: Any = client.receive()
        client.messages.clear()
        server.advance(5)
        assert re.sub(r"\d", "N", message) == re.sub(r"\d", "N", line[2:])
    assert client.closed == (1000, "")
