"""
Addresses, as the log and error messages write them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress

__all__ = ["nameOfAddress", "nameOfPeer"]


def nameOfAddress(address: IAddress) -> str:
    """
    Write an address: C{127.0.0.1:9000}, C{[::1]:9000}, or a UNIX socket's path.
    """
    host = getattr(address, "host", None)
    if host is None:
        name = getattr(address, "name", None)
        return f"unix:{name.decode('utf-8', 'replace')}" if name else "unix"
    port = getattr(address, "port", 0)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def nameOfPeer(transport: Any) -> str:
    """
    Write the address of a transport's peer.
    """
    return nameOfAddress(transport.getPeer())
