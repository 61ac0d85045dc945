"""
Responses to plain HTTP requests without C{twisted.web}: the building blocks of an
L{IPlainResource<wsplug.interfaces.IPlainResource>}.
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
    "JSONResource",
    "PlainResource",
    "Response",
    "methodNotAllowed",
    "notFound",
    "redirect",
    "refused",
]

TEXT: Final = (b"Content-Type", b"text/plain; charset=utf-8")
"""
The header of responses that are a line of text.
"""

_NOT_STORED: Final = (b"Cache-Control", b"no-store")

_METHODS: Final = frozenset(
    (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE")
) | {b"PATCH"}
"""
The standard methods (RFC 9110 section 9.1, RFC 5789).
"""


def refused(refusal: HandshakeRefused) -> Response:
    """
    Make the response for a refusal.
    """
    if refusal.body is not None:
        return Response(refusal.status, refusal.headers, refusal.body)
    body = refusal.reason.encode("utf-8") + b"\n" if refusal.reason else b""
    return Response(refusal.status, [*refusal.headers, TEXT, _NOT_STORED], body)


def notFound() -> Response:
    """
    Make a 404 response.
    """
    return Response(404, [TEXT], b"nothing is here\n")


def redirect(location: bytes) -> Response:
    """
    Make a 302 response.

    @param location: a URI, percent-encoded. It may be relative.
    """
    return Response(302, [(b"Location", location), TEXT], b"it is elsewhere\n")


def methodNotAllowed(method: bytes, allowed: Sequence[bytes]) -> Response:
    """
    Make a 405 response with the allowed methods (RFC 9110 section 15.5.6), or a 501
    response to an unknown method (section 15.6.2).

    @param method: the request's method.
    @param allowed: the methods of the resource.
    """
    if method not in _METHODS:
        return Response(501, [TEXT], b"this method isn't known here\n")
    headers = [(b"Allow", b", ".join(allowed)), TEXT]
    return Response(405, headers, b"this method isn't allowed here\n")


@implementer(IPlainResource)
class PlainResource:
    """
    A resource at one path, with or without a final slash, that takes no bodies.
    Subclasses implement L{respond}.

    @ivar methods: the methods that it answers.
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


class JSONResource(PlainResource):
    """
    A document in JSON, which stays the same.
    """

    def __init__(self, body: bytes) -> None:
        """
        @param body: the encoded document.
        """
        self._body = body

    def respond(self, request: IPlainRequest) -> Response:
        headers = [
            (b"Content-Type", b"application/json"),
            (b"Cache-Control", b"no-cache"),
            (b"X-Content-Type-Options", b"nosniff"),
        ]
        return Response(200, headers, self._body)
