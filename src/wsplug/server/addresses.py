"""
Addresses, as the log and error messages write them.
"""

from __future__ import annotations

from typing import Any

from wsplug.networks import nameOfAddress

__all__ = ["nameOfAddress", "nameOfPeer"]


def nameOfPeer(transport: Any) -> str:
    """
    Write the address of a transport's peer.
    """
    return nameOfAddress(transport.getPeer())
