"""
How much of a channel is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wsplug.errors import PublicationTooLarge

__all__ = ["DEFAULT_RETENTION", "OVERHEAD", "Retention"]

OVERHEAD: Final = 256
"""
Bytes that a publication counts for besides its data: else any number of empty ones
could be kept.
"""


@dataclass(frozen=True)
class Retention:
    """
    What is kept of the past: whichever bound is reached first counts.

    @ivar count: publications of a channel.
    @ivar size: bytes of a channel's, with L{OVERHEAD} for each publication.
    @ivar age: seconds.
    @ivar total: bytes of all channels together, counted in the same way. Those that
        nothing was published in for the longest time forget first.
    """

    count: int = 1000
    size: int = 1024 * 1024
    age: float = 86400.0
    total: int = 256 * 1024 * 1024

    def checkSize(self, channel: str, data: bytes) -> None:
        """
        Check that a publication can be kept: one that would be forgotten at once isn't
        stored, whatever its publisher is told.

        @raise PublicationTooLarge: it can't be.
        """
        most = min(self.size, self.total) - OVERHEAD
        if len(data) > most and self.count > 0:
            raise PublicationTooLarge(channel, len(data), max(most, 0))


DEFAULT_RETENTION: Final = Retention()
"""
What is kept where nothing else was asked for.
"""
