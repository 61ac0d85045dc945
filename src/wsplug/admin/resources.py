"""
Operators' resources for plain HTTP: the status page's files, and resources that need
the token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from zope.interface import implementer

from wsplug.admin.access import Access, AccessDenied
from wsplug.interfaces import IPlainRequest, IPlainResource
from wsplug.plain import TEXT, PlainResource, Response, redirect
from wsplug.staticfiles import StaticFiles

__all__ = ["Guarded", "ToStatus", "statusPages"]

_PAGES: Final = Path(__file__).with_name("pages")

_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""
The page's Content Security Policy (Level 3): it may only load its own files and connect
to its own server, and no page may show it in a frame.
"""


_HEADERS: Final = (
    (b"Content-Security-Policy", _POLICY),
    (b"X-Frame-Options", b"DENY"),
    (b"Referrer-Policy", b"no-referrer"),
)


def statusPages() -> StaticFiles:
    """
    Return the files of the status page.
    """
    return StaticFiles(_PAGES, headers=_HEADERS)


@implementer(IPlainResource)
class Guarded:
    """
    A resource that needs the token: C{Authorization: Bearer TOKEN} (RFC 6750).
    """

    maxBodySize = 0

    def __init__(self, resource: IPlainResource, access: Access) -> None:
        self._resource = resource
        self._access = access

    def find(self, request: IPlainRequest) -> IPlainResource | None:
        refusal = None if self._access.isOpen else self._judge(request)
        return self._resource.find(request) if refusal is None else _Denied(refusal)

    def _judge(self, request: IPlainRequest) -> AccessDenied | None:
        header = request.getHeader(b"authorization") or b""
        scheme, _, token = header.partition(b" ")
        if scheme.lower() != b"bearer":
            return AccessDenied("a token is needed")
        try:
            self._access.check(
                token.strip().decode("latin-1"), request.getClientAddress()
            )
        except AccessDenied as error:
            return error.with_traceback(None)
        return None

    def judge(self, request: IPlainRequest) -> Response | None:
        return self._resource.judge(request)

    def respond(self, request: IPlainRequest) -> Any:
        return self._resource.respond(request)


class _Denied(PlainResource):
    """
    Answers every request with the reason why the client isn't an operator.
    """

    def __init__(self, error: AccessDenied) -> None:
        self._error = error

    def judge(self, request: IPlainRequest) -> Response:
        error = self._error
        headers = [TEXT, (b"Cache-Control", b"no-store")]
        status = 401
        if error.retryAfter:
            status = 429
            headers.append((b"Retry-After", b"%d" % error.retryAfter))
        else:
            headers.append((b"WWW-Authenticate", b'Bearer realm="wsplug"'))
        return Response(status, headers, f"{error}\n".encode("ascii"))


class ToStatus(PlainResource):
    """
    Redirects the root of an admin endpoint to the status page.
    """

    def respond(self, request: IPlainRequest) -> Response:
        return redirect(b"-/status/")
