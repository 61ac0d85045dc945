"""
Addresses, as the log and error messages write them.
"""

from __future__ import annotations

from twisted.internet.interfaces import IAddress

__all__ = ["nameOfAddress"]


def nameOfAddress(address: IAddress) -> str:
    """
    Write an address: C{127.0.0.1:9000}, C{[::1]:9000}, or a UNIX socket's path; without
    the port where it isn't known, as of clients that a proxy names.
    """
    host = getattr(address, "host", None)
    if host is None:
        name = getattr(address, "name", None)
        return f"unix:{name.decode('utf-8', 'replace')}" if name else "unix"
    port = getattr(address, "port", 0)
    if not port:
        return str(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
