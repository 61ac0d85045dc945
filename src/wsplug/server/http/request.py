"""
A plain HTTP request, as what answers it sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zope.interface import implementer

from wsplug.codec import RequestHead
from wsplug.guard.proxies import ClientInfo
from wsplug.interfaces import IPlainRequest
from wsplug.server.request import HandshakeRequest

__all__ = ["PlainRequest", "isPersistent"]


@implementer(IPlainRequest)
class PlainRequest(HandshakeRequest):
    """
    Reads what is asked for from the parsed head.

    @ivar head: that.
    @ivar content: the body, once it has been taken.
    """

    __slots__ = ("content", "head")

    def __init__(
        self,
        head: RequestHead,
        transport: Any,
        path: bytes,
        segments: Sequence[bytes],
        depth: int,
        client: ClientInfo,
    ) -> None:
        """
        @param segments: of the path, decoded.
        @param depth: how many of them lead to what answers.
        @param client: what is known of the client besides what the transport says.
        """
        super().__init__(head, transport, path, segments, depth, (), client)
        self.head = head
        self.content = b""

    def getHeaders(self, name: bytes) -> Sequence[bytes]:
        return self.head.all(name)


def isPersistent(head: RequestHead) -> bool:
    """
    Say whether another request may follow this one on its connection: RFC 9112 section
    9.3.
    """
    if head.version != (1, 1):
        return False
    options = head.items(b"connection")
    return not options or b"close" not in [each.lower() for each in options]
