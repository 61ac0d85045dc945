"""
C{/-/health}: what load balancers and orchestrators ask.

The server is I{live} as long as it answers at all, and I{ready} while new clients are
welcome. Who is ill is restarted, who isn't ready is only sent nobody: so a server that
starts, stops or is full is live, but not ready.
"""

from __future__ import annotations

import json
from typing import Protocol

from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from wsplug.server.factory import WebSocketFactory

__all__ = ["Health", "ServerState", "whyNotReady"]


class ServerState(Protocol):
    """
    What has to be known of the server; L{wsplug.WebSocketService} has it.
    """

    factory: WebSocketFactory

    @property
    def isReady(self) -> bool:
        """
        Whether it listens, all applications have started, and it isn't stopping.
        """


def whyNotReady(server: ServerState) -> str | None:
    """
    Say why a new client should rather go elsewhere.

    @return: C{None} where it is welcome.
    """
    factory = server.factory
    if factory.held:
        return "starting"
    if not server.isReady:
        return "stopping"
    if factory.isFull:
        return "full: max-connections"
    return None


class Health(Resource):
    """
    C{/-/health}, with C{/-/health/live} and C{/-/health/ready}.
    """

    def __init__(self, server: ServerState) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._server = server

    def getChild(self, path: bytes, request: Request) -> IResource:
        if path == b"live":
            return _Live()  # type: ignore[no-untyped-call]
        if path == b"ready":
            return _Ready(self._server)
        if path == b"":
            return self
        return notFound()

    def render_GET(self, request: Request) -> bytes:
        reason = whyNotReady(self._server)
        answer: dict[str, object] = {"live": True, "ready": reason is None}
        return _answer(request, answer, reason)


class _Live(Resource):
    """
    Says that the reactor turns, by saying anything.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        return _answer(request, {"live": True}, None)


class _Ready(Resource):
    """
    Says whether new clients are welcome.
    """

    isLeaf = True

    def __init__(self, server: ServerState) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._server = server

    def render_GET(self, request: Request) -> bytes:
        reason = whyNotReady(self._server)
        return _answer(request, {"ready": reason is None}, reason)


def _answer(request: Request, answer: dict[str, object], reason: str | None) -> bytes:
    """
    Answer in JSON: 200, or 503 where there is a reason.
    """
    if reason is not None:
        request.setResponseCode(503)
        answer["reason"] = reason
    request.setHeader(b"Content-Type", b"application/json")
    request.setHeader(b"Cache-Control", b"no-store")
    return json.dumps(answer).encode("ascii") + b"\n"
