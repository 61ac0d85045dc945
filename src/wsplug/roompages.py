"""
Serves the same page in each room of an application.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote_from_bytes

from twisted.web.pages import notFound
from twisted.web.resource import Resource
from twisted.web.server import Request
from twisted.web.static import File

__all__ = ["RoomPages"]


class RoomPages(Resource):
    """
    Serves the page at each room's path, and the page's files below each of these paths.
    """

    isLeaf = True

    def __init__(self, folder: str, *, deep: bool) -> None:
        """
        @param folder: the folder that holds the page, C{index.html}, and its files.
        @param deep: whether a room's name may have several path segments.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._deep = deep
        self._files = {
            os.fsencode(name): os.path.join(folder, name) for name in os.listdir(folder)
        }

    def render_GET(self, request: Request) -> Any:
        segments: Any = request.postpath
        prepath: Any = request.prepath
        if not segments:
            # Without the slash, relative URLs wouldn't point below the application.
            return request.redirect(_quoted(prepath[-1]) + b"/") or b""
        depth = len(segments) - 1
        if depth > 0 and not self._deep:
            return notFound().render(request)
        if depth > 0 and segments[-2] == b"-":
            # The server's built-in files are only below the application's own path.
            target = b"../" * depth + b"-/" + _quoted(segments[-1])
            return request.redirect(target) or b""
        path = self._files.get(segments[-1], self._files[b"index.html"])
        request.setHeader(b"Cache-Control", b"no-cache")
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        return File(path).render(request)

    render_HEAD = render_GET


def _quoted(segment: bytes) -> bytes:
    return quote_from_bytes(segment, safe="").encode("ascii")
