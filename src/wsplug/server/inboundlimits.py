"""
Limits on a connection's input: the messages and bytes per second, of the connection and
of its account; the work for compressed messages and fragments before other connections
get their turn; and the memory of incomplete messages.
"""

from __future__ import annotations

from typing import Final, Protocol

from wsplug.codec.closecodes import CloseCode
from wsplug.errors import Side
from wsplug.guard.admission import Account
from wsplug.guard.metering import Meter
from wsplug.server.closehandshake import CloseHandshake
from wsplug.server.inputgate import PAUSED_BY_WORK, InputGate
from wsplug.server.scheduler import FairScheduler
from wsplug.transport.memorybudget import MemoryBudget

__all__ = ["InboundLimits", "LimitsOwner"]

_SHARE: Final = 512 * 1024
"""
The bytes of decompressed messages before other connections get their turn.
"""

_FRAGMENT: Final = 1024
"""
The bytes of a share that a fragment uses, however small it is: it means as much work.
"""

_UNCOUNTED: Final = 4096
"""
The bytes of an incomplete message up to which it isn't counted.
"""


class LimitsOwner(Protocol):
    """
    The connection that is closed when it exceeds a limit.
    """

    gate: InputGate
    isOpen: bool

    @property
    def closing(self) -> CloseHandshake:
        """The closing handshake."""


class InboundLimits:
    """
    The limits of one connection's input, and what was counted against them.

    @ivar account: the account of the address or the user; C{None} if no limit applies.
    @ivar isMetered: whether messages and bytes are limited.
    """

    __slots__ = (
        "_budget",
        "_incomplete",
        "_meter",
        "_owner",
        "_scheduler",
        "_share",
        "_shared",
        "_yields",
        "account",
        "isMetered",
    )

    def __init__(
        self,
        owner: LimitsOwner,
        *,
        account: Account | None,
        meter: Meter | None,
        budget: MemoryBudget,
        scheduler: FairScheduler,
    ) -> None:
        """
        @param owner: kept until L{end}.
        @param account: see the attribute.
        @param meter: the meter of this connection alone; C{None} for no limit.
        @param budget: for the incomplete messages of all connections.
        @param scheduler: resumes busy connections in turn.
        """
        self._owner: LimitsOwner | None = owner
        self.account: Account | None = account
        self._meter = meter
        self._shared = None if account is None else account.meter
        self.isMetered = meter is not None or self._shared is not None
        self._scheduler = scheduler
        self._share = _SHARE
        self._yields = False
        self._budget = budget
        # The bytes that are reserved in the budget.
        self._incomplete = 0

    def changeAccount(self, account: Account) -> None:
        """
        Move to another account.
        """
        self.account = account
        self._shared = account.meter
        self.isMetered = self._meter is not None or self._shared is not None

    def takeBytes(self, size: int, now: float) -> None:
        """
        Count the bytes of one read, and start a new share.

        @param size: the number of bytes.
        @param now: by the clock.
        """
        self._share = _SHARE
        if self.isMetered:
            self._meterBytes(size, now)

    def takeMessage(self, now: float) -> None:
        """
        Count a message, or a control frame.
        """
        if self._meter is not None and not self._meter.messages.spend(1.0, now):
            self._exceed("messages", "max-", now)
        elif self._shared is not None and not self._shared.messages.spend(1.0, now):
            self._exceed("messages", "max-address-", now)

    def takeInflated(self, size: int, now: float) -> None:
        """
        Count the decompressed size of a message: a few bytes from the network can mean
        a lot of work.
        """
        if self.isMetered:
            self._meterBytes(size, now)
        self._spend(size)

    def takeFragments(self, count: int) -> None:
        """
        Count fragments. Each may have one byte, or none.
        """
        self._spend(count * _FRAGMENT)

    def _spend(self, size: int) -> None:
        self._share -= size
        if self._share < 0 and not self._yields:
            owner = self._owner
            if owner is not None and owner.isOpen:
                self._yields = True
                owner.gate.pause(PAUSED_BY_WORK)
                self._scheduler.add(self)

    def resume(self) -> None:
        """
        Start the next share.
        """
        self._share = _SHARE
        self._yields = False
        owner = self._owner
        if owner is None:
            return
        try:
            owner.gate.resume(PAUSED_BY_WORK)
        except BaseException:
            # Otherwise it would stay paused forever: keepalive doesn't apply then.
            owner.closing.abort(CloseCode.INTERNAL_ERROR, "internal error", Side.SERVER)
            raise

    def reserve(self, size: int) -> None:
        """
        Reserve memory in the budget for an incomplete message.

        @param size: the number of bytes.
        """
        if size <= _UNCOUNTED:
            size = 0
        if size != self._incomplete:
            self._incomplete = size
            self._budget.reserve(self, size)

    def shed(self, used: int) -> None:
        """
        Close the connection: the budget for incomplete messages is exceeded, and this
        connection uses most of it.
        """
        if self._owner is not None:
            self._owner.closing.exceed(
                CloseCode.TRY_AGAIN_LATER,
                f"the server's memory for incomplete messages is full; {used} bytes",
                "max-incomplete-total",
            )
        self.reserve(0)

    def end(self) -> None:
        """
        Release everything: no more input will arrive.
        """
        self._owner = None
        self.reserve(0)

    def _meterBytes(self, size: int, now: float) -> None:
        if self._meter is not None and not self._meter.bytes.spend(size, now):
            self._exceed("bytes", "max-", now)
        elif self._shared is not None and not self._shared.bytes.spend(size, now):
            self._exceed("bytes", "max-address-", now)

    def _exceed(self, what: str, prefix: str, now: float) -> None:
        if self.account is not None:
            self.account.cool(now)
        where = " from this address" if prefix == "max-address-" else ""
        if self._owner is not None:
            self._owner.closing.exceed(
                CloseCode.POLICY_VIOLATION,
                f"too many {what}{where}",
                f"{prefix}{what.removesuffix('s')}-rate",
            )
