"""
How often somebody may be wrong: whoever guesses passwords or tokens has to wait, and
from as many addresses as they have.
"""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Final, NamedTuple

from twisted.internet.interfaces import IAddress, IReactorTime

from wsplug.networks import hostOf, placeOf
from wsplug.options import UNLIMITED
from wsplug.rates import Rate

__all__ = ["Excess", "Failures", "Places"]

_WIDER: Final = ((56, 4), (48, 16))
"""
Bits of an IPv6 address that say whose network it is in, where somebody has more than a
place (RFC 6177), and how many times the failures of a place may be from there.
"""

_EVERYWHERE: Final = ""
"""
The key of all places together.
"""

Places = tuple[tuple[Rate, str, str], ...]
"""
All that a failure is counted for: each with its key, and the setting that it is for.
"""


class Excess(NamedTuple):
    """
    One failure too many.

    @ivar wait: seconds until the next one may be.
    @ivar setting: the name of the one responsible.
    """

    wait: float
    setting: str


class Failures:
    """
    Counts failures: of each place, of the networks that IPv6 places are in, and of all.

    A failure is counted before it is known whether it is one, and given back if it
    isn't: else as many guesses could be under way at one time as there are connections.
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
        @param most: that a place may have at once, and in C{seconds}.
        @param inAll: that all may have.
        @param setting: the name of that which says C{most}; the name of the other one
            has C{-total} behind it.
        """
        self._setting = setting
        self._places = Rate(clock, most / seconds, most)
        self._wider = [
            (bits, Rate(clock, times * most / seconds, times * most))
            for bits, times in _WIDER
        ]
        self._all = Rate(clock, inAll / seconds, inAll)

    def placesOf(self, client: IAddress, inAll: bool = False) -> Places:
        """
        Say what a failure is to be counted for.

        @param client: whose it is.
        @param inAll: whether it is one of those of which there may be so many in all.
        """
        setting = self._setting
        places = [(self._places, placeOf(client), setting)]
        host = hostOf(client)
        if isinstance(host, IPv6Address):
            for bits, rate in self._wider:
                places.append((rate, f"{int(host) >> (128 - bits):x}", setting))
        if inAll:
            places.append((self._all, _EVERYWHERE, f"{setting}-total"))
        return tuple(places)

    def count(self, places: Places) -> Excess | None:
        """
        Count a failure.

        @param places: from L{placesOf}.
        @return: why it isn't counted, if it is one too many: what would have failed
            isn't to be looked at then.
        """
        for index, (rate, key, setting) in enumerate(places):
            wait = rate.take(key)
            if wait:
                self.discount(places[:index])
                return Excess(wait, setting)
        return None

    def discount(self, places: Places) -> None:
        """
        Undo that: it was none.
        """
        for rate, key, _ in places:
            rate.giveBack(key)
