"""
Answers to plain HTTP requests that don't need C{twisted.web}: what an
L{IPlainResource<wsplug.interfaces.IPlainResource>} is made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from zope.interface import implementer

from wsplug.errors import HandshakeRefused
from wsplug.interfaces import IPlainRequest, IPlainResource
from wsplug.responses import FileBody, Response

__all__ = [
    "TEXT",
    "FileBody",
    "PlainResource",
    "Response",
    "methodNotAllowed",
    "notFound",
    "redirect",
    "refused",
]

TEXT: Final = (b"Content-Type", b"text/plain; charset=utf-8")
"""
The header of answers that are a line of text.
"""

_NOT_STORED: Final = (b"Cache-Control", b"no-store")

_METHODS: Final = frozenset(
    (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE")
) | {b"PATCH"}
"""
Those that everybody knows (RFC 9110 section 9.1, RFC 5789).
"""


def refused(refusal: HandshakeRefused) -> Response:
    """
    Make the answer that a refusal is.
    """
    if refusal.body is not None:
        return Response(refusal.status, refusal.headers, refusal.body)
    body = refusal.reason.encode("utf-8") + b"\n" if refusal.reason else b""
    return Response(refusal.status, [*refusal.headers, TEXT, _NOT_STORED], body)


def notFound() -> Response:
    """
    Say that nothing is at a path.
    """
    return Response(404, [TEXT], b"nothing is here\n")


def redirect(location: bytes) -> Response:
    """
    Say where to go.

    @param location: a URI, which may be relative; percent-encoded.
    """
    return Response(302, [(b"Location", location), TEXT], b"it is elsewhere\n")


def methodNotAllowed(method: bytes, allowed: Sequence[bytes]) -> Response:
    """
    Say which methods there are (RFC 9110 section 15.5.6), or that nobody knows this one
    (section 15.6.2).

    @param method: the request's.
    """
    if method not in _METHODS:
        return Response(501, [TEXT], b"this method isn't known here\n")
    headers = [(b"Allow", b", ".join(allowed)), TEXT]
    return Response(405, headers, b"this method isn't allowed here\n")


@implementer(IPlainResource)
class PlainResource:
    """
    What is at one path, with or without a slash behind it, and takes no bodies:
    subclasses answer.

    @ivar methods: those that it answers to.
    """

    maxBodySize = 0
    methods: Sequence[bytes] = (b"GET", b"HEAD")

    def find(self, request: IPlainRequest) -> IPlainResource | None:
        return self if request.postpath in ([], [b""]) else None

    def judge(self, request: IPlainRequest) -> Response | None:
        if request.method in self.methods:
            return None
        return methodNotAllowed(request.method, self.methods)

    def respond(self, request: IPlainRequest) -> Any:
        raise NotImplementedError
