"""
The chat's page, which is the same for all rooms.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_from_bytes

from twisted.web.resource import Resource
from twisted.web.server import Request
from twisted.web.static import File

__all__ = ["ChatPages"]

_FOLDER: Final = Path(__file__).with_name("pages")


class ChatPages(Resource):
    """
    Answers each room's path with the page, and the page's files below each of them.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._files = {
            name.encode("ascii"): str(_FOLDER / name) for name in os.listdir(_FOLDER)
        }

    def render_GET(self, request: Request) -> Any:
        segments: Any = request.postpath
        prepath: Any = request.prepath
        if not segments:
            # Relative addresses would lead beside the chat.
            return request.redirect(_quoted(prepath[-1]) + b"/") or b""
        depth = len(segments) - 1
        if depth > 0 and segments[-2] == b"-":
            # The server's own files are below the chat's path only.
            target = b"../" * depth + b"-/" + _quoted(segments[-1])
            return request.redirect(target) or b""
        path = self._files.get(segments[-1], self._files[b"index.html"])
        request.setHeader(b"Cache-Control", b"no-cache")
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        return File(path).render(request)

    render_HEAD = render_GET


def _quoted(segment: bytes) -> bytes:
    return quote_from_bytes(segment, safe="").encode("ascii")
