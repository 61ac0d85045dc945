"""
The latest messages of a shared program, which new clients get.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from wsplug import PreparedMessage

__all__ = ["Backlog"]


class Backlog:
    """
    The latest messages, up to a number and a size.
    """

    def __init__(self, count: int, size: int) -> None:
        """
        @param count: messages to keep.
        @param size: bytes that they may have together.
        """
        self._count = count
        self._size = size
        self._messages: deque[PreparedMessage] = deque()
        self._used = 0

    def __iter__(self) -> Iterator[PreparedMessage]:
        return iter(self._messages)

    def add(self, message: PreparedMessage) -> None:
        """
        Add a message, and drop the oldest ones beyond the limits.
        """
        self._messages.append(message)
        self._used += len(message.payload)
        while len(self._messages) > self._count or self._used > self._size:
            self._used -= len(self._messages.popleft().payload)

    def clear(self) -> None:
        """
        Drop all messages.
        """
        self._messages.clear()
        self._used = 0
