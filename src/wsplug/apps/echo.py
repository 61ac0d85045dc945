"""
C{--app echo}: every message comes back as it was.
"""

from __future__ import annotations

from wsplug import WebSocketProtocol, application

__all__ = ["echo"]


@application("echo", help="Send every message back as it came.")
class echo(WebSocketProtocol):
    """
    One connection.
    """

    def textMessageReceived(self, message: str) -> None:
        self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        self.transport.sendBytesMessage(data)
