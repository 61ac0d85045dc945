"""
The waiting bytes of a plain HTTP connection. The transport gets them in pieces, which
shows whether the client reads. The time limit is that of WebSocket connections.
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
The bytes that the transport gets at a time: as many as make it pause its producer. So
it holds at most twice as many.
"""


class PageOutput:
    """
    The bytes that wait to be sent.

    @ivar blocked: whether the transport has paused this.
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
        @param transport: an C{ITransport}. The caller passes its C{pauseProducing} and
            C{resumeProducing} on to L{pause} and L{resume}.
        @param seconds: the maximum time between L{pause} and L{resume}, in seconds; 0
            for no limit.
        @param budget: the server's memory budget for waiting bytes.
        @param cutOff: called with the reason and the setting behind it, if the client
            doesn't read in time. It has to call L{stop}.
        """
        self._transport = transport
        self._deadlines = deadlines
        self._seconds = seconds
        self._budget = budget
        self._cutOff: Callable[[str, str], object] | None = cutOff
        self._pieces: deque[bytes] = deque()
        # The bytes of the first piece that the transport has got.
        self._given = 0
        self._size = 0
        self._deadline: Deadline | None = None
        self._whenEmpty: Callable[[], object] | None = None
        self.blocked = False

    @property
    def isEmpty(self) -> bool:
        """
        Whether the transport has got all bytes, and has room for more.
        """
        return not self._pieces and not self.blocked

    def write(self, data: bytes) -> None:
        """
        Send bytes after those that wait.
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
            # Last, because this may close the connection, or write again.
            self._transport.write(piece)
        self._budget.reserve(self, self._size)

    def whenEmpty(self, call: Callable[[], object]) -> None:
        """
        Call a function as soon as L{isEmpty} is true, which can be at once.
        """
        if self.isEmpty:
            call()
        else:
            self._whenEmpty = call

    def pause(self) -> None:
        """
        Give the transport no more, until L{resume}.
        """
        if self.blocked or self._cutOff is None:
            return
        self.blocked = True
        if self._seconds:
            self._deadline = self._deadlines.set(self._seconds, self._timedOut)

    def resume(self) -> None:
        """
        Give the transport more bytes.
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
        Cut the connection off unless it is lost within the given seconds.
        """
        self._clear()
        if seconds:
            self._deadline = self._deadlines.set(seconds, self._timedOut)

    def stop(self) -> None:
        """
        Discard the waiting bytes: the connection is lost or has another user.
        """
        self._clear()
        self._cutOff = self._whenEmpty = None
        self._pieces.clear()
        self._given = self._size = 0
        self._budget.reserve(self, 0)

    def shed(self, used: int) -> None:
        """
        Cut the connection off: the budget is exceeded, and this is its largest part.
        """
        if self._cutOff is not None:
            self._cutOff(
                "the server has no memory for more waiting bytes, and the client "
                "does not read its response",
                "max-send-buffer-total",
            )

    def _clear(self) -> None:
        self._deadlines.clear(self._deadline)
        self._deadline = None

    def _timedOut(self) -> None:
        self._deadline = None
        if self._cutOff is not None:
            self._cutOff("does not read its response", "send-timeout")
