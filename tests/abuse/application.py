"""Sends a lot in answer to each message."""

from __future__ import annotations

from wsplug import WebSocketProtocol, application

MUCH = bytes(900 * 1024)


@application("much", help="Send 900 KiB for each message.")
class Much(WebSocketProtocol):
    """
    One connection.
    """

    def textMessageReceived(self, message: str) -> None:
        self.transport.sendBytesMessage(MUCH)
