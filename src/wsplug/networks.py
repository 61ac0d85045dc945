"""
Addresses and networks: what counts as one place on the net, and which places are meant
by a list of networks.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)
from typing import Final

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IAddress

from wsplug.codec.hosts import Host, parse_host

__all__ = [
    "MAPPED",
    "PLACE_BITS",
    "Host",
    "Network",
    "Networks",
    "hostOf",
    "isLocal",
    "nameOfAddress",
    "parseHost",
    "parseNetwork",
    "placeOf",
]

PLACE_BITS: Final = 64
"""
Bits of an IPv6 address that say whose it is; of the rest everybody has as many as they
like.
"""

Network = IPv4Network | IPv6Network

MAPPED: Final = IPv6Network("::ffff:0:0/96")
"""
IPv4 addresses in IPv6's clothes (RFC 4291 section 2.5.5.2): L{parseHost} makes IPv4
addresses of those, and so do networks.
"""

parseHost = parse_host

_KEPT: Final = 1024
"""
Addresses of which is remembered what they are: each is asked for several times while a
client connects.
"""

_hostOf = lru_cache(_KEPT)(parse_host)


@lru_cache(_KEPT)
def _placeOf(text: str) -> str:
    host = _hostOf(text)
    if host is None:
        return text
    if isinstance(host, IPv6Address):
        free = 128 - PLACE_BITS
        return f"{IPv6Address(int(host) >> free << free)}/{PLACE_BITS}"
    return str(host)


def hostOf(address: IAddress) -> Host | None:
    """
    Give the host of a connection's address.

    @return: C{None} where there is none, as for UNIX sockets.
    """
    host = getattr(address, "host", None)
    return _hostOf(host) if isinstance(host, str) else None


def isLocal(address: IAddress) -> bool:
    """
    Tell whether a connection's address is a UNIX socket: it leads to nobody, and only
    programs on this machine have one.
    """
    return isinstance(address, UNIXAddress)


def nameOfAddress(address: IAddress) -> str:
    """
    Write an address, as the log and error messages do: C{127.0.0.1:9000},
    C{[::1]:9000}, or a UNIX socket's path; without the port where it isn't known. Of
    other kinds of addresses, as of onion services, it is what they have for a name.
    """
    host = getattr(address, "host", None)
    if host is None:
        if isinstance(address, UNIXAddress):
            path = address.name
            return f"unix:{path.decode('utf-8', 'replace')}" if path else "unix"
        host = _nameOfOther(address)
    port = getattr(address, "port", 0) or getattr(address, "onion_port", 0)
    if not port:
        return str(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _nameOfOther(address: object) -> str:
    """
    Give the name of what has neither a host nor a path: an onion service's address, as
    those of C{txtorcon}'s endpoints, a C{HostnameAddress} of Twisted's, or any other.
    """
    for attribute in ("onion_uri", "hostname"):
        name = getattr(address, attribute, None)
        if isinstance(name, bytes):
            name = name.decode("utf-8", "replace")
        if isinstance(name, str) and name:
            return name
    return type(address).__name__


def placeOf(address: IAddress) -> str:
    """
    Say what counts as one place on the net: an IPv4 address, or the first
    L{PLACE_BITS} of an IPv6 one.

    @return: C{"192.0.2.1"}, C{"2001:db8::/64"}, C{"local"} for all UNIX sockets, or the
        name of what has another kind of address.
    """
    text = getattr(address, "host", None)
    if isinstance(text, str):
        return _placeOf(text)
    return "local" if isLocal(address) else _nameOfOther(address)


class Networks:
    """
    A list of networks.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """
        @param networks: C{"192.0.2.0/24"}, C{"2001:db8::/32"}, or single addresses.
        @raise ValueError: one is none of those; the message says which.
        """
        self._networks = [_parseExactly(network) for network in networks]

    def __contains__(self, host: Host | None) -> bool:
        return host is not None and any(
            host.version == network.version and host in network
            for network in self._networks
        )

    def __bool__(self) -> bool:
        return bool(self._networks)


def parseNetwork(text: str, strict: bool = True) -> Network:
    """
    Read a network, or an address, which is one of its own. One of IPv4 addresses that
    are written as IPv6 addresses is an IPv4 network.

    @param strict: whether no bits may be set behind its prefix.
    @raise ValueError: it is none.
    """
    network = ip_network(text, strict)
    if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
        first = IPv4Address(int(network.network_address) & 0xFFFFFFFF)
        return IPv4Network((first, network.prefixlen - MAPPED.prefixlen))
    return network


def _parseExactly(text: str) -> Network:
    try:
        return parseNetwork(text)
    except ValueError as error:
        reason = "its address has bits behind its prefix"
        if "host bits" not in str(error):
            reason = "say an address, or a network like 192.0.2.0/24"
        raise ValueError(f"{text!r} is no network: {reason}") from None
