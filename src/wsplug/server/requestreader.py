"""
Reads the heads of the requests on one connection, and finds out who sent each of them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress

from wsplug.codec import HeadParser, RequestHead
from wsplug.codec.proxyheader import ProxyHeader
from wsplug.errors import HandshakeRefused
from wsplug.guard.proxies import UNNAMED
from wsplug.server.admittance import Admittance
from wsplug.server.settings import Settings

__all__ = ["RequestReader"]


class RequestReader:
    """
    Parses one head after another.

    @ivar client: the address of the current request's client: the peer, or the address
        that a trusted proxy names in the request.
    @ivar named: what a trusted proxy says about that client.
    @ivar rest: the bytes behind a complete head, which the caller takes.
    """

    __slots__ = (
        "_admittance",
        "_header",
        "_method",
        "_parser",
        "_peer",
        "client",
        "named",
        "rest",
    )

    def __init__(
        self,
        settings: Settings,
        admittance: Admittance,
        peer: IAddress,
        header: ProxyHeader | None,
    ) -> None:
        """
        @param peer: the other end of the connection.
        @param header: the PROXY header in front of the connection. If it names no
            client, the proxy's address is all that is known: what requests say about
            other clients can be forged.
        """
        self._parser = HeadParser(settings.max_head_size, settings.max_headers)
        self._admittance = admittance
        self._peer = peer
        self._header = header
        self._method = b""
        self.client = peer
        self.named = UNNAMED
        self.rest = b""

    @property
    def begun(self) -> bool:
        """
        Whether a part of a head has arrived.
        """
        return self._parser.begun

    @property
    def method(self) -> bytes:
        """
        The method of the current request: of the head that is incomplete or invalid, or
        else of the last one. It is empty if it isn't known.
        """
        return self._parser.method if self._parser.begun else self._method

    def feed(self, data: bytes) -> RequestHead | HandshakeRefused | None:
        """
        Process the next bytes.

        @return: the head, if it is complete; the refusal, if it is invalid: then no
            more may be fed; C{None} if it is incomplete.
        """
        parser = self._parser
        head = parser.feed(data)
        header = self._header
        # Until the head is complete, the client can be anyone that the proxy serves.
        self.named = UNNAMED
        if isinstance(head, RequestHead):
            self._method = head.method
            self.rest, parser.rest = parser.rest, b""
            if header is None or header.namesClient:
                self.named = self._admittance.proxies.clientOf(self._peer, head)
        self.client = self.named.address or self._peer
        return head

    def refusalOfHost(
        self, head: RequestHead, transport: Any
    ) -> HandshakeRefused | None:
        """
        Check whether the request's host is one of the server's (DNS rebinding).

        @return: the refusal, if it isn't.
        """
        admittance = self._admittance
        proxied = self._header is not None or admittance.proxies.trusts(self._peer)
        return admittance.refusalOfHost(head, transport, proxied)
