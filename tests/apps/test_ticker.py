"""
C{--app ticker}: a message every few seconds.
"""

from __future__ import annotations

from random import Random

import pytest

from wsplug.apps.ticker import Ticker, ticker
from wsplug.errors import InvalidOption
from wsplug.testing import MemoryServer


def test_ticks() -> None:
    """
    The first message comes at once, and each message says when the next one comes. Each
    client has its own times.
    """

    class Seeded(Ticker):
        random = Random(7)

    expected = Random(7)
    server = MemoryServer(Seeded)
    client = server.connect()
    waits = [expected.randint(2, 5) for _ in range(10)]
    assert len(set(waits)) > 1
    for seconds in waits:
        assert client.receive() == f"I am waiting {seconds} seconds"
        server.advance(seconds - 0.125)
        assert client.messages == []
        server.advance(0.125)
    other = server.connect()
    assert len(other.messages) == 1


def test_range() -> None:
    """
    The options set the bounds, by default 2 and 5.
    """
    for options, allowed in (
        ({}, {2, 3, 4, 5}),
        ({"shortest": "1", "longest": "1"}, {1}),
        ({"longest": "3"}, {2, 3}),
    ):
        server = MemoryServer(ticker, options=dict(options))
        client = server.connect()
        server.advance(300)
        told = {int(str(message).split()[3]) for message in client.messages}
        assert told == allowed


def test_bad_range() -> None:
    """
    An empty range is an error.
    """
    with pytest.raises(InvalidOption, match="shortest=6 is more than longest=5"):
        MemoryServer(ticker, options={"shortest": "6"})


@pytest.mark.parametrize("word", ["quit", " QUIT\n"])
def test_quit(word: str) -> None:
    """
    C{quit} closes the connection; other messages do nothing.
    """
    server = MemoryServer(ticker)
    client = server.connect()
    client.receive()
    client.send("<script>quit</script>" + "x" * 100_000)
    client.send(b"quit")
    assert client.closed is None
    client.send(word)
    assert client.closed == (1000, "")
    assert client.messages == []


def test_gone() -> None:
    """
    After a client disconnects, no timer remains.
    """
    server = MemoryServer(ticker)
    client = server.connect()
    server.advance(5)
    client.drop()
    assert server.clock.getDelayedCalls() == []


def test_page() -> None:
    """
    The ticker has a page.
    """
    response = MemoryServer(ticker).request("GET")
    assert response.status == 200
    assert b"ticker.js" in response.body
