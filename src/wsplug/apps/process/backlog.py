"""
What a program with many clients has printed last, for those who come late.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from wsplug import PreparedMessage

__all__ = ["Backlog"]


class Backlog:
    """
    The last messages, up to a number and a size.
    """

    def __init__(self, count: int, size: int) -> None:
        """
        @param count: how many messages are kept.
        @param size: how many bytes they may have together.
        """
        self._count = count
        self._size = size
        self._messages: deque[PreparedMessage] = deque()
        self._held = 0

    def __iter__(self) -> Iterator[PreparedMessage]:
        return iter(self._messages)

    def add(self, message: PreparedMessage) -> None:
        """
        Keep a message, and forget the oldest that are too many.
        """
        self._messages.append(message)
        self._held += len(message.payload)
        while len(self._messages) > self._count or self._held > self._size:
            self._held -= len(self._messages.popleft().payload)

    def clear(self) -> None:
        """
        Forget all.
        """
        self._messages.clear()
        self._held = 0
