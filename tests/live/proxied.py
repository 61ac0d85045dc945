"""
An application that says who its clients are, to be served behind proxies.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.web.resource import Resource

from wsplug import WebSocketProtocol, application

__all__ = ["proxied"]


def _describe(address: Any, secure: bool, uri: bytes) -> str:
    found = {
        "host": address.host,
        "port": address.port,
        "secure": secure,
        "uri": uri.decode("ascii"),
    }
    return json.dumps(found)


class _Page(Resource):
    """
    Says the same of a page's client, and which connection it came by.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        peer = request.channel.transport.getPeer()
        request.setHeader(b"X-Connection", str(getattr(peer, "port", 0)).encode())
        request.setHeader(b"Content-Type", b"application/json")
        client = request.getClientAddress()
        return _describe(client, request.isSecure(), request.uri).encode("ascii")


@application("proxied", pages=_Page())  # type: ignore[no-untyped-call]
class proxied(WebSocketProtocol):
    """
    Says who the client is, then sends back what comes.
    """

    def negotiationFinished(self) -> None:
        request = self.transport.request
        client = request.getClientAddress()
        text = _describe(client, request.isSecure(), request.uri)
        self.transport.sendTextMessage(text)

    def textMessageReceived(self, message: str) -> None:
        self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        self.transport.sendBytesMessage(data)
