"""
Bans: addresses and networks that an operator has blocked for some time.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final, NamedTuple

from twisted.internet.interfaces import IAddress, IReactorTime

from wsplug.errors import OPERATOR, HandshakeRefused
from wsplug.networks import (
    IPV6_PREFIX_LENGTH,
    MAPPED,
    Network,
    hostOf,
    parseHost,
    parseNetwork,
)

__all__ = ["LONGEST_BAN", "MOST_BANS", "Ban", "Bans", "parsePrefix"]

MOST_BANS: Final = 1000
"""
The maximum number of bans at one time.
"""

LONGEST_BAN: Final = 366 * 86400.0
"""
The maximum length of a ban, in seconds.
"""


def parsePrefix(text: str) -> Network:
    """
    Parse the address prefix that is to be banned.

    @param text: a network, or an address. An IPv6 address stands for its first 64 bits
        (L{wsplug.networks.clientKey}).
    @raise ValueError: the text is neither, or the network contains all addresses.
    """
    host = parseHost(text)
    if host is not None:
        prefix = 32 if host.version == 4 else IPV6_PREFIX_LENGTH
        return ip_network(f"{host}/{prefix}", strict=False)
    try:
        network = parseNetwork(text, strict=False)
    except ValueError:
        raise ValueError(
            f"{text[:100]!r} is neither an address nor a network like 192.0.2.0/24"
        ) from None
    if not network.prefixlen:
        raise ValueError(f"{network} contains every address")
    if network.version == 6 and MAPPED.subnet_of(network):
        # Dual-stack sockets report IPv4 clients with addresses in this network.
        raise ValueError(f"{network} contains every IPv4 address")
    return network


def _show(network: Network) -> str:
    """
    Format a network as L{wsplug.networks.clientKey} does: a single IPv4 address has no
    prefix length.
    """
    if network.version == 4 and network.prefixlen == 32:
        return str(network.network_address)
    return str(network)


class Ban(NamedTuple):
    """
    One banned address prefix.

    @ivar prefix: an IPv4 address, or a network.
    @ivar until: when the ban ends, by the clock.
    @ivar note: the reason, for operators. Clients don't see it.
    """

    prefix: str
    until: float
    note: str


class Bans:
    """
    The bans of one server.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._bans: dict[Network, Ban] = {}
        # The prefix lengths in use, by IP version: each costs one look-up.
        self._lengths: dict[int, set[int]] = {4: set(), 6: set()}

    def __len__(self) -> int:
        self._sweep()
        return len(self._bans)

    def __iter__(self) -> Iterator[Ban]:
        """
        Iterate over the bans in force. The one that ends first comes first.
        """
        self._sweep()
        return iter(sorted(self._bans.values(), key=lambda ban: ban.until))

    def add(self, network: Network, seconds: float, note: str = "") -> Ban:
        """
        Add a ban, or change how long an existing one lasts.

        @param network: from L{parsePrefix}.
        @param seconds: how long, from now.
        @raise ValueError: the time is out of range, or there are L{MOST_BANS} already.
        """
        if not 0 < seconds <= LONGEST_BAN:
            raise ValueError(f"a ban lasts from 1 to {LONGEST_BAN:.0f} seconds")
        self._sweep()
        if network not in self._bans and len(self._bans) >= MOST_BANS:
            raise ValueError(f"there are {MOST_BANS} bans, the maximum: lift one first")
        ban = Ban(_show(network), self._clock.seconds() + seconds, note)
        self._bans[network] = ban
        self._lengths[network.version].add(network.prefixlen)
        return ban

    def lift(self, network: Network) -> bool:
        """
        Lift a ban.

        @return: whether there was one.
        """
        self._sweep()
        isThere = self._bans.pop(network, None) is not None
        self._measure()
        return isThere

    def refusalOf(self, client: IAddress) -> HandshakeRefused | None:
        """
        Check whether a client is banned.

        @return: the refusal for it; C{None} if it isn't banned.
        """
        if not self._bans:
            return None
        host = hostOf(client)
        if host is None:
            return None
        now = self._clock.seconds()
        for length in self._lengths[host.version]:
            ban = self._bans.get(ip_network(f"{host}/{length}", strict=False))
            if ban is not None and ban.until > now:
                return HandshakeRefused(403, "this address is banned", setting=OPERATOR)
        return None

    def _sweep(self) -> None:
        now = self._clock.seconds()
        over = [network for network, ban in self._bans.items() if ban.until <= now]
        for network in over:
            del self._bans[network]
        if over:
            self._measure()

    def _measure(self) -> None:
        self._lengths = {
            version: {each.prefixlen for each in self._bans if each.version == version}
            for version in (4, 6)
        }
