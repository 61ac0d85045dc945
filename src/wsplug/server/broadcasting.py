"""
Sends one message to many connections.
"""

from __future__ import annotations

from collections.abc import Iterable

from wsplug.interfaces import IWebSocketTransport
from wsplug.server.connection import Connection
from wsplug.server.prepared import PreparedMessage

__all__ = ["broadcast"]


def broadcast(
    message: str | bytes | PreparedMessage, transports: Iterable[IWebSocketTransport]
) -> None:
    """
    Send one message to many connections.

    @param message: text for a text message, bytes for a binary one, or a prepared one.
    """
    prepared = (
        message if isinstance(message, PreparedMessage) else PreparedMessage(message)
    )
    for transport in list(transports):
        if type(transport) is Connection:
            connection = transport
            connection.sendPrepared(prepared)  # compiled, without a call of Python's
        else:
            transport.sendPreparedMessage(prepared)
