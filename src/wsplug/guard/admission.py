"""
Limits per address: connections, handshakes, messages and bytes, for all its connections
together.

Each client key (L{wsplug.networks.clientKey}) with connections has an account, and so
has each logged-in user. An account outlives its connections by a few seconds, so that
reconnecting doesn't reset its limits. At most L{MAX_LINGERING} accounts are kept like
that.
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
The networks that are exempt by default: the machine itself. A proxy on it connects for
all its clients.
"""

MAX_LINGERING: Final = 65_536
"""
The maximum number of accounts without a connection.
"""


class AdmissionLimits(NamedTuple):
    """
    The limits of an account.

    @ivar connections: connections at one time.
    @ivar handshakes: handshakes per second.
    @ivar rates: messages and bytes of all its connections together; C{None} for no
        limit.
    @ivar coolDown: seconds for which handshakes are refused after too many messages or
        bytes.
    """

    connections: int
    handshakes: float
    rates: Rates | None
    coolDown: float


class Account:
    """
    What one client key or user uses.

    @ivar key: the client key, or the user.
    @ivar connections: the number of its connections.
    @ivar meter: counts their messages and bytes together; C{None} for no limit.
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
        Refuse handshakes for a while, because of too many messages or bytes.
        """
        self._coolUntil = now + self._limits.coolDown

    def judge(self, now: float) -> HandshakeRefused | None:
        """
        Count a handshake.

        @return: the refusal, if it exceeds a limit.
        """
        limits = self._limits
        # A longer cool-down means that the clock was set back.
        self._coolUntil = min(self._coolUntil, now + limits.coolDown)
        cooling = self._coolUntil - now
        if cooling > 0.0:
            return _refuse("too much traffic from this client", cooling, "cool-down")
        wait = self._handshakes.take(now)
        if wait:
            return _refuse(
                "too many handshakes from this client",
                wait,
                "max-address-handshake-rate",
            )
        if self.connections >= limits.connections:
            return _refuse(
                "too many connections from this client",
                BURST,
                "max-address-connections",
            )
        return None

    def expiresAt(self, now: float) -> float:
        """
        Return when the account can be forgotten: a new one would be the same.
        """
        return max(now + BURST, self._coolUntil)


def _refuse(reason: str, seconds: float, setting: str) -> HandshakeRefused:
    """
    Make a refusal for too many requests (RFC 6585 section 4).
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
        @param exempt: networks without limits.
        """
        self._clock = clock
        self._limits = limits
        self._exempt = exempt
        self._accounts: dict[str, Account] = {}
        # Accounts without a connection, with the time at which they are forgotten.
        self._lingering: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._accounts)

    def enter(self, address: IAddress) -> Account | None:
        """
        Admit a connection.

        @param address: the client's.
        @return: its account, for L{leave}; C{None} if the client is exempt, or comes
            over a UNIX socket, which has no address.
        @raise HandshakeRefused: it exceeds a limit; status 429.
        """
        if isLocal(address) or hostOf(address) in self._exempt:
            return None
        return self._enter(clientKey(address))

    def enterAs(self, name: str, address: IAddress) -> Account | None:
        """
        Admit a connection of a logged-in user. It counts for the user's account instead
        of the address's.

        @param name: the user's.
        @param address: the client's, which may be exempt.
        @return: as from L{enter}.
        @raise HandshakeRefused: as from L{enter}.
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
        Remove a connection from its account.
        """
        account.connections -= 1
        self._linger(account, self._clock.seconds())

    def _linger(self, account: Account, now: float) -> None:
        if account.connections:
            return
        self._lingering[account.key] = account.expiresAt(now)
        if len(self._lingering) > MAX_LINGERING:
            key, _ = self._lingering.popitem(last=False)
            del self._accounts[key]

    def _forget(self, now: float) -> None:
        """
        Forget accounts whose time has come. They are in order, except that one with a
        cool-down may delay those after it.
        """
        while self._lingering:
            key, until = next(iter(self._lingering.items()))
            # A time too far ahead was noted before the clock was set back.
            if now < until <= now + BURST + self._limits.coolDown:
                return
            del self._lingering[key]
            del self._accounts[key]
