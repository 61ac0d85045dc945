"""
C{/-/health}: what load balancers and orchestrators ask.

The server is I{live} as long as it answers at all, and I{ready} while new clients are
welcome. Who is ill is restarted, who isn't ready is only sent nobody: so a server that
starts, stops or is full is live, but not ready.
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
    Says that the reactor turns, by saying anything.
    """

    def respond(self, request: IPlainRequest) -> Response:
        return _answer({"live": True}, None)


_LIVE: Final = _Live()


class _Ready(PlainResource):
    """
    Says whether new clients are welcome.
    """

    def __init__(self, server: ServerState) -> None:
        self._server = server

    def respond(self, request: IPlainRequest) -> Response:
        reason = whyNotReady(self._server)
        return _answer({"ready": reason is None}, reason)


def _answer(answer: dict[str, object], reason: str | None) -> Response:
    """
    Answer in JSON: 200, or 503 where there is a reason.
    """
    if reason is not None:
        answer["reason"] = reason
    return Response(
        200 if reason is None else 503,
        [(b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store")],
        json.dumps(answer).encode("ascii") + b"\n",
    )
