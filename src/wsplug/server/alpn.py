"""
Negotiates the protocol within TLS (ALPN, RFC 7301).
"""

from __future__ import annotations

from twisted.internet.interfaces import IProtocolNegotiationFactory
from zope.interface import classImplements

import twisted

__all__ = ["HTTPNegotiation"]


class HTTPNegotiation:
    """
    The part of a factory that names HTTP/1.1 as the protocol that it speaks.
    """

    def acceptableProtocols(self) -> list[bytes]:
        """
        Return the names of the protocols for clients that ask.
        """
        return [b"http/1.1"]


# As of Twisted 26.4, a client that offers ALPN gets a fatal alert if the factory
# doesn't declare the interface. Earlier versions ignore ALPN then. If the factory
# declares it, they change a TLS context that is in use; pyOpenSSL 26 refuses that, and
# nobody can connect.
if int(twisted.__version__.partition(".")[0]) >= 26:
    classImplements(HTTPNegotiation, IProtocolNegotiationFactory)
