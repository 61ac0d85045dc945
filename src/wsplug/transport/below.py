"""
The transport below TLS.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import ISSLTransport

__all__ = ["belowTLS"]


def belowTLS(transport: Any) -> Any:
    """
    Return the transport that carries the bytes of a TLS connection.

    @return: any other transport itself; C{None} if TLS has lost its own.
    """
    if ISSLTransport.providedBy(transport):
        return getattr(transport, "transport", None)
    return transport
