"""Failures, counted for each network that they come from (wsplug.failures)."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.task import Clock

from wsplug.failures import Failures
from wsplug.options import UNLIMITED


def v4(host: str) -> Any:
    return IPv4Address("TCP", host, 1)


def v6(host: str) -> Any:
    return IPv6Address("TCP", host, 1)


def fail(failures: Failures, client: Any, inAll: bool = False) -> str | None:
    """Report one failure.

    @return: the setting whose limit it exceeds.
    """
    excess = failures.count(failures.countersOf(client, inAll))
    return None if excess is None else excess.setting


def test_places() -> None:
    """Each IPv4 address has its own count, however it is written, and so has a client
    without an address.
    """
    failures = Failures(Clock(), 1)
    for place in (v4("192.0.2.1"), v4("192.0.2.2"), UNIXAddress(b"/a")):
        assert fail(failures, place) is None
        assert fail(failures, place) == "max-auth-failures"
    assert fail(failures, v6("::ffff:192.0.2.1")) == "max-auth-failures"


def test_one_too_many_counts_nowhere() -> None:
    """A failure over the limit of a network isn't counted for the client, and one over
    the limit of all is counted for neither.
    """
    clock = Clock()
    failures = Failures(clock, 1, 5, seconds=8)
    clients = [v6(f"2001:db8:0:{number}::1") for number in range(6)]
    for client in clients[:4]:
        assert fail(failures, client, True) is None
    # The /56 network has had four.
    for _ in range(3):
        assert fail(failures, clients[4], True) == "max-auth-failures"
    assert fail(failures, v4("192.0.2.1"), True) is None
    for _ in range(3):
        assert fail(failures, v4("192.0.2.2"), True) == "max-auth-failures-total"
    assert fail(failures, v4("192.0.2.2")) is None
    clock.advance(2)
    assert fail(failures, clients[4], True) is None
    assert fail(failures, clients[5], True) == "max-auth-failures"


def test_none() -> None:
    """A failure that is taken back doesn't count anywhere."""
    failures = Failures(Clock(), 1, 1)
    for _ in range(20):
        for number in range(20):
            places = failures.countersOf(v6(f"2001:db8:0:{number}::1"), True)
            assert failures.count(places) is None
            failures.discount(places)


def test_unlimited() -> None:
    """Without limits, any number of failures is allowed."""
    failures = Failures(Clock(), UNLIMITED, UNLIMITED)
    assert all(fail(failures, v6("2001:db8::1"), True) is None for _ in range(1000))
