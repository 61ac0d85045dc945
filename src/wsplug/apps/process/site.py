"""
The page of the rooms, which is the same for all of them.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

from twisted.web.pages import notFound
from twisted.web.resource import Resource
from twisted.web.server import Request
from twisted.web.static import File

__all__ = ["RoomPages"]


class RoomPages(Resource):
    """
    Answers each room's path with the page, and the page's files beside it.
    """

    isLeaf = True

    def __init__(self, folder: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._files = {
            os.fsencode(name): os.path.join(folder, name) for name in os.listdir(folder)
        }

    def render_GET(self, request: Request) -> Any:
        segments: Any = request.postpath
        prepath: Any = request.prepath
        if not segments:
            # Relative addresses would lead beside the application.
            return request.redirect(quote(prepath[-1]).encode("ascii") + b"/") or b""
        if len(segments) > 1:
            return notFound().render(request)
        path = self._files.get(segments[0], self._files[b"index.html"])
        request.setHeader(b"Cache-Control", b"no-cache")
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        return File(path).render(request)

    render_HEAD = render_GET
