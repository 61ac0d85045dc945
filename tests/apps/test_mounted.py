"""
What every bundled application takes of a mount: subprotocols.
"""

from __future__ import annotations

from typing import Any

import pytest

from wsplug.apps.bot import bot
from wsplug.apps.chat import chat
from wsplug.apps.echo import echo
from wsplug.apps.push import push
from wsplug.apps.ticker import ticker
from wsplug.testing import MemoryServer

APPLICATIONS = [bot, chat, echo, push, ticker]


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
