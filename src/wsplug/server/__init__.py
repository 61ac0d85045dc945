"""
The server's protocol and factory on Twisted: they perform the handshake and the
framing, and pass whole messages to applications.

    - L{WebSocketFactory} makes a L{WebSocketServerProtocol} for each connection. It
      speaks HTTP until a handshake succeeds.
    - L{Connection} serves the WebSocket from then on.
    - L{Mount} puts an application at a path. L{Settings} has the limits.
"""

from wsplug.server.broadcasting import broadcast
from wsplug.server.connection import Connection
from wsplug.server.factory import WebSocketFactory
from wsplug.server.mounts import Mount
from wsplug.server.prepared import PreparedMessage
from wsplug.server.protocol import WebSocketServerProtocol
from wsplug.server.settings import SETTINGS, Settings

__all__ = [
    "SETTINGS",
    "Connection",
    "Mount",
    "PreparedMessage",
    "Settings",
    "WebSocketFactory",
    "WebSocketServerProtocol",
    "broadcast",
]
