"""
The site in front of the applications: each one's pages at its path, and what the server
itself has to offer at C{/-/}.

What is at C{/-/} is below each application's path too (C{/chat/-/wsplug.js}): so a page
refers to it as C{-/wsplug.js}, wherever it is mounted, and behind whatever proxy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site
from twisted.web.static import File

from wsplug.server.mounts import Mounts

__all__ = ["makeSite"]


OWN: Final = b"-"
"""
The segment of a path below which is what the server itself has to offer.
"""

_STATIC: Final = Path(__file__).with_name("static")


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

    def render_GET(self, request: Request) -> Any:
        # Ask again each time, at the price of a 304: after an update of the server,
        # no page runs with a script from before.
        request.setHeader(b"Cache-Control", b"no-cache")
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        return super().render_GET(request)  # type: ignore[no-untyped-call]

    render_HEAD = render_GET


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
        depth = 0 if found is None else found[1]
        if segments[depth : depth + 1] == [OWN]:
            return _descend(_Folder(str(_STATIC)), request, segments, depth + 1)
        if found is None:
            return notFound()
        pages = found[0].application.pages
        if pages is None:
            return _UpgradeRequired()  # type: ignore[no-untyped-call]
        resource: Any = _Folder(pages) if isinstance(pages, str) else pages
        return _descend(resource, request, segments, depth)


def _descend(
    resource: Any, request: Request, segments: list[bytes], depth: int
) -> IResource:
    """
    Have a resource found by what of the path is below its own.
    """
    prepath: Any = request.prepath
    postpath: Any = request.postpath
    prepath[:] = segments[:depth]
    postpath[:] = segments[depth:]
    found: IResource = resource
    return found


def makeSite(mounts: Mounts, clock: IReactorTime) -> Site:
    """
    Make the site for a server's applications.

    @param mounts: where they are.
    @param clock: for its timeouts.
    """
    site = Site(_MountedPages(mounts), reactor=clock)
    site.noisy = False
    return site
