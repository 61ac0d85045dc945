"""
A client of a program.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from wsplug import CloseCode, WebSocketProtocol
from wsplug.apps.process.options import ProcessOptions
from wsplug.apps.process.stdin import Input

__all__ = ["Client"]


class Client(WebSocketProtocol):
    """
    Gives what comes over a connection to a program. While the program doesn't read,
    nothing is read from the client either.
    """

    def __init__(self, options: ProcessOptions, clock: IReactorTime) -> None:
        self._options = options
        self._clock = clock
        self._waiting: Deferred[None] | None = None

    def stdin(self) -> Input | None:
        """
        Give what its messages go to; C{None} where there is nothing now.
        """
        raise NotImplementedError

    def quitReceived(self) -> None:
        """
        It has sent the word for it.
        """
        raise NotImplementedError

    def textMessageReceived(self, message: str) -> Deferred[None] | None:
        if message and message == self._options.quit:
            self.quitReceived()
            return None
        return self._give(self._options.encode(message))

    def bytesMessageReceived(self, data: bytes) -> Deferred[None] | None:
        return self._give(data)

    def _give(self, data: bytes) -> Deferred[None] | None:
        stdin = self.stdin()
        waiting = None if stdin is None else stdin.write(data)
        if waiting is None:
            return None
        self._waiting = waiting
        seconds = self._options.input_timeout
        timeout = self._clock.callLater(seconds, self._tooLong) if seconds else None

        def taken(_: object) -> None:
            self._waiting = None
            if timeout is not None and timeout.active():
                timeout.cancel()

        return waiting.addCallback(taken)

    def _tooLong(self) -> None:
        self.transport.loseConnection(
            CloseCode.TRY_AGAIN_LATER, "the program does not read its input"
        )

    def stopGiving(self) -> None:
        """
        It has left: what the program hasn't got yet is dropped.
        """
        if self._waiting is not None:
            self._waiting.cancel()
