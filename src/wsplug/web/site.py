"""
The site in front of the applications: each one's folder of pages at its path.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site
from twisted.web.static import File

from wsplug.server.mounts import Mounts

__all__ = ["makeSite"]


class _UpgradeRequired(Resource):
    """
    Says that only WebSockets are to be had here (RFC 9110 section 15.5.22).
    """

    isLeaf = True

    def render(self, request: Request) -> bytes:
        request.setResponseCode(426, b"Upgrade Required")
        request.setHeader(b"Upgrade", b"websocket")
        request.setHeader(b"Connection", b"Upgrade")
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        return b"this is a WebSocket server\n"


class _Folder(File):
    """
    A folder of pages. What isn't a file in it, or the index of a folder, isn't there.
    """

    def getChild(self, path: bytes, request: Request) -> IResource:
        if b"\0" in path:
            return notFound()  # no file system has it, and some raise
        child: IResource = super().getChild(path, request)  # type: ignore[no-untyped-call]
        return child

    def directoryListing(self) -> IResource:
        return notFound()


class _MountedPages(Resource):
    """
    The root: finds the mount that a path belongs to.
    """

    def __init__(self, mounts: Mounts) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._mounts = mounts

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        prepath: Any = request.prepath
        postpath: Any = request.postpath
        segments = [*prepath, *postpath]
        found = self._mounts.find(segments)
        if found is None:
            return notFound()
        mount, depth = found
        prepath[:] = segments[:depth]
        postpath[:] = segments[depth:]
        pages = mount.application.pages
        if pages is None:
            return _UpgradeRequired()  # type: ignore[no-untyped-call]
        return _Folder(pages)


def makeSite(mounts: Mounts, clock: IReactorTime) -> Site:
    """
    Make the site for a server's applications.

    @param mounts: where they are.
    @param clock: for its timeouts.
    """
    site = Site(_MountedPages(mounts), reactor=clock)
    site.noisy = False
    return site
