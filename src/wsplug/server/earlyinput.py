"""
The bytes that arrive while applications start, or while one is asked about a handshake.
"""

from __future__ import annotations

from collections.abc import Callable

from wsplug.errors import HandshakeRefused
from wsplug.server.http.bodies import outOfMemory
from wsplug.transport.memorybudget import MemoryBudget

__all__ = ["EarlyInput"]


class EarlyInput:
    """
    Keeps these bytes of one connection, and counts them towards the memory budget.
    """

    __slots__ = ("_budget", "_data", "_refuse")

    def __init__(
        self, budget: MemoryBudget, refuse: Callable[[HandshakeRefused], object]
    ) -> None:
        """
        @param budget: the server's memory budget for incomplete messages.
        @param refuse: called with the refusal if the budget is exceeded. It is referred
            to until L{stop}.
        """
        self._budget = budget
        self._refuse: Callable[[HandshakeRefused], object] | None = refuse
        self._data = b""

    def __bool__(self) -> bool:
        return bool(self._data)

    def add(self, data: bytes) -> None:
        """
        Keep more bytes. L{count} has to be called if they have to wait.
        """
        self._data += data

    def count(self) -> None:
        """
        Count the bytes towards the memory budget, which may refuse the request.
        """
        if self._data:
            self._budget.reserve(self, len(self._data))

    def take(self) -> bytes:
        """
        Return the bytes, and keep them no longer.
        """
        data, self._data = self._data, b""
        if data:
            self._budget.reserve(self, 0)
        return data

    def shed(self, used: int) -> None:
        """
        Refuse the request: the budget is exceeded, and this is its largest part.
        """
        self.take()
        if self._refuse is not None:
            self._refuse(outOfMemory("waiting requests"))

    def stop(self) -> None:
        """
        Release the bytes: the connection is lost.
        """
        self.take()
        self._refuse = None
