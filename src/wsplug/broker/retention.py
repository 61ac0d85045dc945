"""
Limits on the history of channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wsplug.errors import PublicationTooLarge

__all__ = [
    "CHANNEL_OVERHEAD",
    "DEFAULT_RETENTION",
    "OVERHEAD",
    "ChannelRetention",
    "Retention",
    "channelCost",
]

OVERHEAD: Final = 160
"""
Bytes of memory that a publication takes besides its data.
"""

_SWEEPS: Final = 8
"""
The number of searches for expired publications within their maximum age.
"""

CHANNEL_OVERHEAD: Final = 900
"""
Bytes of memory that a channel with publications takes besides them and its name.
"""


def channelCost(channel: str) -> int:
    """
    Return the bytes that a channel with publications takes besides them.
    """
    return CHANNEL_OVERHEAD + len(channel.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True)
class ChannelRetention:
    """
    The limits on a channel's history. The first one that is reached applies.

    @ivar count: publications.
    @ivar size: bytes, with L{OVERHEAD} for each publication.
    @ivar age: seconds.
    """

    count: int = 1000
    size: int = 1024 * 1024
    age: float = 86400.0

    def __post_init__(self) -> None:
        if self.count < 0 or self.size < 0 or not self.age > 0:
            raise ValueError(
                "count and size must be 0 or more, and age more than 0, in "
                f"ChannelRetention({self.count}, {self.size}, {self.age})"
            )


@dataclass(frozen=True)
class Retention(ChannelRetention):
    """
    The server's limits on history: for each channel for which an application wants no
    others, and for all together.

    @ivar total: bytes of all channels together, with L{channelCost} for each that has
        publications. The channels that were published to least recently are trimmed
        first.
    """

    total: int = 256 * 1024 * 1024

    @property
    def sweepInterval(self) -> float:
        """
        The seconds between two searches for expired publications.
        """
        return max(1.0, self.age / _SWEEPS)

    def refusalOf(
        self, channel: str, data: bytes, limits: ChannelRetention | None = None
    ) -> PublicationTooLarge | None:
        """
        Check whether a publication fits. One that would be forgotten at once is refused
        instead of stored.

        @param limits: the limits that come with it; C{None} for the server's.
        @return: the error for it; C{None} if it fits.
        """
        if limits is None:
            limits = self
        most = min(limits.size, self.total - channelCost(channel)) - OVERHEAD
        if len(data) > most and limits.count > 0:
            return PublicationTooLarge(channel, len(data), max(most, 0))
        return None


DEFAULT_RETENTION: Final = Retention()
"""
The default limits.
"""
