"""
Refused connections whose peers don't close: they take up no room of other clients
(wsplug.server.factory).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.web.resource import Resource

from tests.server.kit import App, handshake
from wsplug import Settings
from wsplug.testing import MemoryServer, MemoryTransport


def refused(server: MemoryServer, count: int) -> Iterator[MemoryTransport]:
    """
    Open refused connections from one address. They read what they are sent, and don't
    close.
    """
    for _ in range(count):
        transport = server.connectTransport("203.0.113.9")
        transport.put(handshake())
        server.run()
        assert b" 429 " in transport.take() or transport.lost
        server.run()
        yield transport


@pytest.mark.parametrize("close_timeout", [5, 0])
def test_flood(close_timeout: float) -> None:
    """
    An address that is refused again and again doesn't fill the server for others.
    """
    settings = Settings(
        max_connections=100, max_address_connections=1, close_timeout=close_timeout
    )
    server = MemoryServer(App(), settings=settings, exempt=())
    server.connect(address="203.0.113.9")
    left = [each for each in refused(server, 500) if not each.lost]
    assert 5 <= len(left) <= 20
    assert server.factory.opening == len(left)
    for number in range(60):
        assert server.connect(address=f"198.51.100.{number}").opened


def test_few() -> None:
    """
    A client that is refused occasionally has time to read the reason.
    """
    settings = Settings(max_connections=100, max_address_connections=1)
    server = MemoryServer(App(), settings=settings, exempt=())
    server.connect(address="203.0.113.9")
    for transport in refused(server, 10):
        assert not transport.lost
        transport.shut()
        server.run()
    assert server.factory.opening == 0
    assert not server.factory.roster.lingering


class _Large(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return bytes(100_000)


@pytest.mark.parametrize("kept", [False, True])
def test_unread(kept: bool) -> None:
    """
    A connection that ends at once, but whose peer hasn't read earlier output, has the
    close timeout to read it. This holds for a refusal and for a stop of the server.
    """
    page = _Large()  # type: ignore[no-untyped-call]
    settings = Settings(max_connections=100, send_timeout=0, stop_timeout=0)
    server = MemoryServer(App(pages=page), settings=settings)
    transport = server.connectTransport()
    transport.bufferSize = 1 << 20  # as if the network had it
    transport.put(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    server.run()
    if kept:
        server.stop()
    else:
        others: Any = (object() for _ in range(16))
        server.factory.roster.lingering.update(others)
        transport.put(b"nonsense\r\n\r\n")
        server.run()
    server.advance(4)
    assert not transport.lost
    server.advance(2)
    assert transport.aborted
    assert len(server.factory.deadlines) == 0
