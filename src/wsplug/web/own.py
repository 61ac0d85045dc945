"""
What tells of the server itself: which resources there are, by their names below
C{/-/}. Where they are offered, and to whom, is for whoever asks for them.
"""

from __future__ import annotations

from twisted.web.resource import IResource

from wsplug.web.health import Health, ServerState

__all__ = ["ownResources"]


def ownResources(server: ServerState) -> dict[bytes, IResource]:
    """
    Make the resources of a server.
    """
    return {b"health": Health(server)}
