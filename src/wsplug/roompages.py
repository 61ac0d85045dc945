"""
Serves the same page in each room of an application.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_from_bytes

from wsplug.interfaces import IPlainRequest, IPlainResource
from wsplug.plain import PlainResource, notFound, redirect
from wsplug.staticfiles import refuseFile, sendFile

__all__ = ["RoomPages"]


class RoomPages(PlainResource):
    """
    Serves the page at each room's path, and the page's files below each of these paths.
    """

    def __init__(
        self,
        folder: str,
        *,
        deep: bool,
        others: Mapping[bytes, PlainResource] | None = None,
    ) -> None:
        """
        @param folder: the folder that holds the page, C{index.html}, and its files.
        @param deep: whether a room's name may have several path segments.
        @param others: what is served besides the folder's files, by name.
        """
        self._deep = deep
        self._others = others or {}
        self._files = {
            os.fsencode(name): os.path.join(folder, name) for name in os.listdir(folder)
        }

    def find(self, request: IPlainRequest) -> IPlainResource | None:
        return self

    def respond(self, request: IPlainRequest) -> Any:
        segments = request.postpath
        if not segments:
            # Without the slash, relative URLs wouldn't point below the application.
            return redirect(_quoted(request.prepath[-1]) + b"/")
        depth = len(segments) - 1
        if depth > 0 and not self._deep:
            return notFound()
        if depth > 0 and segments[-2] == b"-":
            # The server's built-in files are only below the application's own path.
            return redirect(b"../" * depth + b"-/" + _quoted(segments[-1]))
        other = self._others.get(segments[-1])
        if other is not None:
            return other.respond(request)
        path = self._files.get(segments[-1], self._files[b"index.html"])
        try:
            return sendFile(request, path)
        except OSError as error:
            return refuseFile(error)


def _quoted(segment: bytes) -> bytes:
    return quote_from_bytes(segment, safe="").encode("ascii")
