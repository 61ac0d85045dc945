"""
The site in front of the applications: each application's pages at its path, and the
server's own files and resources at C{/-/}.

The files at C{/-/} are below each application's path too (C{/chat/-/wsplug.js}). So a
page can refer to them as C{-/wsplug.js}, wherever it is mounted, and behind any proxy.
The built-in resources, such as C{/-/health}, are at the root only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.web.pages import notFound as webNotFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

from wsplug.auth.authenticator import Authenticator
from wsplug.guard.framing import frameHeaders
from wsplug.guard.origins import SAME_ORIGIN
from wsplug.interfaces import IPlainRequest, IPlainResource
from wsplug.plain import PlainResource, Response, notFound
from wsplug.server.adapting import folderOf
from wsplug.server.http.requestlog import logRequest
from wsplug.server.http.routes import Route
from wsplug.server.mounts import Mount, Mounts
from wsplug.staticfiles import StaticFiles
from wsplug.web.console import Console, UpgradeRequired
from wsplug.web.index import Index

__all__ = ["makeSite"]


OWN: Final = b"-"
"""
The path segment below which the server's own files and resources are.
"""

_ConsoleRule = Callable[[Mount], bool]

_STATIC: Final = Path(__file__).with_name("static")


class _Nothing(PlainResource):
    """
    Answers with 404, and C{OPTIONS *} with the methods of the server as a whole (RFC
    9110 section 9.3.7).
    """

    def find(self, request: IPlainRequest) -> IPlainResource | None:
        return self

    def judge(self, request: IPlainRequest) -> Response:
        if request.method == b"OPTIONS" and request.uri == b"*":
            return Response(204, [(b"Allow", b"GET, HEAD, OPTIONS")])
        return notFound()


_UPGRADE: Final = UpgradeRequired()

_CONSOLE: Final = Console()

_NOTHING_HERE: Final = _Nothing()


class _ForeignPages(Resource):
    """
    The root for C{twisted.web}: finds the application's C{twisted.web} resource for a
    path.
    """

    def __init__(self, mounts: Mounts, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """
        @param headers: are added to each response that doesn't set them itself.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._mounts = mounts
        self._headers = headers

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        for name, value in self._headers:
            request.setHeader(name, value)
        prepath: Any = request.prepath
        postpath: Any = request.postpath
        segments = [*prepath, *postpath]
        found = self._mounts.find(segments)
        pages = None if found is None else found[0].pages
        if found is None or not IResource.providedBy(pages):
            return webNotFound()
        prepath[:] = segments[: found[1]]
        postpath[:] = segments[found[1] :]
        return pages


def _isOwn(segments: Sequence[bytes], own: Mapping[bytes, IPlainResource]) -> bool:
    """
    Return whether a path belongs to a built-in resource.
    """
    return len(segments) > 1 and segments[0] == OWN and segments[1] in own


class _Site(Site):
    """
    Routes requests, and logs them. The log leaves out queries and headers, which may
    contain secrets, and requests for built-in resources, such as health checks.
    """

    # A resource below the site can set this to True to have its forms parsed.
    parsesForms = False

    def __init__(
        self,
        mounts: Mounts,
        clock: IReactorTime,
        own: Mapping[bytes, IPlainResource],
        authenticator: Authenticator | None,
        headers: Sequence[tuple[bytes, bytes]],
        landing: IPlainResource | None,
        console: _ConsoleRule,
    ) -> None:
        root: Any = _ForeignPages(mounts, headers)
        super().__init__(root, reactor=clock)  # type: ignore[no-untyped-call]
        self.noisy = False
        self._mounts = mounts
        self._own = own
        self._authenticator = authenticator
        self._headers = headers
        self._landing = landing
        self._console = console
        self._landingAuthenticator: Authenticator | None = None
        self._static = StaticFiles(_STATIC)
        # The applications' folders, by their paths in the file system.
        self._folders: dict[str, StaticFiles] = {}

    def list(self, index: IPlainResource, authenticator: Authenticator | None) -> None:
        """
        Serve a list of the applications at C{/}.

        @param authenticator: logs visitors in; C{None} if they needn't.
        """
        self._landing = index
        self._landingAuthenticator = authenticator

    def hasPage(self, mount: Mount) -> bool:
        """
        Return whether there is a page at an application's path.
        """
        return mount.pages is not None or self._console(mount)

    def route(self, path: bytes, segments: Sequence[bytes]) -> Route:
        """
        Find the resource that answers a request: see
        L{wsplug.server.http.routes.Routes}.
        """
        headers = self._headers
        if not path.startswith(b"/"):
            return Route(_NOTHING_HERE, 0, headers)
        if _isOwn(segments, self._own):
            return Route(self._own[segments[1]], 2, headers, isLogged=False)
        if self._landing is not None and path == b"/":
            return Route(self._landing, 1, headers, self._landingAuthenticator)
        found = self._mounts.find(segments)
        authenticator = self._authenticator
        if found is not None and not found[0].auth:
            authenticator = None
        depth = 0 if found is None else found[1]
        if segments[depth : depth + 1] == [OWN]:
            return Route(self._static, depth + 1, headers, authenticator)
        if found is None:
            return Route(_NOTHING_HERE, 0, headers, authenticator)
        return Route(self._resourceOf(found[0]), depth, headers, authenticator)

    def _resourceOf(self, mount: Mount) -> IPlainResource | None:
        """
        Return the resource for an application's pages; C{None} if C{twisted.web}
        answers.
        """
        pages: Any = mount.pages
        if pages is None:
            return _CONSOLE if self._console(mount) else _UPGRADE
        folder = folderOf(pages)
        if folder is None:
            plain: IPlainResource | None
            plain = pages if IPlainResource.providedBy(pages) else None
            return plain
        files = self._folders.get(folder)
        if files is None:
            files = self._folders[folder] = StaticFiles(folder)
        return files

    def isHealthCheck(self, path: bytes) -> bool:
        """
        Return whether a path is that of the health check, which is served even where
        nothing else is.
        """
        return self._ownName(path) == b"health" and b"health" in self._own

    def _ownName(self, path: bytes) -> bytes:
        """
        Return the name below C{/-/}; empty for other paths.
        """
        first, _, rest = path[1:].partition(b"/")
        return rest.partition(b"/")[0] if first == OWN else b""

    def log(self, request: Any) -> None:
        """
        Log a request that C{twisted.web} has answered.
        """
        if self._ownName(request.path) in self._own:
            return
        limit, client = request.channel.logLimit, request.getClientAddress()
        logRequest(limit, client, request.method, request.path, request.code)
        verbose = request.channel.verbose
        if verbose is not None:
            verbose.served(client, request.method, request.uri, request.code)


_NOTHING: Final[Mapping[bytes, IPlainResource]] = MappingProxyType({})


def makeSite(
    mounts: Mounts,
    clock: IReactorTime,
    own: Mapping[bytes, IPlainResource] = _NOTHING,
    authenticator: Authenticator | None = None,
    frameAncestors: Sequence[str] = (SAME_ORIGIN,),
    landing: IPlainResource | None = None,
    console: bool = False,
) -> Site:
    """
    Make the site for a server's applications.

    @param mounts: the applications and their paths.
    @param clock: the clock for timeouts.
    @param own: the built-in resources, by their names below C{/-/}. Each request looks
        them up, so that you can add them later.
    @param authenticator: logs visitors in, if it asks for passwords.
    @param frameAncestors: the sites that may show the pages in a frame; see
        L{wsplug.guard.framing.frameHeaders}.
    @param landing: the resource at C{/}, in place of an application's page. By default,
        several applications of which none is at C{/} are listed there, for those who
        have logged in, if an application asks for that.
    @param console: whether applications without pages get a page to try them. It isn't
        shown where clients log in, but visitors of pages can't.
    @raise ValueError: one of C{frameAncestors} isn't valid.
    """
    every = authenticator
    isOpen = authenticator is None
    if authenticator is not None and not authenticator.asksPages:
        authenticator = None
    asksPages = authenticator is not None

    def hasConsole(mount: Mount) -> bool:
        return console and (isOpen or asksPages or not mount.auth)

    headers = frameHeaders(frameAncestors)
    site = _Site(mounts, clock, own, authenticator, headers, landing, hasConsole)
    listed = [mount for mount in mounts if mount.segments[:1] != [OWN]]
    if landing is None and len(listed) > 1 and all(each.segments for each in listed):
        asks = any(mount.auth for mount in listed)
        site.list(Index(listed, site.hasPage), every if asks else None)
    return site
