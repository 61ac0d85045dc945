"""
How much of a channel is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["DEFAULT_RETENTION", "Retention"]


@dataclass(frozen=True)
class Retention:
    """
    What a channel keeps of its past: whichever bound is reached first counts.

    @ivar count: publications.
    @ivar size: bytes of their data.
    @ivar age: seconds.
    """

    count: int = 1000
    size: int = 1024 * 1024
    age: float = 86400.0


DEFAULT_RETENTION: Final = Retention()
"""
What is kept where nothing else was asked for.
"""
