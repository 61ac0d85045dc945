"""
C{--app ticker}: sends each client a message at once and then every few seconds, until
the client sends C{quit}.
"""

from __future__ import annotations

from pathlib import Path
from random import Random, SystemRandom
from typing import Annotated, Any, ClassVar, Final

from wsplug import Application, WebSocket
from wsplug.errors import InvalidOption
from wsplug.interfaces import IServices
from wsplug.options import wholeSeconds

__all__ = ["Ticker", "ticker"]


# Names of their own: pydoctor takes texts in annotations for types.
_Shortest = Annotated[
    int, wholeSeconds(1, 86400), "seconds between two messages, at least"
]
_Longest = Annotated[
    int, wholeSeconds(1, 86400), "seconds between two messages, at most"
]


class Ticker(Application):
    """
    Send a message every few seconds, until the client sends quit.
    """

    shortest: _Shortest = 2
    longest: _Longest = 5
    pages = Path(__file__).with_name("pages")
    # The clients of tutorials offer "chat", and browsers close what takes nothing.
    subprotocols = ("*",)
    random: ClassVar[Random] = SystemRandom()

    def __init__(self, services: IServices, **options: Any) -> None:
        super().__init__(services, **options)
        if self.shortest > self.longest:
            raise InvalidOption(
                f"shortest={self.shortest} is more than longest={self.longest}; "
                "set both"
            )

    def opened(self, socket: WebSocket) -> None:
        socket.spawn(self._tick(socket))

    async def _tick(self, socket: WebSocket) -> None:
        """
        Say how long the next message takes, and send it after that time.
        """
        while True:
            seconds = self.random.randint(self.shortest, self.longest)
            await socket.send(f"I am waiting {seconds} seconds")
            await socket.sleep(seconds)

    def received(self, socket: WebSocket, message: str | bytes) -> None:
        if isinstance(message, str) and message.strip().lower() == "quit":
            socket.close()

    def noticed(self, socket: WebSocket, text: str) -> None:
        socket.transport.sendTextMessage(text)


ticker: Final = Ticker
