"""
The Twisted face: the protocol and factory that perform the upgrade and the framing, and
give whole messages to applications.

    - L{WebSocketFactory} makes a L{WebSocketServerProtocol} for each connection: HTTP,
      up to a right handshake.
    - L{Connection} serves it from then on.
    - L{Mount} says which application is at which path, L{Settings} how connections are
      treated.
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
