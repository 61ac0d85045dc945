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

from wsplug.auth.authenticator import Authenticator
from wsplug.folder import Folder
from wsplug.server.mounts import Mounts
from wsplug.web.guarded import GuardedPages

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
            return _descend(Folder(str(_STATIC)), request, segments, depth + 1)
        if found is None:
            return notFound()
        pages = found[0].application.pages
        if pages is None:
            return _UpgradeRequired()  # type: ignore[no-untyped-call]
        resource: Any = Folder(pages) if isinstance(pages, str) else pages
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


def makeSite(
    mounts: Mounts, clock: IReactorTime, authenticator: Authenticator | None = None
) -> Site:
    """
    Make the site for a server's applications.

    @param mounts: where they are.
    @param clock: for its timeouts.
    @param authenticator: has visitors log in, if it asks for passwords.
    """
    root: Resource = _MountedPages(mounts)
    if authenticator is not None and authenticator.asksPages:
        root = GuardedPages(root, mounts, authenticator)
    site = Site(root, reactor=clock)
    site.noisy = False
    return site
