"""
The bodies of plain HTTP requests: taken within their size, their time and the memory
that the server has for what isn't whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wsplug.codec import BodyParser
from wsplug.errors import HandshakeRefused
from wsplug.server.deadlines import Deadline, Deadlines
from wsplug.transport.memorybudget import MemoryBudget

__all__ = ["MAX_BODY_SIZE", "BodyReader", "PendingBody"]

MAX_BODY_SIZE: Final = 1024 * 1024
"""
Bytes that a request's body may have where nobody says.
"""

_PIECE: Final = 16 * 1024
"""
Bytes of a body that have to come in the time that a head has, until all is there.
"""


class BodyReader:
    """
    Reads one body. It has the time that a head has, and as much again for each
    L{_PIECE} of it.
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
        @param size: the number of bytes that it has; C{None} where it comes in chunks.
        @param limit: bytes that it may have.
        @param seconds: that a head has; 0 for any time.
        @param budget: over what isn't whole in the whole server.
        @param refuse: is called with why it isn't taken. It, or what it calls, calls
            L{stop}.
        """
        self._parser = BodyParser(size, limit)
        self._deadlines = deadlines
        self._seconds = seconds
        self._budget = budget
        self._refuse: Callable[[HandshakeRefused], object] | None = refuse
        self._deadline: Deadline | None = None
        # Bytes that were there when that was set.
        self._before = 0

    @property
    def rest(self) -> bytes:
        """
        What has come behind it, once it is whole.
        """
        return self._parser.rest

    def feed(self, data: bytes) -> bytes | None:
        """
        Take the next bytes.

        @return: the body, once it is whole.
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
        Take no more of it.
        """
        self._refuse = None
        self._deadlines.clear(self._deadline)
        self._deadline = None
        self._budget.reserve(self, 0)

    def shed(self, used: int) -> None:
        """
        The server can't hold all that isn't whole, and most of it is here.
        """
        self._end(
            HandshakeRefused(
                503,
                "the server is full of what is not whole yet",
                headers=[(b"Retry-After", b"10")],
                setting="max-incomplete-total",
            )
        )

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
                f"less than {_PIECE} bytes of a body in {self._seconds:g} seconds",
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
    A body that somebody has to answer to, until it is done with.
    """

    __slots__ = ("_budget",)

    def __init__(self, budget: MemoryBudget, content: bytes) -> None:
        """
        @param budget: over what is held in the whole server.
        """
        self._budget = budget
        budget.reserve(self, len(content))

    def letGo(self) -> None:
        """
        It is held no more.
        """
        self._budget.reserve(self, 0)

    def shed(self, used: int) -> None:
        """
        The server is full. It is an application's, which nobody can take it from:
        those go whose bodies aren't whole.
        """
