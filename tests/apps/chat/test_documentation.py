"""
What docs/reference/chat.md says is so.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.apps.chat.kit import Chat, key
from tests.documentation.pages import codeIn
from wsplug.apps.chat import chat
from wsplug.apps.chat.requests import Request

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "reference" / "chat.md").read_text("utf-8")


def _rows(text: str) -> list[list[str]]:
    lines = re.findall(r"^\| (.*) \|$", text, re.MULTILINE)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


def test_options() -> None:
    """
    The table is the options, with their defaults and their help.
    """
    rows = _rows(PAGE.partition("## Options")[2].partition("## ")[0])[2:]
    documented = [(row[0].strip("`"), *row[1:]) for row in rows]
    assert documented == [
        (each.name, each.shownDefault, each.help) for each in chat.options
    ]


def _examples() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    decoder = json.JSONDecoder()
    for block in codeIn(PAGE, "json"):
        while block.strip():
            value, end = decoder.raw_decode(block.strip())
            found.append(value)
            block = block.strip()[end:]
    for inline in re.findall(r'`(\{"type":.*?\})`', PAGE):
        try:
            found.append(json.loads(inline))
        except ValueError:
            assert "…" in inline, inline
    return found


def test_examples_are_understood() -> None:
    """
    Each message of the examples that a client sends is understood.
    """
    types = {each.__struct_config__.tag for each in Request.__args__}
    asked = [
        each
        for each in _examples()
        if each["type"] in types
        and not {"from_id", "message", "messages"}.intersection(each)
    ]
    assert len(asked) >= 4
    for each in asked:
        client = Chat().connect()
        if each["type"] != "hello":
            client.ask(type="hello", name="Ann", key=key("Ann"))
        if each["type"] in ("leave", "delete", "history"):
            client.ask(type="join", room=each["room"])
        client.send(**each)
        codes = [m["code"] for m in client.all if m["type"] == "error"]
        assert codes == (["no-such-message"] if each["type"] == "delete" else []), each


@pytest.mark.parametrize(
    "type", ["welcome", "joined", "sent", "named", "left", "found"]
)
def test_answers_have_these_keys(type: str) -> None:
    """
    The answers of the examples have the keys that the answers have.
    """
    (example,) = (each for each in _examples() if each["type"] == type)
    bea = (chat := Chat()).person("Bea", "lobby", color="#1a7f45")
    bea.ask(type="usermsg", room="lobby", message="Welcome!")
    client = chat.connect()
    hello = {"type": "hello", "name": "Ann", "color": "#2456d6", "key": key("Ann")}
    answers = {
        each["type"]: each
        for each in (
            client.ask(**asked)
            for asked in (
                hello,
                {"type": "join", "room": "lobby"},
                {"type": "usermsg", "room": "lobby", "message": "Hi"},
                {"type": "name", "name": "Anna"},
                {"type": "leave", "room": "lobby"},
                {"type": "find", "room": "a  b/"},
            )
        )
    }
    assert set(example) - {"request"} == set(answers[type])
    if type == "joined":
        assert set(example["messages"][0]) == set(answers[type]["messages"][0])
        assert set(example["people"][0]) == set(answers[type]["people"][0])


def test_codes() -> None:
    """
    The table of errors has each code that the chat gives.
    """
    documented = set()
    for row in _rows(PAGE.partition("### Errors")[2]):
        documented.update(re.findall(r"`([a-z-]+)`", row[0]))
    given = set()
    folder = Path(chat.__module__.replace(".", "/")).parent
    source = Path(__file__).parents[3] / "src"
    for path in [*(source / folder).glob("*.py"), source / "wsplug/jsonmessages.py"]:
        text = path.read_text("utf-8")
        given.update(re.findall(r'RequestRefused\(\s*"([a-z-]+)"', text))
    given |= {"invalid", "too-long", "unknown-type", "not-json"}
    assert given == documented
