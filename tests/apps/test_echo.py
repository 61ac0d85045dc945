"""
The echo, with and without its options.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from wsplug import Settings
from wsplug.apps.echo import echo
from wsplug.errors import InvalidOption
from wsplug.interfaces import IWebSocketApplicationPlugin
from wsplug.plugins import parseDescription
from wsplug.server.inputgate import READ_ON
from wsplug.testing import MemoryServer

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "reference" / "echo.md"

HOSTILE = [
    "",
    "<script>alert(1)</script>",
    "\u202eevil\u200b\ufeff",
    '{"type":',
    "x" * 100_000,
]


def serve(**options: object) -> MemoryServer:
    """
    Serve the echo with some options.
    """
    settings = Settings(ping_interval=0.0, send_timeout=0.0)
    return MemoryServer(echo, options=options, settings=settings)


@pytest.mark.parametrize("message", [*HOSTILE, b"", bytes(range(256))])
def test_plain(message: str | bytes) -> None:
    """
    Every message comes back unchanged.
    """
    client = serve().connect()
    client.send(message)
    assert client.messages == [message]


def test_plain_is_plain() -> None:
    """
    Without options, one call leads from the message to the answer: benchmarks measure
    it.
    """
    application: Any = serve().application
    protocol: Any = type(application.buildProtocol(None))
    assert protocol.__name__ == "_Echo"
    assert vars(protocol).keys() >= {"textMessageReceived", "bytesMessageReceived"}


@pytest.mark.parametrize("delay", [0, 1])
def test_prefix(delay: int) -> None:
    """
    Text messages get the prefix; binary messages come back unchanged.
    """
    server = serve(prefix="You have entered: ", delay=delay)
    client = server.connect()
    for message in ("hello", "", b"bytes"):
        client.send(message)
    server.advance(delay)
    assert client.messages == [
        "You have entered: hello",
        "You have entered: ",
        b"bytes",
    ]


def test_delay() -> None:
    """
    Each answer is delayed by the same time, in order, whatever else arrives meanwhile.
    """
    server = serve(delay="1.5")
    client, other = server.connect(), server.connect()
    client.send("one")
    server.advance(1)
    client.send(b"two")
    other.send("other")
    assert client.messages == []
    server.advance(0.5)
    assert client.messages == ["one"]
    server.advance(0.875)
    assert client.messages == ["one"]
    server.advance(0.125)
    assert client.messages == ["one", b"two"]
    assert other.messages == ["other"]


def test_who_leaves() -> None:
    """
    A client that disconnects in any way leaves no timer behind.
    """
    server = serve(delay=60)
    for leave in ("close", "drop"):
        before = len(server.clock.getDelayedCalls())
        client = server.connect()
        client.send("hello")
        client.send("hello")
        assert len(server.clock.getDelayedCalls()) > before
        getattr(client, leave)()
        server.advance(1)
        assert len(server.clock.getDelayedCalls()) == before


@pytest.mark.parametrize(
    ("message", "backlog", "held"),
    [("", 2560, 11), (b"x" * 1000, 10_000, 8), ("x" * 1000, 10_000, 3)],
)
def test_flood(message: str | bytes, backlog: int, held: int) -> None:
    """
    Over the backlog, reading stops until there is room. The client loses no message.
    """
    server = serve(delay=1, backlog=backlog)
    client = server.connect()
    size = len(message) + (8 if message else 6)
    for number in range(40):
        client.send(message)
        # A little is read, and waits here.
        unread = max(0, number + 1 - held) * size
        assert client.transport.reading is (unread <= READ_ON)
    answered = 0
    while len(client.messages) < 40:
        server.advance(1)
        assert answered < len(client.messages) <= answered + held
        answered = len(client.messages)
    assert client.messages == [message] * 40
    assert client.transport.reading


def test_flood_and_away() -> None:
    """
    A client that disconnects while reading is paused is noticed.
    """
    server = serve(delay=10, backlog=1000)
    before = len(server.clock.getDelayedCalls())
    client = server.connect()
    for _ in range(40):
        client.send("x" * 1000)
    client.transport.abortConnection()
    server.run()
    assert len(server.clock.getDelayedCalls()) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delay": "-1"}, "delay takes a time in seconds from 0 to 3600, not '-1'"),
        ({"delay": "soon"}, "delay takes a time in seconds from 0 to 3600, not 'soon'"),
        ({"backlog": "0"}, "backlog takes a size like 65536"),
        ({"suffix": "x"}, "the options are: prefix, delay, backlog"),
    ],
)
def test_mistakes(options: dict[str, object], words: str) -> None:
    """
    A wrong option is reported in one line.
    """
    with pytest.raises(InvalidOption, match=re.escape(words)):
        MemoryServer(echo, options=options)


def test_page() -> None:
    """
    The page exists, may load nothing from elsewhere, and everything that it refers to
    exists.
    """
    server = serve()
    page = server.request("GET", "/")
    assert page.status == 200
    text = page.body.decode()
    assert "default-src 'self'" in text
    for reference in re.findall(r'(?:href|src)="([^"]+)"', text):
        assert server.request("GET", f"/{reference}").status == 200, reference


def test_documented_command() -> None:
    """
    The tutorials' echo behaves as docs/reference/echo.md says.
    """
    commands = re.findall(r"^\$ (twistd .*)$", DOCUMENTATION.read_text("utf-8"), re.M)
    description = parseDescription(shlex.split(commands[1])[-1])
    assert description.name == "echo"
    client = MemoryServer(echo, options=dict(description.values)).connect()
    client.send("x")
    assert client.messages == ["You have entered: x"]


def test_documentation() -> None:
    """
    docs/reference/echo.md has all options, with their defaults.
    """
    lines = re.findall(r"^\| (`.*) \|$", DOCUMENTATION.read_text("utf-8"), re.MULTILINE)
    rows = [tuple(cell.strip("` ") for cell in line.split(" | ")) for line in lines]
    plugin = IWebSocketApplicationPlugin(echo)
    assert rows == [
        (each.name, each.shownDefault, each.help) for each in plugin.options
    ]
