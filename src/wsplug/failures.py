"""
Limits on failed attempts: a client that guesses passwords or tokens has to wait, even
if it uses many addresses.
"""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Final, NamedTuple

from twisted.internet.interfaces import IAddress, IReactorTime

from wsplug.networks import clientKey, hostOf
from wsplug.options import UNLIMITED
from wsplug.rates import RateLimiter

__all__ = ["Counters", "Excess", "Failures"]

_NETWORKS: Final = ((56, 4), (48, 16))
"""
The IPv6 prefixes that a site with more than one /64 has (RFC 6177): the length in bits,
and how many times a single client's failures are allowed from the whole prefix.
"""

_EVERYBODY: Final = ""
"""
The key under which the failures of all clients together are counted.
"""

Counters = tuple[tuple[RateLimiter, str, str], ...]
"""
What one failure counts against: a limiter each, with the key in it and the name of the
setting.
"""


class Excess(NamedTuple):
    """
    One failure too many.

    @ivar wait: seconds until the next attempt is allowed.
    @ivar setting: the name of the setting that was exceeded.
    """

    wait: float
    setting: str


class Failures:
    """
    Counts failures: of each client, of the IPv6 networks around it, and of all clients.

    An attempt is counted before it is judged, and refunded if it succeeds. Otherwise a
    client could have one guess in progress on each of its connections.
    """

    def __init__(
        self,
        clock: IReactorTime,
        most: int,
        inAll: int = UNLIMITED,
        *,
        setting: str = "max-auth-failures",
        seconds: float = 60.0,
    ) -> None:
        """
        @param most: failures allowed to one client at once, and every C{seconds}.
        @param inAll: failures allowed to all clients together.
        @param setting: the name of the setting that gives C{most}. The setting that
            gives C{inAll} has the same name with C{-total} appended.
        """
        self._setting = setting
        self._clients = RateLimiter(clock, most / seconds, most)
        self._networks = [
            (bits, RateLimiter(clock, times * most / seconds, times * most))
            for bits, times in _NETWORKS
        ]
        self._all = RateLimiter(clock, inAll / seconds, inAll)

    def countersOf(self, client: IAddress, inAll: bool = False) -> Counters:
        """
        Return what a client's failure counts against.

        @param client: the client's address.
        @param inAll: whether it also counts against the limit for all clients.
        """
        setting = self._setting
        counters = [(self._clients, clientKey(client), setting)]
        host = hostOf(client)
        if isinstance(host, IPv6Address):
            for bits, rate in self._networks:
                counters.append((rate, f"{int(host) >> (128 - bits):x}", setting))
        if inAll:
            counters.append((self._all, _EVERYBODY, f"{setting}-total"))
        return tuple(counters)

    def count(self, counters: Counters) -> Excess | None:
        """
        Count a failure.

        @param counters: from L{countersOf}.
        @return: C{None} if it was counted. Otherwise the limit that it exceeds: refuse
            the attempt without judging it.
        """
        for index, (rate, key, setting) in enumerate(counters):
            wait = rate.take(key)
            if wait:
                self.discount(counters[:index])
                return Excess(wait, setting)
        return None

    def discount(self, counters: Counters) -> None:
        """
        Undo L{count}: the attempt succeeded.
        """
        for rate, key, _ in counters:
            rate.refund(key)
