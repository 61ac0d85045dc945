"""
C{--app echo}: sends every message back. Options add a prefix or a delay.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug import Option, WebSocketApplication, WebSocketProtocol
from wsplug.interfaces import (
    IHandshakeRequest,
    IServices,
    IWebSocketApplication,
    IWebSocketApplicationPlugin,
    IWebSocketProtocol,
)
from wsplug.options import delayUpTo, size, text

__all__ = ["echo"]

_PAGES: Final = Path(__file__).with_name("pages")

_OVERHEAD: Final = 256
"""
Bytes that a waiting message counts in addition to its length, since empty messages need
memory, too.
"""


class _Echo(WebSocketProtocol):
    """
    A connection without options.
    """

    def textMessageReceived(self, message: str) -> None:
        self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        self.transport.sendBytesMessage(data)

    def noticeReceived(self, text: str) -> None:
        self.transport.sendTextMessage(text)


class _PrefixedEcho(_Echo):
    """
    A connection with a prefix for each text.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def textMessageReceived(self, message: str) -> None:
        self.transport.sendTextMessage(self._prefix + message)


class _DelayedEcho(WebSocketProtocol):
    """
    A connection with a delay. While too much waits, nothing is read.
    """

    def __init__(
        self, prefix: str, delay: float, backlog: int, clock: IReactorTime
    ) -> None:
        self._prefix = prefix
        self._delay = delay
        self._backlog = backlog
        self._clock = clock
        # For each answer, the time to send it and the bytes that it counts.
        self._waiting: deque[tuple[float, int, str | bytes]] = deque()
        self._size = 0
        self._call: IDelayedCall | None = None
        self._room: Deferred[None] | None = None

    def textMessageReceived(self, message: str) -> Deferred[None] | None:
        # A character has at most four bytes in memory.
        return self._delayAnswer(self._prefix + message, 4 * len(message))

    def bytesMessageReceived(self, data: bytes) -> Deferred[None] | None:
        return self._delayAnswer(data, len(data))

    def noticeReceived(self, text: str) -> None:
        self.transport.sendTextMessage(text)

    def connectionLost(self, reason: Failure) -> None:
        self._waiting.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _delayAnswer(self, answer: str | bytes, length: int) -> Deferred[None] | None:
        """
        Keep an answer until it is due.

        @return: fires when there is room for another one; C{None} if there is.
        """
        counts = length + _OVERHEAD
        self._waiting.append((self._clock.seconds() + self._delay, counts, answer))
        self._size += counts
        if self._call is None:
            self._call = self._clock.callLater(self._delay, self._answer)
        if self._size <= self._backlog:
            return None
        self._room = Deferred()
        return self._room

    def _answer(self) -> None:
        """
        Send the answers that are due.
        """
        self._call = None
        now = self._clock.seconds()
        while self._waiting and self._waiting[0][0] <= now:
            _, counts, answer = self._waiting.popleft()
            self._size -= counts
            if isinstance(answer, str):
                self.transport.sendTextMessage(answer)
            else:
                self.transport.sendBytesMessage(answer)
        if self._waiting:
            wait = self._waiting[0][0] - now
            self._call = self._clock.callLater(wait, self._answer)
        if self._room is not None and self._size <= self._backlog:
            room, self._room = self._room, None
            room.callback(None)


class _EchoApplication(WebSocketApplication):
    """
    The application.
    """

    pages = str(_PAGES)
    # The clients of tutorials offer "chat", and browsers close what takes nothing.
    subprotocols = ("*",)

    def __init__(self, makeProtocol: Callable[[], IWebSocketProtocol]) -> None:
        self._makeProtocol = makeProtocol

    def buildProtocol(self, request: IHandshakeRequest) -> IWebSocketProtocol:
        return self._makeProtocol()


@implementer(IWebSocketApplicationPlugin)
class _EchoPlugin:
    """
    Chooses the simplest protocol for the options.
    """

    name = "echo"
    help = "Send every message back."
    options: Sequence[Option] = (
        Option("prefix", text, "", "text to put before each text message", "none"),
        Option("delay", delayUpTo(3600), 0, "seconds that each answer waits"),
        Option(
            "backlog",
            size,
            256 * 1024,
            "bytes of a client that may wait; beyond that, nothing is read from it",
        ),
    )

    def makeApplication(
        self, options: Mapping[str, Any], services: IServices
    ) -> IWebSocketApplication:
        prefix, delay, backlog = (
            options[name] for name in ("prefix", "delay", "backlog")
        )
        if delay:
            return _EchoApplication(
                partial(_DelayedEcho, prefix, delay, backlog, services.clock)
            )
        if prefix:
            return _EchoApplication(partial(_PrefixedEcho, prefix))
        return _EchoApplication(_Echo)


echo: Final = _EchoPlugin()
