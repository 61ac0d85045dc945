"""
A program's standard input.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

__all__ = ["Input"]


@implementer(IPushProducer)
class Input:
    """
    A program's standard input. While 64 KiB wait for a program that doesn't read,
    clients wait with their next message. Afterwards, they continue in the order in
    which they came.
    """

    def __init__(self, process: Any) -> None:
        """
        @param process: the program's C{IProcessTransport}.
        """
        self._process = process
        self._isOpen = True
        self._isFull = False
        # The data is None if it is already written.
        self._waiting: deque[tuple[bytes | None, Deferred[None]]] = deque()
        process.registerProducer(self, True)

    def write(self, data: bytes) -> Deferred[None] | None:
        """
        Write to the program. The data is dropped if the program has exited or closed
        its standard input.

        @return: fires when you may write more, or when the input is closed; C{None} if
            you may at once. If you cancel it, it fires as well, and the data is dropped
            unless it is already written.
        """
        if not self._isOpen:
            return None
        if self._isFull or self._waiting:
            return self._wait(data)
        self._process.write(data)
        return self._wait(None) if self._isFull else None

    def close(self) -> None:
        """
        Close the input after what was written.
        """
        if self._isOpen:
            # Twisted's writer doesn't close while its producer is paused.
            self._process.unregisterProducer()
            self.stopProducing()
            self._process.closeStdin()

    def _wait(self, data: bytes | None) -> Deferred[None]:
        taken: Deferred[None] = Deferred(self._forget)
        self._waiting.append((data, taken))
        return taken

    def _forget(self, taken: Deferred[None]) -> None:
        self._waiting = deque(each for each in self._waiting if each[1] is not taken)
        taken.callback(None)

    # What the process's writer calls

    def pauseProducing(self) -> None:
        self._isFull = True

    def resumeProducing(self) -> None:
        self._isFull = False
        while self._waiting and not self._isFull:
            data, taken = self._waiting.popleft()
            if data is not None:
                self._process.write(data)
            if self._isFull:
                self._waiting.appendleft((None, taken))
            else:
                taken.callback(None)

    def stopProducing(self) -> None:
        self._isOpen = False
        while self._waiting:
            self._waiting.popleft()[1].callback(None)
