"""
C{/-/health}: the health checks of load balancers and orchestrators.

The server is I{live} as long as it answers at all, and I{ready} while it accepts new
clients. An orchestrator restarts a server that isn't live. It sends no clients to one
that isn't ready. So a server that is starting, stopping or full is live, but not ready.
"""

from __future__ import annotations

import json
from typing import Final, Protocol

from wsplug.interfaces import IPlainRequest, IPlainResource
from wsplug.plain import PlainResource, Response
from wsplug.server.factory import WebSocketFactory

__all__ = ["Health", "ServerState", "whyNotReady"]


class ServerState(Protocol):
    """
    The state that health checks read. L{wsplug.WebSocketService} provides it.
    """

    factory: WebSocketFactory

    @property
    def isReady(self) -> bool:
        """
        Whether the server listens, all applications have started, and it isn't
        stopping.
        """


def whyNotReady(server: ServerState) -> str | None:
    """
    Return why a new client should connect to another server.

    @return: C{None} if this server is ready.
    """
    factory = server.factory
    if factory.starting:
        return "starting"
    if not server.isReady:
        return "stopping"
    if factory.isFull:
        return "full: max-connections"
    return None


class Health(PlainResource):
    """
    C{/-/health}, with C{/-/health/live} and C{/-/health/ready}.
    """

    def __init__(self, server: ServerState) -> None:
        self._server = server

    def find(self, request: IPlainRequest) -> IPlainResource | None:
        rest = request.postpath
        if rest == [b"live"]:
            return _LIVE
        if rest == [b"ready"]:
            return _Ready(self._server)
        return super().find(request)

    def respond(self, request: IPlainRequest) -> Response:
        reason = whyNotReady(self._server)
        answer: dict[str, object] = {"live": True, "ready": reason is None}
        return _answer(answer, reason)


class _Live(PlainResource):
    """
    Shows that the reactor runs: it always answers 200.
    """

    def respond(self, request: IPlainRequest) -> Response:
        return _answer({"live": True}, None)


_LIVE: Final = _Live()


class _Ready(PlainResource):
    """
    Answers whether the server is ready.
    """

    def __init__(self, server: ServerState) -> None:
        self._server = server

    def respond(self, request: IPlainRequest) -> Response:
        reason = whyNotReady(self._server)
        return _answer({"ready": reason is None}, reason)


def _answer(answer: dict[str, object], reason: str | None) -> Response:
    """
    Answer in JSON: 200, or 503 with a reason.
    """
    if reason is not None:
        answer["reason"] = reason
    return Response(
        200 if reason is None else 503,
        [(b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store")],
        json.dumps(answer).encode("ascii") + b"\n",
    )
