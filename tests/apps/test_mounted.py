"""
What every bundled application takes of a mount: subprotocols and pages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wsplug import WebSocketProtocol, application
from wsplug.apps.bot import bot
from wsplug.apps.chat import chat
from wsplug.apps.echo import echo
from wsplug.apps.push import push
from wsplug.apps.relay import relay
from wsplug.apps.ticker import ticker
from wsplug.testing import MemoryServer

APPLICATIONS = [bot, chat, echo, push, relay, ticker]


@pytest.mark.parametrize("plugin", APPLICATIONS, ids=lambda plugin: plugin.name)
def test_subprotocols(plugin: Any) -> None:
    """
    Each takes the first subprotocol that a tutorial's page offers, since browsers close
    a connection that takes none. What is wsplug's own isn't taken by who doesn't speak
    it. A mount can say which ones are taken.
    """
    server = MemoryServer(plugin)
    for offered in (["chat"], ["chat", "superchat"], ["wsplug.nothing.v1", "chat"]):
        assert server.connect(subprotocols=offered).subprotocol == "chat"
    assert server.connect(subprotocols=["wsplug.nothing.v1"]).subprotocol is None
    mounted = MemoryServer(plugin, subprotocols=["superchat"])
    assert mounted.connect(subprotocols=["chat", "superchat"]).subprotocol == (
        "superchat"
    )


def test_chats_own() -> None:
    """
    Clients that speak the chat's own subprotocol get that one, whatever else they offer
    first, and whatever the mount says for classic ones.
    """
    own = "wsplug.chat.v1"
    for mounted in (None, ["superchat"], []):
        server = MemoryServer(chat, subprotocols=mounted)
        assert server.connect(subprotocols=["chat", own]).subprotocol == own


@pytest.mark.parametrize("plugin", APPLICATIONS, ids=lambda plugin: plugin.name)
def test_pages(plugin: Any, tmp_path: Path) -> None:
    """
    A folder of one's own pages takes the place of the application's, in rooms too, and
    the server's own files are still there. Sockets are as they were.
    """
    (tmp_path / "index.html").write_text("<p>mine")
    (tmp_path / "lobby").mkdir()
    (tmp_path / "lobby" / "page.html").write_text("<p>of the lobby")
    server = MemoryServer(plugin, path="/team", pages=tmp_path)
    for path, body in (("/team/", b"<p>mine"), ("/team/lobby/page.html", b"<p>of the")):
        response = server.request("GET", path)
        assert (response.status, response.body[: len(body)]) == (200, body)
    assert server.request("GET", "/team/kitchen").status == 404
    assert server.request("GET", "/team/-/wsplug.js").status == 200
    assert server.connect("/team/lobby").closed is None


def test_pages_among_resources(tmp_path: Path) -> None:
    """
    What an application has besides its pages stays: where one publishes, and the list
    of the bot's commands.
    """
    (tmp_path / "publish").write_text("a file of this name is hidden")
    server = MemoryServer(push, pages=tmp_path)
    assert server.request("POST", "/publish").status == 403
    assert server.request("GET", "/publish").status == 405
    response = MemoryServer(bot, pages=tmp_path).request("GET", "/commands.json")
    assert b'"commands"' in response.body


def test_pages_of_none(tmp_path: Path) -> None:
    """
    An application without pages gets some.
    """
    (tmp_path / "index.html").write_text("<p>mine")
    plain = application("plain")(WebSocketProtocol)
    assert MemoryServer(plain).request("GET").status == 426
    assert MemoryServer(plain, pages=tmp_path).request("GET").body == b"<p>mine"
