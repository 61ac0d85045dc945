"""
wsplug: a pluggable WebSocket server on Twisted.

This package exports what applications and embedding programs need. The interfaces are
in L{wsplug.interfaces}, tools for tests in L{wsplug.testing}.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Imported first: it decides whether the compiled modules or their sources are used.
import wsplug.build  # noqa: F401
from wsplug.version import __version__

if TYPE_CHECKING:
    from wsplug.auth.options import Authentication
    from wsplug.authoring.application import Application
    from wsplug.authoring.bases import WebSocketApplication, WebSocketProtocol
    from wsplug.authoring.coroutine import WebSocket
    from wsplug.authoring.decorators import application
    from wsplug.authoring.rooms import Room
    from wsplug.codec.closecodes import CloseCode
    from wsplug.errors import ConnectionClosed, HandshakeRefused, Side
    from wsplug.guard.access import Access
    from wsplug.jsonmessages import RequestRefused
    from wsplug.options import Option
    from wsplug.plugins import Services
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
    "Access",
    "Application",
    "Authentication",
    "CloseCode",
    "ConnectionClosed",
    "HandshakeRefused",
    "Mount",
    "Option",
    "PreparedMessage",
    "RequestRefused",
    "Room",
    "Services",
    "Settings",
    "Side",
    "WebSocket",
    "WebSocketApplication",
    "WebSocketFactory",
    "WebSocketProtocol",
    "WebSocketService",
    "__version__",
    "application",
    "broadcast",
    "shielded",
]

_MODULES = {
    "CloseCode": "wsplug.codec.closecodes",
    "Access": "wsplug.guard.access",
    "Application": "wsplug.authoring.application",
    "Authentication": "wsplug.auth.options",
    "ConnectionClosed": "wsplug.errors",
    "HandshakeRefused": "wsplug.errors",
    "Mount": "wsplug.server",
    "Option": "wsplug.options",
    "PreparedMessage": "wsplug.server",
    "RequestRefused": "wsplug.jsonmessages",
    "Room": "wsplug.authoring.rooms",
    "Services": "wsplug.plugins",
    "Settings": "wsplug.server",
    "Side": "wsplug.errors",
    "WebSocket": "wsplug.authoring.coroutine",
    "WebSocketApplication": "wsplug.authoring.bases",
    "WebSocketFactory": "wsplug.server",
    "WebSocketProtocol": "wsplug.authoring.bases",
    "WebSocketService": "wsplug.service",
    "application": "wsplug.authoring.decorators",
    "broadcast": "wsplug.server",
    "shielded": "wsplug.shielding",
}


def __getattr__(name: str) -> Any:
    # Imported on demand, so that the codec can be used without Twisted.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value
