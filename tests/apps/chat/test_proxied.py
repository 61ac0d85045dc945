"""
The chat behind a proxy: it holds clients to their rates, not the proxy to theirs.
"""

from __future__ import annotations

from tests.apps.chat.kit import Chat, Client
from wsplug.guard.proxies import ProxySettings
from wsplug.testing.server import CLIENT as PROXY


def _connect(chat: Chat, client: str) -> Client:
    memory = chat.server.connect(headers=[("X-Forwarded-For", client)])
    return Client(chat.server, memory)


def test_rate() -> None:
    """
    Each client that a trusted proxy names has a rate of its own.
    """
    proxies = ProxySettings((PROXY,))
    chat = Chat(rate="0.001", burst="1", server={"proxies": proxies})
    for address, refused in (
        ("198.51.100.1", 0),
        ("203.0.113.1, 198.51.100.1", 1),
        ("198.51.100.2", 0),
        ("2001:db8::1", 0),
        ("2001:db8::2", 1),
    ):
        client = _connect(chat, address)
        client.send(message="x")
        assert len(client.new("error")) == refused, address


def test_rate_without_trust() -> None:
    """
    Where nobody trusts it, all its clients are one.
    """
    chat = Chat(rate="0.001", burst="1")
    for address, refused in (("198.51.100.1", 0), ("198.51.100.2", 1)):
        client = _connect(chat, address)
        client.send(message="x")
        assert len(client.new("error")) == refused, address
