"""
What each address may take up: connections, handshakes, messages and bytes, in all its
connections together.

Each place on the net that has connections has an account, and so has each user whose
name is known. An account outlives its connections by a few seconds, so that nobody
begins anew by connecting again; nothing is kept of a place for longer than that, and
never of more than L{MAX_LINGERING} places.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final, NamedTuple

from twisted.internet.interfaces import IAddress, IReactorTime

from wsplug.errors import HandshakeRefused
from wsplug.guard.metering import BURST, Meter, Rates
from wsplug.networks import Networks, clientKey, hostOf, isLocal
from wsplug.rates import TokenBucket

__all__ = ["EXEMPT", "MAX_LINGERING", "Account", "Admission", "AdmissionLimits"]

EXEMPT: Final = ("127.0.0.1", "::1")
"""
The networks that are exempt by default: the machine itself, which shoots nobody but
itself in the foot, and whose proxies speak for everybody.
"""

MAX_LINGERING: Final = 65_536
"""
Accounts without a connection that are kept at most.
"""


class AdmissionLimits(NamedTuple):
    """
    What an account may take up.

    @ivar connections: at one time.
    @ivar handshakes: a second.
    @ivar rates: of all its connections together; C{None} for no limit.
    @ivar coolDown: seconds for which nobody gets in after too many messages or bytes.
    """

    connections: int
    handshakes: float
    rates: Rates | None
    coolDown: float


class Account:
    """
    What one place or user takes up.

    @ivar key: which one it is.
    @ivar connections: how many it has.
    @ivar meter: of all of them; C{None} for no limit.
    """

    __slots__ = (
        "_coolUntil",
        "_handshakes",
        "_limits",
        "connections",
        "key",
        "meter",
    )

    def __init__(self, key: str, limits: AdmissionLimits, now: float) -> None:
        self.key = key
        self.connections = 0
        self.meter = None if limits.rates is None else Meter(limits.rates, now)
        self._limits = limits
        self._handshakes = TokenBucket(
            limits.handshakes, limits.handshakes * BURST, now
        )
        self._coolUntil = -math.inf

    def cool(self, now: float) -> None:
        """
        Let nobody in for a while: too much came.
        """
        self._coolUntil = now + self._limits.coolDown

    def judge(self, now: float) -> HandshakeRefused | None:
        """
        Count a handshake.

        @return: the refusal that answers it where it is one too many.
        """
        limits = self._limits
        # Further away than it ever was: the machine's clock was set back.
        self._coolUntil = min(self._coolUntil, now + limits.coolDown)
        cooling = self._coolUntil - now
        if cooling > 0.0:
            return _refuse("too much came from here", cooling, "cool-down")
        wait = self._handshakes.take(now)
        if wait:
            return _refuse(
                "too many handshakes from here", wait, "max-address-handshake-rate"
            )
        if self.connections >= limits.connections:
            return _refuse(
                "too many connections from here", BURST, "max-address-connections"
            )
        return None

    def restsUntil(self, now: float) -> float:
        """
        Say when it is as if nothing had ever come from there.
        """
        return max(now + BURST, self._coolUntil)


def _refuse(reason: str, seconds: float, setting: str) -> HandshakeRefused:
    """
    Refuse for too many requests (RFC 6585 section 4).
    """
    wait = str(max(1, math.ceil(seconds))).encode("ascii")
    return HandshakeRefused(
        429, reason, headers=[(b"Retry-After", wait)], setting=setting
    )


class Admission:
    """
    The accounts of one server.
    """

    def __init__(
        self, clock: IReactorTime, limits: AdmissionLimits, exempt: Networks
    ) -> None:
        """
        @param exempt: networks from which anything may come.
        """
        self._clock = clock
        self._limits = limits
        self._exempt = exempt
        self._accounts: dict[str, Account] = {}
        # Those without a connection, by when they are of no interest any more.
        self._lingering: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._accounts)

    def enter(self, address: IAddress) -> Account | None:
        """
        Let a connection in.

        @param address: the client's.
        @return: the account that it is on, for L{leave}; C{None} where it needs none:
            it is exempt, or comes over a UNIX socket, which has no address.
        @raise HandshakeRefused: it is one too many; status 429.
        """
        if isLocal(address) or hostOf(address) in self._exempt:
            return None
        return self._enter(clientKey(address))

    def enterAs(self, name: str, address: IAddress) -> Account | None:
        """
        Let a connection in whose user is known: it is on the user's account, and on
        no address'.

        @param name: the user's.
        @param address: the client's, which may be exempt.
        @return: as L{enter}.
        @raise HandshakeRefused: as L{enter}.
        """
        if hostOf(address) in self._exempt:
            return None
        return self._enter(f"user {name}")

    def _enter(self, key: str) -> Account:
        now = self._clock.seconds()
        self._forget(now)
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = Account(key, self._limits, now)
        self._lingering.pop(key, None)
        refusal = account.judge(now)
        if refusal is None:
            account.connections += 1
            return account
        self._linger(account, now)
        raise refusal

    def leave(self, account: Account) -> None:
        """
        Take a connection off its account.
        """
        account.connections -= 1
        self._linger(account, self._clock.seconds())

    def _linger(self, account: Account, now: float) -> None:
        if account.connections:
            return
        self._lingering[account.key] = account.restsUntil(now)
        if len(self._lingering) > MAX_LINGERING:
            key, _ = self._lingering.popitem(last=False)
            del self._accounts[key]

    def _forget(self, now: float) -> None:
        """
        Forget accounts whose time has come. They are in order but for those that are
        to cool down, which may hold a few others up.
        """
        while self._lingering:
            key, until = next(iter(self._lingering.items()))
            # Far away is what was noted before the machine's clock was set back.
            if now < until <= now + BURST + self._limits.coolDown:
                return
            del self._lingering[key]
            del self._accounts[key]
