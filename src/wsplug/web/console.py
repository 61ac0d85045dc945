"""
The console: a page to try an application that has no pages of its own.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes

from wsplug.interfaces import IPlainRequest, IPlainResource
from wsplug.plain import TEXT, PlainResource, Response, redirect
from wsplug.staticfiles import HEADERS

__all__ = ["Console", "UpgradeRequired"]

_PAGE: Final = Path(__file__).with_name("console") / "index.html"


class UpgradeRequired(PlainResource):
    """
    Answers every request with 426: the application has no pages, only WebSockets (RFC
    9110 section 15.5.22).
    """

    def find(self, request: IPlainRequest) -> IPlainResource | None:
        return self

    def judge(self, request: IPlainRequest) -> Response:
        headers = [(b"Upgrade", b"websocket"), TEXT]
        return Response(426, headers, b"this is a WebSocket server\n")


class Console(UpgradeRequired):
    """
    Answers browsers with the page at the application's own path. Everything else gets
    a 426.
    """

    def judge(self, request: IPlainRequest) -> Response:
        rest = request.postpath
        if (
            request.method not in self.methods
            or rest not in ([], [b""])
            or not _isBrowsers(request)
        ):
            return super().judge(request)
        if not rest and request.prepath:
            # Without the slash, relative links on the page lead elsewhere.
            name = quote_from_bytes(request.prepath[-1], safe="").encode("ascii")
            _, mark, query = request.uri.partition(b"?")
            return redirect(name + b"/" + mark + query)
        kind = (b"Content-Type", b"text/html; charset=utf-8")
        return Response(200, [kind, (b"Vary", b"Accept"), *HEADERS], _readPage())


def _isBrowsers(request: IPlainRequest) -> bool:
    """
    Return whether a request asks for a page, as browsers do.
    """
    return any(b"text/html" in each for each in request.getHeaders(b"accept"))


@cache
def _readPage() -> bytes:
    return _PAGE.read_bytes()
