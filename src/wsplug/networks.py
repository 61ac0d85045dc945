"""
Addresses and networks: the key that per-client limits count by, and lists of networks.
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
    "IPV6_PREFIX_LENGTH",
    "MAPPED",
    "Host",
    "Network",
    "Networks",
    "clientKey",
    "hostOf",
    "isLocal",
    "nameOfAddress",
    "parseHost",
    "parseNetwork",
]

IPV6_PREFIX_LENGTH: Final = 64
"""
The length, in bits, of the IPv6 prefix that counts as one client. A client chooses the
other bits of its address freely.
"""

Network = IPv4Network | IPv6Network

MAPPED: Final = IPv6Network("::ffff:0:0/96")
"""
IPv4-mapped IPv6 addresses (RFC 4291 section 2.5.5.2). L{parseHost} and L{parseNetwork}
turn them into IPv4.
"""

parseHost = parse_host

_KEPT: Final = 1024
"""
Parsed addresses in the cache: each is needed several times while a client connects.
"""

_hostOf = lru_cache(_KEPT)(parse_host)


@lru_cache(_KEPT)
def _keyOfHost(text: str) -> str:
    host = _hostOf(text)
    if host is None:
        return text
    if isinstance(host, IPv6Address):
        free = 128 - IPV6_PREFIX_LENGTH
        return f"{IPv6Address(int(host) >> free << free)}/{IPV6_PREFIX_LENGTH}"
    return str(host)


def hostOf(address: IAddress) -> Host | None:
    """
    Return the IP address of a connection's address.

    @return: C{None} if there is none, as for UNIX sockets.
    """
    host = getattr(address, "host", None)
    return _hostOf(host) if isinstance(host, str) else None


def isLocal(address: IAddress) -> bool:
    """
    Return whether an address is that of a UNIX socket. It names no client, and only
    programs on this machine can connect through it.
    """
    return isinstance(address, UNIXAddress)


def nameOfAddress(address: IAddress) -> str:
    """
    Format an address for the log and error messages: C{127.0.0.1:9000},
    C{[::1]:9000}, or a UNIX socket's path. An unknown port is left out. Other kinds of
    addresses, such as those of onion services, are shown by their name.
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
    Return the name of an address that has neither a host nor a path: an onion service's
    (C{txtorcon}), Twisted's C{HostnameAddress}, or another kind.
    """
    for attribute in ("onion_uri", "hostname"):
        name = getattr(address, attribute, None)
        if isinstance(name, bytes):
            name = name.decode("utf-8", "replace")
        if isinstance(name, str) and name:
            return name
    return type(address).__name__


def clientKey(address: IAddress) -> str:
    """
    Return the key that per-client limits count by: an IPv4 address, or the first
    L{IPV6_PREFIX_LENGTH} bits of an IPv6 address.

    @return: C{"192.0.2.1"}, C{"2001:db8::/64"}, C{"local"} for all UNIX sockets, or the
        name of another kind of address.
    """
    text = getattr(address, "host", None)
    if isinstance(text, str):
        return _keyOfHost(text)
    return "local" if isLocal(address) else _nameOfOther(address)


class Networks:
    """
    A list of networks.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """
        @param networks: C{"192.0.2.0/24"}, C{"2001:db8::/32"}, or single addresses.
        @raise ValueError: an entry is neither; the message names it.
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
    Parse a network. A single address is a network of one. A network of IPv4-mapped
    IPv6 addresses becomes an IPv4 network.

    @param strict: whether bits after the prefix must be zero.
    @raise ValueError: the text is neither.
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
        reason = "its address has bits set after the prefix"
        if "host bits" not in str(error):
            reason = "give an address, or a network like 192.0.2.0/24"
        raise ValueError(f"{text!r} is not a network: {reason}") from None
