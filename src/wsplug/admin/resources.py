"""
What plain HTTP gets of what is an operator's: the page's files, and what only those see
who may.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from twisted.web.resource import IResource, Resource
from twisted.web.server import Request
from twisted.web.util import redirectTo
from zope.interface import implementer

from wsplug.admin.access import Access, AccessDenied
from wsplug.folder import Folder

__all__ = ["AdminRoot", "Guarded", "StatusPages"]

_PAGES: Final = Path(__file__).with_name("pages")

_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""
What the page may do (Content Security Policy Level 3): nothing but load its own files
and talk to its own server. Nobody may put it into a frame, to have clicks land in it.
"""


class StatusPages(Folder):
    """
    The status page.
    """

    def __init__(self, path: str = str(_PAGES), *arguments: Any) -> None:
        super().__init__(path, *arguments)

    def render_GET(self, request: Request) -> Any:
        request.setHeader(b"Content-Security-Policy", _POLICY)
        request.setHeader(b"X-Frame-Options", b"DENY")
        request.setHeader(b"Referrer-Policy", b"no-referrer")
        return super().render_GET(request)

    render_HEAD = render_GET


class Guarded(Resource):
    """
    A resource for those who know the token: C{Authorization: Bearer TOKEN} (RFC 6750).
    """

    isLeaf = True

    def __init__(self, resource: IResource, access: Access) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._resource: Any = resource
        self._access = access

    def render(self, request: Request) -> Any:
        if not self._access.isOpen:
            header = request.getHeader(b"authorization") or b""
            scheme, _, token = header.partition(b" ")
            if scheme.lower() != b"bearer":
                return _refuse(request, AccessDenied("a token is needed"))
            try:
                self._access.check(
                    token.strip().decode("latin-1"), request.getClientAddress()
                )
            except AccessDenied as error:
                return _refuse(request, error)
        return self._resource.render(request)


def _refuse(request: Request, error: AccessDenied) -> bytes:
    if error.retryAfter:
        request.setResponseCode(429, b"Too Many Requests")
        request.setHeader(b"Retry-After", b"%d" % error.retryAfter)
    else:
        request.setResponseCode(401, b"Unauthorized")
        request.setHeader(b"WWW-Authenticate", b'Bearer realm="wsplug"')
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    request.setHeader(b"Cache-Control", b"no-store")
    return f"{error}\n".encode("ascii")


@implementer(IResource)
class AdminRoot:
    """
    The root of an admin endpoint.
    """

    isLeaf = False

    def __init__(self, root: Any) -> None:
        """
        @param root: what is behind it.
        """
        self._root = root

    def getChildWithDefault(self, name: bytes, request: Request) -> IResource:
        postpath: Any = request.postpath
        if name == b"" and not postpath:
            return _ToStatus()  # type: ignore[no-untyped-call]
        child: IResource = self._root.getChildWithDefault(name, request)
        return child

    def putChild(self, path: bytes, child: IResource) -> None:
        self._root.putChild(path, child)

    def render(self, request: Request) -> Any:
        return self._root.render(request)


class _ToStatus(Resource):
    """
    Shows the way to those who only know the port.
    """

    isLeaf = True

    def render(self, request: Request) -> bytes:
        return redirectTo(b"-/status/", request)
