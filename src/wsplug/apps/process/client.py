"""
The base of connections to a program.
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
    Sends a client's messages to a program. While the program doesn't read, nothing is
    read from the client either.
    """

    def __init__(self, options: ProcessOptions, clock: IReactorTime) -> None:
        self._options = options
        self._clock = clock
        self._waiting: Deferred[None] | None = None

    def stdin(self) -> Input | None:
        """
        Return the program's standard input; C{None} if no program is running.
        """
        raise NotImplementedError

    def quitReceived(self) -> None:
        """
        The client has sent the text that ends its program.
        """
        raise NotImplementedError

    def textMessageReceived(self, message: str) -> Deferred[None] | None:
        if message and message == self._options.quit:
            self.quitReceived()
            return None
        return self._send(self._options.encode(message))

    def bytesMessageReceived(self, data: bytes) -> Deferred[None] | None:
        return self._send(data)

    def _send(self, data: bytes) -> Deferred[None] | None:
        stdin = self.stdin()
        waiting = None if stdin is None else stdin.write(data)
        if waiting is None:
            return None
        self._waiting = waiting
        seconds = self._options.input_timeout
        timeout = self._clock.callLater(seconds, self._timedOut) if seconds else None

        def taken(_: object) -> None:
            self._waiting = None
            if timeout is not None and timeout.active():
                timeout.cancel()

        return waiting.addCallback(taken)

    def _timedOut(self) -> None:
        self.transport.loseConnection(
            CloseCode.TRY_AGAIN_LATER, "the program does not read its input"
        )

    def stopSending(self) -> None:
        """
        The client has disconnected: drop what the program hasn't taken yet.
        """
        if self._waiting is not None:
            self._waiting.cancel()
