"""
Sends back what it gets, and a lot where it gets C{much}.
"""

from __future__ import annotations

from wsplug import WebSocketProtocol, application

MUCH = bytes(900 * 1024)


@application("echo", help="Echo, or much.")
class EchoOrMuch(WebSocketProtocol):
    """
    One connection.
    """

    def textMessageReceived(self, message: str) -> None:
        if message == "much":
            self.transport.sendBytesMessage(MUCH)
        else:
            self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        self.transport.sendBytesMessage(data)
