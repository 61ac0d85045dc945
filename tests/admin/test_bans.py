"""Bans (wsplug.guard.bans), and their effect on a server."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.task import Clock

from tests.server.kit import Logs, handshake, parseResponses
from wsplug.apps.echo import echo
from wsplug.errors import HandshakeRefused
from wsplug.guard.bans import LONGEST_BAN, MOST_BANS, Bans, parsePrefix
from wsplug.testing import MemoryServer


def v4(host: str) -> Any:
    return IPv4Address("TCP", host, 1)


def v6(host: str) -> Any:
    return IPv6Address("TCP", host, 1)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("192.0.2.1", v4("192.0.2.1"), v4("192.0.2.2")),
        ("192.0.2.1", v6("::ffff:192.0.2.1"), v6("::ffff:192.0.2.2")),
        ("::ffff:192.0.2.1", v4("192.0.2.1"), v4("192.0.2.2")),
        ("192.0.2.7/24", v4("192.0.2.200"), v4("192.0.3.1")),
        ("2001:db8::1", v6("2001:db8::ffff"), v6("2001:db8:0:1::1")),
        ("2001:db8::/64", v6("2001:db8::ffff"), v6("2001:db8:0:1::1")),
        ("2001:db8::/32", v6("2001:db8:5::1"), v6("2001:db9::1")),
        ("::ffff:192.0.2.0/120", v4("192.0.2.200"), v4("192.0.3.1")),
        ("::ffff:c000:207/120", v6("::ffff:192.0.2.200"), v4("192.0.3.1")),
        ("fe80::1%eth0", v6("fe80::2%eth1"), v6("fe81::1")),
    ],
)
def test_prefixes(text: str, inside: Any, outside: Any) -> None:
    """A ban of an address covers its client key, and a ban of a network covers all its
    addresses."""
    bans = Bans(Clock())
    bans.add(parsePrefix(text), 60)
    refusal = bans.refusalOf(inside)
    assert refusal is not None
    assert (refusal.status, refusal.setting) == (403, "operator")
    assert bans.refusalOf(outside) is None
    assert bans.refusalOf(UNIXAddress(b"/run/x")) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "here", "1.2.3", "1.2.3.4/x"),
        *("0.0.0.0/0", "::/0", "::/1", "::ffff:0:0/95", "::ffff:0:0/96"),
    ],
)
def test_no_prefixes(text: str) -> None:
    """A text that isn't an address, or a network that contains every address, is
    refused."""
    with pytest.raises(ValueError, match=r"is neither an address|contains every"):
        parsePrefix(text)


def test_time() -> None:
    """A ban ends by itself. It can be extended and lifted."""
    clock = Clock()
    bans = Bans(clock)
    prefix = parsePrefix("192.0.2.1")
    bans.add(prefix, 60, "too loud")
    clock.advance(59)
    assert bans.refusalOf(v4("192.0.2.1")) is not None
    assert [tuple(ban) for ban in bans] == [("192.0.2.1", 60.0, "too loud")]
    clock.advance(1)
    assert bans.refusalOf(v4("192.0.2.1")) is None
    assert len(bans) == 0
    bans.add(prefix, 60)
    bans.add(prefix, 120)
    clock.advance(100)
    assert bans.refusalOf(v4("192.0.2.1")) is not None
    assert len(bans) == 1
    assert bans.lift(prefix)
    assert not bans.lift(prefix)
    assert bans.refusalOf(v4("192.0.2.1")) is None


def test_bounds() -> None:
    """The number of bans is bounded. Those that have ended don't count."""
    clock = Clock()
    bans = Bans(clock)
    for number in range(MOST_BANS):
        bans.add(parsePrefix(f"10.0.{number // 256}.{number % 256}"), 60)
    with pytest.raises(ValueError, match="lift one first"):
        bans.add(parsePrefix("192.0.2.1"), 60)
    bans.add(parsePrefix("10.0.0.0"), 90)
    clock.advance(60)
    bans.add(parsePrefix("192.0.2.1"), 60)
    assert len(bans) == 2
    for seconds in (0, -1, LONGEST_BAN + 1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="a ban lasts"):
            bans.add(parsePrefix("192.0.2.2"), seconds)


def test_connections(logs: Logs) -> None:
    """A banned client gets a 403 before it sends anything. Others are served."""
    server = MemoryServer(echo)
    server.factory.bans.add(parsePrefix("192.0.2.66"), 60)
    transport = server.connectTransport("192.0.2.66")
    (response,) = parseResponses(transport.take())
    assert response.status == 403
    with pytest.raises(HandshakeRefused, match="banned"):
        server.connect(address="192.0.2.66")
    server.connect(address="192.0.2.67").send("hello")
    (refusal, *_) = server.factory.statistics.refusals
    assert (refusal.status, refusal.setting) == (403, "operator")
    server.advance(60)
    server.connect(address="192.0.2.66")


def test_requests() -> None:
    """On an open connection, a banned client gets a 403 for its next request, for a
    page or a handshake. This also holds after a page on the same connection."""
    server = MemoryServer(echo)
    page = b"GET / HTTP/1.1\r\nHost: server.example:9000\r\n\r\n"
    for request in (page, handshake()):
        transport = server.connectTransport("192.0.2.66")
        transport.put(page)
        server.run()
        (response,) = parseResponses(transport.take())
        assert response.status == 200
        server.factory.bans.add(parsePrefix("192.0.2.66"), 60)
        transport.put(request)
        server.run()
        (response,) = parseResponses(transport.take())
        assert response.status == 403
        server.factory.bans.lift(parsePrefix("192.0.2.66"))
