"""
Receives the bodies of plain HTTP requests, within the limits on their size, their time
and the server's memory for incomplete messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wsplug.codec import BodyParser
from wsplug.errors import HandshakeRefused
from wsplug.server.deadlines import Deadline, Deadlines
from wsplug.transport.memorybudget import MemoryBudget

__all__ = ["MAX_BODY_SIZE", "BodyReader", "PendingBody", "outOfMemory"]

MAX_BODY_SIZE: Final = 1024 * 1024
"""
The default limit on a request's body, in bytes.
"""

_PIECE: Final = 16 * 1024
"""
The minimum of bytes of an incomplete body that have to arrive in each period of
C{open-timeout}.
"""


def outOfMemory(what: str) -> HandshakeRefused:
    """
    Make the refusal of a request that C{max-incomplete-total} leaves no memory for.

    @param what: what there is too much of, in the plural.
    """
    return HandshakeRefused(
        503,
        f"the server has no memory for more {what}",
        headers=[(b"Retry-After", b"10")],
        setting="max-incomplete-total",
    )


class BodyReader:
    """
    Receives one body. It may take as long as a head, and as long again for each
    L{_PIECE} received.
    """

    __slots__ = (
        "_before",
        "_budget",
        "_deadline",
        "_deadlines",
        "_parser",
        "_refuse",
        "_seconds",
    )

    def __init__(
        self,
        size: int | None,
        limit: int,
        *,
        deadlines: Deadlines,
        seconds: float,
        budget: MemoryBudget,
        refuse: Callable[[HandshakeRefused], object],
    ) -> None:
        """
        @param size: the size of the body, in bytes; C{None} if it is chunked.
        @param limit: the limit on the body, in bytes.
        @param seconds: the time for a head, in seconds; 0 for no limit.
        @param budget: the server's memory budget for incomplete messages.
        @param refuse: called with the refusal, if the body isn't accepted. It has to
            lead to a call of L{stop}.
        """
        self._parser = BodyParser(size, limit)
        self._deadlines = deadlines
        self._seconds = seconds
        self._budget = budget
        self._refuse: Callable[[HandshakeRefused], object] | None = refuse
        self._deadline: Deadline | None = None
        # The bytes that had arrived when the deadline was set.
        self._before = 0

    @property
    def rest(self) -> bytes:
        """
        The bytes after the complete body. If the body is incomplete, the bytes that
        L{feed} has to get again, after other connections have had their turn.
        """
        return self._parser.rest

    def feed(self, data: bytes) -> bytes | None:
        """
        Process the next bytes.

        @return: the body, if it is complete; else C{None}.
        """
        parser, refuse = self._parser, self._refuse
        result = parser.feed(data) if data else None
        if result is None:
            if self._deadline is None:
                self._await()
            self._budget.reserve(self, parser.received)
            return None
        self.stop()
        if isinstance(result, HandshakeRefused):
            if refuse is not None:
                refuse(result)
            return None
        return result

    def stop(self) -> None:
        """
        Stop receiving the body.
        """
        self._refuse = None
        self._deadlines.clear(self._deadline)
        self._deadline = None
        self._budget.reserve(self, 0)

    def shed(self, used: int) -> None:
        """
        Refuse the body: the budget is exceeded, and this is its largest part.
        """
        self._end(outOfMemory("incomplete messages"))

    def _await(self) -> None:
        self._before = self._parser.received
        if self._seconds:
            self._deadline = self._deadlines.set(self._seconds, self._timedOut)

    def _timedOut(self) -> None:
        self._deadline = None
        if self._parser.received - self._before >= _PIECE:
            self._await()
            return
        self._end(
            HandshakeRefused(
                408,
                f"less than {_PIECE} bytes of the body in {self._seconds:g} seconds",
                setting="open-timeout",
            )
        )

    def _end(self, refusal: HandshakeRefused) -> None:
        refuse = self._refuse
        self.stop()
        if refuse is not None:
            refuse(refusal)


class PendingBody:
    """
    The memory of a complete body that an application has until it has answered.
    """

    __slots__ = ("_budget", "_size")

    def __init__(self, budget: MemoryBudget, content: bytes) -> None:
        """
        @param budget: the server's memory budget for incomplete messages. The body has
            to be claimable.
        """
        self._budget = budget
        self._size = len(content)
        budget.claim(self._size)

    def letGo(self) -> None:
        """
        Give the memory back.
        """
        size, self._size = self._size, 0
        if size:
            self._budget.release(size)
