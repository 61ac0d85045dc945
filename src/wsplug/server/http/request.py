"""
A plain HTTP request, as resources see it.
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
    A request with its parsed head.

    @ivar head: the parsed head.
    @ivar content: the body, after it was received.
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
        @param segments: the decoded segments of the path.
        @param depth: the number of segments that lead to the resource.
        @param client: what a proxy says about the client.
        """
        super().__init__(head, transport, path, segments, depth, (), client)
        self.head = head
        self.content = b""

    def getHeaders(self, name: bytes) -> Sequence[bytes]:
        return self.head.all(name)


def isPersistent(head: RequestHead) -> bool:
    """
    Say whether another request may follow on the connection (RFC 9112 section 9.3).
    """
    return head.version == (1, 1) and not head.lists(b"connection", b"close")
