"""
The request of a handshake, as applications see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from twisted.internet.interfaces import IAddress, ISSLTransport
from twisted.web.http_headers import Headers
from zope.interface import implementer

from wsplug.codec import RequestHead
from wsplug.guard.proxies import UNNAMED, ClientInfo
from wsplug.interfaces import IHandshakeRequest
from wsplug.server.disconnects import speaksTLS

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["HandshakeRequest", "splitTarget"]


def splitTarget(target: bytes) -> tuple[bytes, bytes]:
    """
    Split a request's target (RFC 9112 section 3.2).

    @param target: such as C{b"/a?b"}. The parser of the head has already reduced an
        absolute form to this.
    @return: path and query. A target that isn't a path (C{b"*"}) is returned as the
        path.
    """
    path, _, query = target.partition(b"?")
    return path, query


def _certificateOf(transport: Any) -> Certificate | None:
    """
    Return the certificate of a transport's peer.
    """
    if not speaksTLS(transport):
        return None
    shown = transport.getPeerCertificate()
    return None if shown is None else shown.to_cryptography()


@implementer(IHandshakeRequest)
class HandshakeRequest:
    """
    Provides a handshake's request. It reads values from the parsed head only when an
    application asks for them: most look at the path, if at all.
    """

    __slots__ = (
        "_client",
        "_depth",
        "_head",
        "_responseHeaders",
        "_subprotocol",
        "_transport",
        "avatar",
        "clientCertificate",
        "path",
        "postpath",
        "prepath",
        "subprotocols",
    )

    def __init__(
        self,
        head: RequestHead,
        transport: Any,
        path: bytes,
        segments: Sequence[bytes],
        depth: int,
        subprotocols: tuple[str, ...],
        client: ClientInfo = UNNAMED,
    ) -> None:
        """
        @param head: the parsed head.
        @param transport: the transport of the connection.
        @param path: the path from L{splitTarget}.
        @param segments: the segments of the path, decoded.
        @param depth: how many of the segments belong to the mount's path.
        @param subprotocols: the offered subprotocols.
        @param client: what trusted proxies say about the client.
        """
        self._head = head
        self._transport = transport
        self._client = client
        self._responseHeaders: Headers | None = None
        self._subprotocol: str | None = None
        self.path = path
        self.prepath = list(segments[:depth])
        self.postpath = list(segments[depth:])
        self.subprotocols = subprotocols
        self.avatar: object = None
        # Read it now: it isn't available any more once the connection is lost.
        self.clientCertificate = _certificateOf(transport)

    @property
    def method(self) -> bytes:
        return self._head.method

    @property
    def uri(self) -> bytes:
        return self._head.target

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(part.decode("utf-8", "replace") for part in self.postpath if part)

    @property
    def args(self) -> dict[bytes, list[bytes]]:
        # Decode as Latin-1, which has a character for each byte: parse_qs accepts no
        # bytes outside ASCII.
        query = splitTarget(self._head.target)[1].decode("latin-1")
        found = parse_qs(query, keep_blank_values=True, encoding="latin-1")
        return {
            name.encode("latin-1"): [value.encode("latin-1") for value in values]
            for name, values in found.items()
        }

    @property
    def requestHeaders(self) -> Headers:
        headers = Headers()
        for name, value in self._head.headers:
            headers.addRawHeader(name, value)
        return headers

    @property
    def responseHeaders(self) -> Headers:
        if self._responseHeaders is None:
            self._responseHeaders = Headers()
        return self._responseHeaders

    @property
    def subprotocol(self) -> str | None:
        return self._subprotocol

    @subprotocol.setter
    def subprotocol(self, name: str | None) -> None:
        if name is not None and name not in self.subprotocols:
            offered = ", ".join(self.subprotocols) or "none"
            raise ValueError(f"{name!r} is not offered by the client ({offered})")
        self._subprotocol = name

    def getHeader(self, name: bytes) -> bytes | None:
        values = self._head.all(name.lower())
        return values[-1] if values else None

    def getCookie(self, name: bytes) -> bytes | None:
        for header in self._head.all(b"cookie"):
            for pair in header.split(b";"):
                key, equals, value = pair.strip(b" \t").partition(b"=")
                if equals and key == name:
                    return value
        return None

    def getClientAddress(self) -> IAddress:
        address: IAddress = self._client.address or self._transport.getPeer()
        return address

    def getHost(self) -> IAddress:
        address: IAddress = self._transport.getHost()
        return address

    def isSecure(self) -> bool:
        if self._client.secure is not None:
            return self._client.secure
        return ISSLTransport.providedBy(self._transport)

    def compact(self) -> None:
        """
        Release what only the handshake needs.
        """
        self._head.compact()
        self._responseHeaders = None

    def takeResponseHeaders(self) -> list[tuple[bytes, bytes]]:
        """
        Return the headers that the application adds to the response with status 101,
        and forget them.
        """
        headers = self._responseHeaders
        self._responseHeaders = None
        if headers is None:
            return []
        return [
            (name, value)
            for name, values in headers.getAllRawHeaders()
            if name.lower() not in _RESERVED
            for value in values
        ]


_RESERVED = frozenset(
    {
        b"upgrade",
        b"connection",
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
        b"content-length",
        b"transfer-encoding",
    }
)
"""
The headers that the handshake itself sets (RFC 6455 section 4.2.2), and those that a
response with status 101 may not have (RFC 9110 section 8.6, RFC 9112 section 6.1).
"""
