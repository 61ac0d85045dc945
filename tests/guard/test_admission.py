"""
The limits of each address.
"""

from __future__ import annotations

import pytest
from twisted.internet.address import (
    HostnameAddress,
    IPv4Address,
    IPv6Address,
    UNIXAddress,
)
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock

from wsplug.errors import HandshakeRefused
from wsplug.guard import admission as module
from wsplug.guard.admission import Account, Admission, AdmissionLimits
from wsplug.guard.metering import Rates
from wsplug.networks import Networks

RATES = Rates(100, 1000, 1000)


def _v4(last: int, port: int = 1) -> IAddress:
    return IPv4Address("TCP", f"192.0.2.{last}", port)


def _v6(text: str) -> IAddress:
    return IPv6Address("TCP", text, 1)


class World:
    """
    An admission and its clock.
    """

    def __init__(
        self,
        connections: int = 3,
        handshakes: float = 2,
        exempt: tuple[str, ...] = (),
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        limits = AdmissionLimits(connections, handshakes, RATES, 60.0)
        self.admission = Admission(self.clock, limits, Networks(exempt))

    def enter(self, address: IAddress) -> Account:
        account = self.admission.enter(address)
        assert account is not None
        return account

    def refuse(self, address: IAddress) -> tuple[str | None, int]:
        """
        Expect a refusal: return the setting, and Retry-After.
        """
        with pytest.raises(HandshakeRefused) as caught:
            self.admission.enter(address)
        assert caught.value.status == 429
        ((name, value),) = caught.value.headers
        assert name == b"Retry-After"
        return caught.value.setting, int(value)


def test_connections() -> None:
    """
    An address has no more connections than its limit. Other addresses are unaffected,
    and a connection that leaves makes room.
    """
    world = World()
    accounts = [world.enter(_v4(1, port)) for port in range(3)]
    assert accounts[0] is accounts[2]
    assert world.refuse(_v4(1)) == ("max-address-connections", 10)
    world.enter(_v4(2))
    world.admission.leave(accounts[0])
    world.enter(_v4(1))
    world.refuse(_v4(1))


def test_networks_of_ipv6() -> None:
    """
    All addresses of an IPv6 /64 count as one client.
    """
    world = World()
    for last in range(3):
        world.enter(_v6(f"2001:db8:1:2:{last}::1"))
    assert world.refuse(_v6("2001:db8:1:2:ffff::1"))[0] == "max-address-connections"
    world.enter(_v6("2001:db8:1:3::1"))


def test_handshakes() -> None:
    """
    Ten seconds' worth of handshakes may come at once, then as many as the rate allows.
    This also holds if each connection has left before the next one.
    """
    world = World()
    for _ in range(20):
        world.admission.leave(world.enter(_v4(1)))
    assert world.refuse(_v4(1)) == ("max-address-handshake-rate", 1)
    world.clock.advance(0.25)
    assert world.refuse(_v4(1)) == ("max-address-handshake-rate", 1)
    world.clock.advance(0.25)
    world.admission.leave(world.enter(_v4(1)))
    world.refuse(_v4(1))
    world.clock.advance(60)
    for _ in range(20):
        world.admission.leave(world.enter(_v4(1)))
    world.refuse(_v4(1))


def test_cool_down() -> None:
    """
    A client that has sent too much is accepted again after the cool-down, however often
    it tries in between.
    """
    world = World()
    account = world.enter(_v4(1))
    account.cool(world.clock.seconds())
    world.admission.leave(account)
    assert world.refuse(_v4(1)) == ("cool-down", 60)
    world.clock.advance(59.5)
    assert world.refuse(_v4(1)) == ("cool-down", 1)
    world.clock.advance(0.5)
    world.enter(_v4(1))


def test_kept_across_a_reconnect() -> None:
    """
    What a client has sent also counts for its next connection.
    """
    world = World()
    account = world.enter(_v4(1))
    assert account.meter is not None
    assert account.meter.bytes.spend(10_000, world.clock.seconds())
    world.admission.leave(account)
    again = world.enter(_v4(1))
    assert again.meter is not None
    assert not again.meter.bytes.spend(1, world.clock.seconds())


def test_exempt() -> None:
    """
    Exempt networks and UNIX sockets have no account.
    """
    world = World(exempt=("192.0.2.0/30", "::1"))
    for address in (_v4(1), _v6("::1"), _v6("::ffff:192.0.2.2"), UNIXAddress("/a")):
        for _ in range(50):
            assert world.admission.enter(address) is None
    assert world.admission.enterAs("alice", _v4(1)) is None
    assert len(world.admission) == 0
    world.enter(_v4(4))


def test_users() -> None:
    """
    A user has one account, whatever address they connect from.
    """
    world = World()
    for last in range(3):
        assert world.admission.enterAs("alice", _v4(last)) is not None
    with pytest.raises(HandshakeRefused):
        world.admission.enterAs("alice", _v4(9))
    assert world.admission.enterAs("bob", _v4(1)) is not None
    # A user whose name looks like an address doesn't get that address's account.
    assert world.admission.enterAs("192.0.2.1", _v4(1)) is not world.enter(_v4(1))


def test_forgotten() -> None:
    """
    An address that has been away for a while is forgotten. Of those that have just
    left, only a bounded number is kept.
    """
    world = World()
    for last in range(200):
        world.admission.leave(world.enter(_v4(last)))
    assert len(world.admission) == 200
    world.clock.advance(10)
    world.enter(_v4(250))
    assert len(world.admission) == 1


def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    However many addresses come and go, the one that left first is forgotten first. A
    connected address is never forgotten.
    """
    monkeypatch.setattr(module, "MAX_LINGERING", 10)
    world = World()
    there = world.enter(_v4(255))
    for last in range(200):
        world.admission.leave(world.enter(_v4(last)))
        assert len(world.admission) <= 11
    assert world.enter(_v4(255)) is there


def test_refused_are_forgotten() -> None:
    """
    An address that is always refused is forgotten as well.
    """
    world = World(connections=1, handshakes=1)
    account = world.enter(_v4(1))
    account.cool(world.clock.seconds())
    world.admission.leave(account)
    for _ in range(100):
        world.refuse(_v4(1))
    world.clock.advance(70)
    world.enter(_v4(2))
    assert len(world.admission) == 1


def test_clock_set_back() -> None:
    """
    If the machine's clock is set back, no client is kept out or remembered longer.
    """
    world = World()
    there = world.enter(_v4(1))
    there.cool(world.clock.seconds())
    world.admission.leave(world.enter(_v4(2)))
    world.clock.rightNow = 5.0
    assert world.refuse(_v4(1)) == ("cool-down", 60)
    assert len(world.admission) == 1
    world.clock.advance(60)
    world.enter(_v4(1))


def test_other_addresses() -> None:
    """
    A client with neither an IP address nor a UNIX socket, such as one on a plugin's
    transport, has limits like any other. Only UNIX sockets have none.
    """
    world = World(exempt=("127.0.0.1",))
    for _ in range(3):
        world.enter(HostnameAddress(b"abc.onion", 80))
    assert world.refuse(HostnameAddress(b"abc.onion", 81)) == (
        "max-address-connections",
        10,
    )
    world.enter(HostnameAddress(b"other.onion", 80))
    assert world.admission.enter(UNIXAddress(b"/run/a.sock")) is None
