"""
wsplug's fan-out: an application file for C{--app}. The echo is the bundled one.
"""

from __future__ import annotations

from typing import ClassVar

from twisted.python.failure import Failure

from wsplug import WebSocketProtocol, application, broadcast
from wsplug.interfaces import IWebSocketTransport


@application("fanout", help="Send to everyone.")
class Fanout(WebSocketProtocol):
    """
    One connection.
    """

    everyone: ClassVar[set[IWebSocketTransport]] = set()

    def negotiationFinished(self) -> None:
        self.everyone.add(self.transport)

    def textMessageReceived(self, message: str) -> None:
        broadcast(message, self.everyone)

    def bytesMessageReceived(self, data: bytes) -> None:
        broadcast(data, self.everyone)

    def connectionLost(self, reason: Failure) -> None:
        self.everyone.discard(self.transport)
