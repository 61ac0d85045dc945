"""
What a connection has to send to a client of pages: handed over in pieces, so that it is
known whether the client reads, and that it isn't waited for longer than for a
WebSocket's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from wsplug.server.deadlines import Deadline, Deadlines
from wsplug.transport.memorybudget import MemoryBudget

__all__ = ["PageOutput"]

_PIECE: Final = 64 * 1024
"""
Bytes that the transport is given at a time: as many as it has when it says that it has
enough. So no more than two of these are to be read until it has room again.
"""


class PageOutput:
    """
    The bytes that wait.

    @ivar blocked: whether the transport has enough.
    """

    def __init__(
        self,
        transport: Any,
        deadlines: Deadlines,
        seconds: float,
        budget: MemoryBudget,
        cutOff: Callable[[str, str], object],
    ) -> None:
        """
        @param transport: an C{ITransport} that says when it has enough, through
            L{pause} and L{resume}.
        @param seconds: for which the transport may have enough; 0 for ever.
        @param budget: over what waits in the whole server.
        @param cutOff: is called with the reason and the setting behind it when the
            client is to be waited for no longer. It calls L{stop}.
        """
        self._transport = transport
        self._deadlines = deadlines
        self._seconds = seconds
        self._budget = budget
        self._cutOff: Callable[[str, str], object] | None = cutOff
        self._pieces: deque[bytes] = deque()
        # Bytes of the first one that the transport was given.
        self._given = 0
        self._size = 0
        self._deadline: Deadline | None = None
        self._whenEmpty: Callable[[], object] | None = None
        self.blocked = False

    @property
    def isEmpty(self) -> bool:
        """
        Whether the transport was given all of it, and has room for more.
        """
        return not self._pieces and not self.blocked

    def write(self, data: bytes) -> None:
        """
        Send some bytes behind those that wait.
        """
        if not data or self._cutOff is None:
            return
        if not self.blocked and not self._pieces and len(data) <= _PIECE:
            self._transport.write(data)
            return
        self._pieces.append(data)
        self._size += len(data)
        self._handOver()

    def _handOver(self) -> None:
        pieces = self._pieces
        while pieces and not self.blocked:
            first = pieces[0]
            piece = first[self._given : self._given + _PIECE]
            self._given += len(piece)
            if self._given == len(first):
                pieces.popleft()
                self._given = 0
            self._size -= len(piece)
            # Last: the connection may end in this, or something be written.
            self._transport.write(piece)
        self._budget.reserve(self, self._size)

    def whenEmpty(self, call: Callable[[], object]) -> None:
        """
        Have something done once L{isEmpty}: now, if it is.
        """
        if self.isEmpty:
            call()
        else:
            self._whenEmpty = call

    def pause(self) -> None:
        """
        The transport has enough.
        """
        if self.blocked or self._cutOff is None:
            return
        self.blocked = True
        if self._seconds:
            self._deadline = self._deadlines.set(self._seconds, self._timedOut)

    def resume(self) -> None:
        """
        The transport has room again.
        """
        self.blocked = False
        self._clear()
        self._handOver()
        if self.isEmpty:
            call, self._whenEmpty = self._whenEmpty, None
            if call is not None:
                call()

    def watch(self, seconds: float) -> None:
        """
        Wait no longer than this until the connection is gone.
        """
        self._clear()
        if seconds:
            self._deadline = self._deadlines.set(seconds, self._timedOut)

    def stop(self) -> None:
        """
        Forget everything: the connection is gone, or somebody else's.
        """
        self._clear()
        self._cutOff = self._whenEmpty = None
        self._pieces.clear()
        self._given = self._size = 0
        self._budget.reserve(self, 0)

    def shed(self, used: int) -> None:
        """
        The server can't hold all that waits, and most of it is here.
        """
        if self._cutOff is not None:
            self._cutOff(
                "the server is full; it does not read its page", "max-send-buffer-total"
            )

    def _clear(self) -> None:
        self._deadlines.clear(self._deadline)
        self._deadline = None

    def _timedOut(self) -> None:
        self._deadline = None
        if self._cutOff is not None:
            self._cutOff("does not read its page", "send-timeout")
