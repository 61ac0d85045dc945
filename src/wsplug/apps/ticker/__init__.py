"""
C{--app ticker}: sends each client a message at once and then every few seconds, until
the client sends C{quit}.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random, SystemRandom
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug import WebSocketApplication, WebSocketProtocol
from wsplug.errors import InvalidOption
from wsplug.interfaces import (
    IHandshakeRequest,
    IServices,
    IWebSocketApplicationPlugin,
)
from wsplug.options import Option, wholeSeconds

__all__ = ["Ticker", "TickerPlugin", "ticker"]

_PAGES: Final = str(Path(__file__).with_name("pages"))


class Ticker(WebSocketApplication):
    """
    The application.
    """

    pages = _PAGES
    # The clients of tutorials offer "chat", and browsers close what takes nothing.
    subprotocols = ("*",)

    def __init__(
        self, clock: IReactorTime, shortest: int, longest: int, random: Random
    ) -> None:
        """
        @param shortest: the least number of seconds between two messages.
        @param longest: the greatest number.
        @param random: chooses the intervals.
        """
        self._clock = clock
        self._shortest = shortest
        self._longest = longest
        self._random = random

    def buildProtocol(self, request: IHandshakeRequest) -> WebSocketProtocol:
        return _Ticking(self)

    def choose(self) -> int:
        """
        Choose how many seconds to wait.
        """
        return self._random.randint(self._shortest, self._longest)

    def schedule(self, seconds: int, connection: _Ticking) -> IDelayedCall:
        """
        Call a connection's C{tick} later.
        """
        return self._clock.callLater(seconds, connection.tick)


class _Ticking(WebSocketProtocol):
    """
    A connection.
    """

    _next: IDelayedCall | None = None

    def __init__(self, ticker: Ticker) -> None:
        self._ticker = ticker

    def negotiationFinished(self) -> None:
        self.tick()

    def tick(self) -> None:
        """
        Say how long the next message takes, and send it after that time.
        """
        seconds = self._ticker.choose()
        self._next = self._ticker.schedule(seconds, self)
        self.transport.sendTextMessage(f"I am waiting {seconds} seconds")

    def textMessageReceived(self, message: str) -> None:
        if message.strip().lower() == "quit":
            self._stop()
            self.transport.loseConnection()

    def noticeReceived(self, text: str) -> None:
        self.transport.sendTextMessage(text)

    def connectionLost(self, reason: Failure) -> None:
        self._stop()

    def _stop(self) -> None:
        call, self._next = self._next, None
        if call is not None:
            call.cancel()


@implementer(IWebSocketApplicationPlugin)
class TickerPlugin:
    """
    Makes L{Ticker} applications.
    """

    name = "ticker"
    help = "Send a message every few seconds, until the client sends quit."
    options = (
        Option(
            "shortest",
            wholeSeconds(1, 86400),
            2,
            "seconds between two messages, at least",
        ),
        Option(
            "longest",
            wholeSeconds(1, 86400),
            5,
            "seconds between two messages, at most",
        ),
    )

    def makeApplication(
        self, options: Mapping[str, Any], services: IServices
    ) -> Ticker:
        shortest, longest = options["shortest"], options["longest"]
        if shortest > longest:
            raise InvalidOption(
                f"shortest={shortest} is more than longest={longest}; set both"
            )
        return Ticker(services.clock, shortest, longest, SystemRandom())


ticker: Final = TickerPlugin()
