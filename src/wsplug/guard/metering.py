"""
How many messages and bytes somebody may send: a meter for each connection, and one for
all connections of an address or a user.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["BURST", "Meter", "Rates"]

BURST: Final = 10.0
"""
Seconds' worth that may come at once from somebody who has been quiet.
"""


class Rates(NamedTuple):
    """
    What is allowed.

    @ivar messages: a second.
    @ivar bytes: a second, as they come from the network.
    @ivar leastBytes: that may come at once, however few are allowed a second: a whole
        message has to be possible.
    """

    messages: float
    bytes: float
    leastBytes: float


class Meter:
    """
    Counts down what is still allowed. It looks at the clock only when nothing is, so
    that counting is one subtraction for each message.

    @ivar exhausted: what there was too much of: C{"messages"} or C{"bytes"}; empty
        where there wasn't.
    """

    __slots__ = (
        "_at",
        "_byteBurst",
        "_byteRate",
        "_bytes",
        "_messageBurst",
        "_messageRate",
        "_messages",
        "exhausted",
    )

    def __init__(self, rates: Rates, now: float) -> None:
        """
        @param now: by the clock.
        """
        self._at = now
        self._messageRate: float = rates.messages
        self._messageBurst: float = max(rates.messages * BURST, 1.0)
        self._byteRate: float = rates.bytes
        self._byteBurst: float = max(rates.bytes * BURST, rates.leastBytes)
        self._messages: float = self._messageBurst
        self._bytes: float = self._byteBurst
        self.exhausted = ""

    def takeMessage(self, now: float) -> bool:
        """
        Count a message, or another frame that means work.

        @param now: by the clock.
        @return: whether it is within what is allowed.
        """
        self._messages -= 1.0
        return self._messages >= 0.0 or self._refill(now)

    def takeBytes(self, size: int, now: float) -> bool:
        """
        Count bytes.

        @param now: by the clock.
        @return: whether they are within what is allowed.
        """
        self._bytes -= size
        return self._bytes >= 0.0 or self._refill(now)

    def _refill(self, now: float) -> bool:
        """
        Add what time has brought since the last time that somebody looked.
        """
        # No less than nothing: a machine's clock may be set back.
        passed = max(now - self._at, 0.0)
        self._at = now
        self._messages = min(
            self._messageBurst, self._messages + passed * self._messageRate
        )
        self._bytes = min(self._byteBurst, self._bytes + passed * self._byteRate)
        if self._messages < 0.0:
            self.exhausted = "messages"
        elif self._bytes < 0.0:
            self.exhausted = "bytes"
        else:
            self.exhausted = ""
        return not self.exhausted
