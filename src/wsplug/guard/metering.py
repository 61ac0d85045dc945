"""
How many messages and bytes a peer may send: a meter for each connection, and one shared
by all connections of an address or a user.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from wsplug.rates import TokenBucket

__all__ = ["BURST", "Meter", "Rates"]

BURST: Final = 10.0
"""
Seconds' worth of a rate that is allowed at once.
"""


class Rates(NamedTuple):
    """
    The limits of a meter.

    @ivar messages: messages per second.
    @ivar bytes: bytes per second, as they arrive from the network.
    @ivar leastBytes: bytes allowed at once, however low the rate is: a message of the
        maximum size has to fit.
    """

    messages: float
    bytes: float
    leastBytes: float


class Meter:
    """
    Counts messages and bytes against their limits.

    @ivar messages: one token for each message, or for another frame that means work.
    @ivar bytes: one token for each byte.
    """

    __slots__ = ("bytes", "messages")

    def __init__(self, rates: Rates, now: float) -> None:
        """
        @param now: by the clock.
        """
        self.messages = TokenBucket(
            rates.messages, max(rates.messages * BURST, 1.0), now
        )
        self.bytes = TokenBucket(
            rates.bytes, max(rates.bytes * BURST, rates.leastBytes), now
        )
