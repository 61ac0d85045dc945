"""The guides for users of other libraries name existing things."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from websockets.asyncio.server import ServerConnection

from tests.documentation.pages import codeIn
from wsplug import ConnectionClosed, Side, WebSocket
from wsplug.interfaces import (
    IHandshakeRequest,
    IWebSocketProtocol,
    IWebSocketTransport,
)
from wsplug.tap import Options
from wsplug.testing import MemoryServer

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
AUTOBAHN = (GUIDES / "from-autobahn.md").read_text("utf-8")
WEBSOCKETS = (GUIDES / "from-websockets.md").read_text("utf-8")


def _rows(page: str, title: str) -> list[list[str]]:
    section = page.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]


@pytest.mark.parametrize("page", [AUTOBAHN, WEBSOCKETS])
def test_names(page: str) -> None:
    """The members of a transport, a request, a socket and a close that they mention
    exist.
    """
    for names, interface in [
        (r"transport\.(\w+)", IWebSocketTransport),
        (r"request\.(getHeader|getClientAddress|subprotocol|responseHeaders)", None),
    ]:
        for name in re.findall(names, page):
            assert name in (interface or IHandshakeRequest).names(), name
    for name in re.findall(r"\bsocket\.(\w+)", page.partition("becomes")[2]):
        assert hasattr(WebSocket, name) or name in ("transport", "closed"), name
    closing = ConnectionClosed(1000, "", Side.PEER)
    for name in ("clean", "code", "reason", "side", "setting"):
        assert hasattr(closing, name)


def test_options() -> None:
    """The options are options, in wsplug and in the other library."""
    own = {name.rstrip("=") for name in Options().longOpt}
    signature = inspect.signature(WebSocketServerFactory.setProtocolOptions)
    theirs = set(signature.parameters)
    for before, after, _ in _rows(AUTOBAHN, "Options"):
        assert set(re.findall(r"`(\w+)`", before)) <= theirs, before
        assert set(re.findall(r"`([a-z-]+)`", after)) <= own, after
    for _, after, _ in _rows(WEBSOCKETS, "The server"):
        for name in re.findall(r"`(?:--)?([a-z]+-[a-z-]+)`", after):
            assert name in own, name


def test_callbacks() -> None:
    """So are the callbacks and methods."""
    for before, after in _rows(AUTOBAHN, "Callbacks"):
        for name in re.findall(r"`(on\w+)\(", before):
            assert hasattr(WebSocketServerProtocol, name)
        for name in re.findall(r"`(\w+Received|negotiation\w+)\(", after):
            assert name in IWebSocketProtocol.names()
    for before, _ in _rows(AUTOBAHN, "Methods"):
        for name in re.findall(r"`(\w+)\(", before):
            assert hasattr(WebSocketServerProtocol, name), name
    for before, _ in _rows(WEBSOCKETS, "The connection"):
        for name in re.findall(r"websocket\.(\w+)", before):
            assert hasattr(ServerConnection, name) or name == "request", name


@pytest.mark.parametrize(
    ("page", "answer"), [(AUTOBAHN, "hello"), (WEBSOCKETS, "HELLO")]
)
def test_samples(page: str, answer: str) -> None:
    """The servers' replacements are applications."""
    (block,) = codeIn(page, "python")
    names: dict[str, Any] = {"__name__": "documentation"}
    exec(block, names)
    (application,) = (names[name] for name in ("Parrot", "shout") if name in names)
    client = MemoryServer(application).connect()
    client.send("hello")
    assert client.messages == [answer]
