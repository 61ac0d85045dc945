"""
The page of an application with rooms, which is the same for all of them.
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
    Answers each room's path with the page, and the page's files below each of them.
    """

    isLeaf = True

    def __init__(self, folder: str, *, deep: bool) -> None:
        """
        @param folder: of the page, its C{index.html}, and its files.
        @param deep: whether a room's name may have several segments.
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
            # Relative addresses would lead beside the application.
            return request.redirect(_quoted(prepath[-1]) + b"/") or b""
        depth = len(segments) - 1
        if depth > 0 and not self._deep:
            return notFound().render(request)
        if depth > 0 and segments[-2] == b"-":
            # The server's own files are below the application's path only.
            target = b"../" * depth + b"-/" + _quoted(segments[-1])
            return request.redirect(target) or b""
        path = self._files.get(segments[-1], self._files[b"index.html"])
        request.setHeader(b"Cache-Control", b"no-cache")
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        return File(path).render(request)

    render_HEAD = render_GET


def _quoted(segment: bytes) -> bytes:
    return quote_from_bytes(segment, safe="").encode("ascii")
