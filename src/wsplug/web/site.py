"""
The site in front of the applications: each one's pages at its path, and what the server
itself has to offer at C{/-/}.

The files at C{/-/} are below each application's path too (C{/chat/-/wsplug.js}): so a
page refers to them as C{-/wsplug.js}, wherever it is mounted, and behind whatever
proxy. What tells of the server, as C{/-/health}, is at the root only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

from wsplug.auth.authenticator import Authenticator
from wsplug.folder import Folder
from wsplug.guard.framing import frameHeaders
from wsplug.guard.origins import SAME_HOST
from wsplug.networks import nameOfAddress
from wsplug.server.adapting import folderOf
from wsplug.server.mounts import Mounts
from wsplug.web.guarded import GuardedPages

__all__ = ["makeSite"]


OWN: Final = b"-"
"""
The segment of a path below which is what the server itself has to offer.
"""

_LONGEST: Final = 200
"""
Bytes of a path that are logged: whoever asks for what isn't here may ask at length.
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

    def __init__(
        self,
        mounts: Mounts,
        own: Mapping[bytes, IResource],
        headers: Sequence[tuple[bytes, bytes]],
    ) -> None:
        """
        @param headers: of each response, unless what answers sets others.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._mounts = mounts
        self._own = own
        self._headers = headers

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        for name, value in self._headers:
            request.setHeader(name, value)
        prepath: Any = request.prepath
        postpath: Any = request.postpath
        segments = [*prepath, *postpath]
        if _isOwn(segments, self._own):
            return _descend(self._own[segments[1]], request, segments, 2)
        found = self._mounts.find(segments)
        depth = 0 if found is None else found[1]
        if segments[depth : depth + 1] == [OWN]:
            return _descend(Folder(str(_STATIC)), request, segments, depth + 1)
        if found is None:
            return notFound()
        pages = found[0].application.pages
        if pages is None:
            return _UpgradeRequired()  # type: ignore[no-untyped-call]
        folder = folderOf(pages)
        resource: Any = pages if folder is None else Folder(folder)
        return _descend(resource, request, segments, depth)


def _isOwn(segments: list[bytes], own: Mapping[bytes, IResource]) -> bool:
    """
    Say whether a path is that of something that tells of the server.
    """
    return segments[:1] == [OWN] and len(segments) > 1 and segments[1] in own


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


class _Site(Site):
    """
    Knows what of it tells of the server, and logs requests as wsplug logs connections:
    nothing of a query or another header, for there may be secrets in those, and nothing
    of health checks and the like.
    """

    _log = Logger()

    # Resources below it that want forms parsed have this as True.
    parsesForms = False

    def __init__(
        self, resource: IResource, clock: IReactorTime, own: Mapping[bytes, IResource]
    ) -> None:
        super().__init__(resource, reactor=clock)  # type: ignore[no-untyped-call]
        self.noisy = False
        self._own = own

    def isHealthCheck(self, path: bytes) -> bool:
        """
        Say whether what is at a path is to be had also where nothing else is.
        """
        return self._ownName(path) == b"health" and b"health" in self._own

    def _ownName(self, path: bytes) -> bytes:
        """
        Give the name below C{/-/}; empty for other paths.
        """
        first, _, rest = path[1:].partition(b"/")
        return rest.partition(b"/")[0] if first == OWN else b""

    def log(self, request: Any) -> None:
        path: bytes = request.path
        if self._ownName(path) in self._own:
            return
        client = request.getClientAddress()
        if not request.channel.logLimit.allows(client, "requests"):
            return
        self._log.info(
            "{peer} {method} {path}: {status}",
            peer=nameOfAddress(client),
            method=request.method.decode("ascii", "backslashreplace"),
            path=path[:_LONGEST].decode("ascii", "backslashreplace"),
            status=request.code,
        )


_NOTHING: Final[Mapping[bytes, IResource]] = MappingProxyType({})


def makeSite(
    mounts: Mounts,
    clock: IReactorTime,
    own: Mapping[bytes, IResource] = _NOTHING,
    authenticator: Authenticator | None = None,
    frameAncestors: Sequence[str] = (SAME_HOST,),
) -> Site:
    """
    Make the site for a server's applications.

    @param mounts: where they are.
    @param clock: for its timeouts.
    @param own: what tells of the server, by its name below C{/-/}. It is looked up for
        each request, so that it can be filled later.
    @param authenticator: has visitors log in, if it asks for passwords.
    @param frameAncestors: which sites may show the pages in a frame; see
        L{wsplug.guard.framing.frameHeaders}.
    @raise ValueError: one of those is none.
    """
    root: Resource = _MountedPages(mounts, own, frameHeaders(frameAncestors))
    if authenticator is not None and authenticator.asksPages:
        root = GuardedPages(root, mounts, authenticator, lambda path: _isOwn(path, own))
    return _Site(root, clock, own)
