"""Client keys and lists of networks."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from twisted.internet.address import (
    HostnameAddress,
    IPv4Address,
    IPv6Address,
    UNIXAddress,
)
from twisted.internet.interfaces import IAddress

from wsplug.networks import (
    Networks,
    clientKey,
    hostOf,
    isLocal,
    nameOfAddress,
    parseHost,
)


class OnionAddress:
    """The address type of C{txtorcon}'s C{onion:} endpoints."""

    type = "onion"

    def __init__(self, uri: str, port: int) -> None:
        self.onion_uri = uri
        self.onion_port = port


class Nameless:
    """An address of an unknown kind."""


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_hosts(text: str, host: str) -> None:
    """All spellings of an address give the same key."""
    assert parseHost(text) == ip_address(host)


@pytest.mark.parametrize("text", ["", "localhost", "192.0.2.1:80", "1.2.3", "[::1]"])
def test_no_hosts(text: str) -> None:
    """Text that isn't an address gives no address."""
    assert parseHost(text) is None


def test_client_keys() -> None:
    """A whole IPv6 /64 network is one client, and so is each IPv4 address."""
    assert clientKey(IPv4Address("TCP", "192.0.2.1", 80)) == "192.0.2.1"
    one = clientKey(IPv6Address("TCP", "2001:db8:1:2:3:4:5:6", 80))
    assert one == clientKey(IPv6Address("TCP", "2001:db8:1:2::9", 99))
    assert one == "2001:db8:1:2::/64"
    assert one != clientKey(IPv6Address("TCP", "2001:db8:1:3::9", 99))
    assert clientKey(IPv6Address("TCP", "::ffff:192.0.2.1", 1)) == "192.0.2.1"
    assert clientKey(UNIXAddress("/run/x")) == "local"
    assert hostOf(UNIXAddress("/run/x")) is None


def test_networks() -> None:
    """An address is in a list of networks if one of them, of the same IP version,
    contains it.
    """
    networks = Networks(["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"])
    inside = ["192.0.2.255", "2001:db8:ffff::1", "198.51.100.7", "::ffff:192.0.2.3"]
    for text in inside:
        assert parseHost(text) in networks
    for text in ["192.0.3.0", "2001:db9::", "198.51.100.8", "::c000:201"]:
        assert parseHost(text) not in networks
    assert None not in networks
    assert networks
    assert not Networks()
    assert parseHost("::") in Networks(["::/0"])
    assert parseHost("0.0.0.0") not in Networks(["::/0"])


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("::ffff:0:0/96", ["192.0.2.1", "::ffff:192.0.2.1"], "2001:db8::1"),
        ("::ffff:192.0.2.0/120", ["192.0.2.255", "::ffff:c000:201"], "192.0.3.0"),
        ("::ffff:192.0.2.1", ["192.0.2.1"], "192.0.2.2"),
        ("::ffff:c000:201/128", ["192.0.2.1"], "192.0.2.2"),
    ],
)
def test_mapped_networks(text: str, inside: list[str], outside: str) -> None:
    """An IPv4-mapped IPv6 network means the IPv4 network, in every option that takes
    a list.
    """
    networks = Networks([text])
    assert all(parseHost(each) in networks for each in inside)
    assert parseHost(outside) not in networks


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("localhost", "give an address"),
        ("::ffff:192.0.2.1/120", "bits set after the prefix"),
        ("192.0.2.1/24", "bits set after the prefix"),
        ("192.0.2.0/33", "give an address"),
    ],
)
def test_no_networks(text: str, reason: str) -> None:
    """An invalid network is an error that says how to write it."""
    with pytest.raises(ValueError, match=reason) as caught:
        Networks([text])
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("address", "place", "local"),
    [
        (UNIXAddress(b"/run/a.sock"), "local", True),
        (UNIXAddress(None), "local", True),
        (OnionAddress("abc.onion", 80), "abc.onion", False),
        (HostnameAddress(b"host.example", 80), "host.example", False),
        (IPv4Address("TCP", "xyz.b32.i2p", 80), "xyz.b32.i2p", False),
        (Nameless(), "Nameless", False),
    ],
)
def test_client_keys_without_hosts(address: IAddress, place: str, local: bool) -> None:
    """Only UNIX sockets are local to this machine.

    Any other kind of address counts as remote, and has its own key.
    """
    assert hostOf(address) is None
    assert clientKey(address) == place
    assert isLocal(address) is local


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (IPv4Address("TCP", "192.0.2.1", 80), "192.0.2.1:80"),
        (IPv6Address("TCP", "2001:db8::1", 80), "[2001:db8::1]:80"),
        (IPv4Address("TCP", "192.0.2.1", 0), "192.0.2.1"),
        (UNIXAddress(b"/run/a.sock"), "unix:/run/a.sock"),
        (UNIXAddress(None), "unix"),
        (OnionAddress("abc.onion", 80), "abc.onion:80"),
        (HostnameAddress(b"host.example", 80), "host.example:80"),
        (Nameless(), "Nameless"),
    ],
)
def test_names(address: IAddress, name: str) -> None:
    """An address is formatted as the log shows it."""
    assert nameOfAddress(address) == name
