"""
wsplug: a pluggable WebSocket server on Twisted.

What a plugin's author or a Twisted shop needs is here by name; the contracts behind it
are in L{wsplug.interfaces}, the means to test with in L{wsplug.testing}.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# First of all: it says whether the compiled modules are imported or their sources.
import wsplug.build  # noqa: F401

if TYPE_CHECKING:
    from wsplug.coroutine import Socket
    from wsplug.declare import WebSocketProtocol, application
    from wsplug.errors import ConnectionClosed, HandshakeRefused, Side
    from wsplug.options import Option
    from wsplug.server import (
        Mount,
        PreparedMessage,
        Settings,
        WebSocketFactory,
        broadcast,
    )
    from wsplug.service import WebSocketService
    from wsplug.shielding import shielded

__all__ = [
    "ConnectionClosed",
    "HandshakeRefused",
    "Mount",
    "Option",
    "PreparedMessage",
    "Settings",
    "Side",
    "Socket",
    "WebSocketFactory",
    "WebSocketProtocol",
    "WebSocketService",
    "__version__",
    "application",
    "broadcast",
    "shielded",
]

__version__ = "0.1.0"

_PLACES = {
    "ConnectionClosed": "wsplug.errors",
    "HandshakeRefused": "wsplug.errors",
    "Mount": "wsplug.server",
    "Option": "wsplug.options",
    "PreparedMessage": "wsplug.server",
    "Settings": "wsplug.server",
    "Side": "wsplug.errors",
    "Socket": "wsplug.coroutine",
    "WebSocketFactory": "wsplug.server",
    "WebSocketProtocol": "wsplug.declare",
    "WebSocketService": "wsplug.service",
    "application": "wsplug.declare",
    "broadcast": "wsplug.server",
    "shielded": "wsplug.shielding",
}


def __getattr__(name: str) -> Any:
    # Imported when asked for, so that the codec can be used without Twisted.
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value
