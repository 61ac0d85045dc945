"""
Who may not come in for a while, because an operator says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final, NamedTuple

from twisted.internet.interfaces import IAddress, IReactorTime

from wsplug.errors import HandshakeRefused
from wsplug.networks import MAPPED, PLACE_BITS, Network, hostOf, parseHost, parseNetwork

__all__ = ["LONGEST_BAN", "MOST_BANS", "Ban", "Bans", "parsePlace"]

MOST_BANS: Final = 1000
"""
Bans that there can be at one time: each connection is compared with those of networks.
"""

LONGEST_BAN: Final = 366 * 86400.0
"""
Seconds that a ban may last.
"""


def parsePlace(text: str) -> Network:
    """
    Read what is to be banned.

    @param text: an address, which stands for its place (L{wsplug.networks.placeOf}): an
        IPv4 address, or the first 64 bits of an IPv6 one; or a network.
    @raise ValueError: it is neither, or a network of everybody.
    """
    host = parseHost(text)
    if host is not None:
        prefix = 32 if host.version == 4 else PLACE_BITS
        return ip_network(f"{host}/{prefix}", strict=False)
    try:
        network = parseNetwork(text, strict=False)
    except ValueError:
        raise ValueError(
            f"{text[:100]!r} is no address, and no network like 192.0.2.0/24"
        ) from None
    if not network.prefixlen:
        raise ValueError(f"{network} is everybody")
    if network.version == 6 and MAPPED.subnet_of(network):
        # It isn't meant: where IPv6 sockets write them so, it would be all of them.
        raise ValueError(f"{network} is everybody with an IPv4 address, too")
    return network


def _show(network: Network) -> str:
    """
    Write a network as L{wsplug.networks.placeOf} does: one IPv4 address has no length.
    """
    if network.version == 4 and network.prefixlen == 32:
        return str(network.network_address)
    return str(network)


class Ban(NamedTuple):
    """
    One place that is banned.

    @ivar place: an IPv4 address, or a network.
    @ivar until: when it ends, by the clock.
    @ivar note: why, for operators; clients aren't told.
    """

    place: str
    until: float
    note: str


class Bans:
    """
    The places that are banned.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._bans: dict[Network, Ban] = {}
        # How long the networks' prefixes are: an address is looked up once for each.
        self._lengths: dict[int, set[int]] = {4: set(), 6: set()}

    def __len__(self) -> int:
        self._sweep()
        return len(self._bans)

    def __iter__(self) -> Iterator[Ban]:
        """
        Give those that there are, the one that ends first at the beginning.
        """
        self._sweep()
        return iter(sorted(self._bans.values(), key=lambda ban: ban.until))

    def add(self, network: Network, seconds: float, note: str = "") -> Ban:
        """
        Ban a place, or change how long it is banned for.

        @param network: from L{parsePlace}.
        @param seconds: from now.
        @raise ValueError: that is no time, or there are L{MOST_BANS} already.
        """
        if not 0 < seconds <= LONGEST_BAN:
            raise ValueError(f"a ban takes from 1 to {LONGEST_BAN:.0f} seconds")
        self._sweep()
        if network not in self._bans and len(self._bans) >= MOST_BANS:
            raise ValueError(f"there are {MOST_BANS} bans, the most: lift one first")
        ban = Ban(_show(network), self._clock.seconds() + seconds, note)
        self._bans[network] = ban
        self._lengths[network.version].add(network.prefixlen)
        return ban

    def lift(self, network: Network) -> bool:
        """
        Ban it no more.

        @return: whether it was.
        """
        self._sweep()
        isThere = self._bans.pop(network, None) is not None
        self._measure()
        return isThere

    def refusalOf(self, client: IAddress) -> HandshakeRefused | None:
        """
        Judge a client.

        @return: the refusal that it gets; C{None} where it isn't banned.
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
                return HandshakeRefused(
                    403, "this address is banned", setting="operator"
                )
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
