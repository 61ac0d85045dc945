"""
How much of a channel is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wsplug.errors import PublicationTooLarge

__all__ = [
    "CHANNEL_OVERHEAD",
    "DEFAULT_RETENTION",
    "OVERHEAD",
    "Retention",
    "channelCost",
]

OVERHEAD: Final = 160
"""
Bytes that a publication counts for besides its data: what it takes in memory.
"""

CHANNEL_OVERHEAD: Final = 900
"""
Bytes that a channel counts for besides its name and its publications, as long as it has
any: what it takes in memory.
"""


def channelCost(channel: str) -> int:
    """
    Say what a channel counts for that keeps something, besides that.
    """
    return CHANNEL_OVERHEAD + len(channel.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True)
class Retention:
    """
    What is kept of the past: whichever bound is reached first counts.

    @ivar count: publications of a channel.
    @ivar size: bytes of a channel's, with L{OVERHEAD} for each publication.
    @ivar age: seconds.
    @ivar total: bytes of all channels together, with L{channelCost} for each that keeps
        something. Those that nothing was published in for the longest time forget
        first.
    """

    count: int = 1000
    size: int = 1024 * 1024
    age: float = 86400.0
    total: int = 256 * 1024 * 1024

    def refusalOf(self, channel: str, data: bytes) -> PublicationTooLarge | None:
        """
        Say why a publication can't be kept, if so: one that would be forgotten at once
        isn't stored, whatever its publisher is told.
        """
        most = min(self.size, self.total - channelCost(channel)) - OVERHEAD
        if len(data) > most and self.count > 0:
            return PublicationTooLarge(channel, len(data), max(most, 0))
        return None


DEFAULT_RETENTION: Final = Retention()
"""
What is kept where nothing else was asked for.
"""
