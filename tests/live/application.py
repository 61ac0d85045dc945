"""
The application that the live tests serve with C{--app application.py}: it does what it
is told by text messages, and sends back what is no order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from wsplug import WebSocketProtocol, application

__all__ = ["live"]


@application(
    "live",
    subprotocols=("wsplug.two", "wsplug.one"),
    pages=str(Path(__file__).with_name("pages")),
)
class live(WebSocketProtocol):
    """
    One connection.
    """

    def textMessageReceived(self, message: str) -> Any:
        order, _, rest = message.partition(" ")
        if order == "close":
            code, _, reason = rest.partition(" ")
            self.transport.loseConnection(int(code), reason)
        elif order == "ping":
            self.transport.ping(rest.encode("utf-8"))
        elif order == "burst":
            count, size = map(int, rest.split())
            for _ in range(count):
                self.transport.sendBytesMessage(bytes(size))
            self.transport.sendTextMessage("done")
        elif order == "wait":
            return Deferred()
        elif order == "abort":
            self.transport.abortConnection()
        else:
            self.transport.sendTextMessage(message)
        return None

    def bytesMessageReceived(self, data: bytes) -> None:
        self.transport.sendBytesMessage(data)

    def pongReceived(self, payload: bytes) -> None:
        self.transport.sendTextMessage("pong " + payload.decode("utf-8"))
