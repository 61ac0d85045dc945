"""
The applications by their paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from twisted.web.resource import IResource

from wsplug.errors import InvalidOption
from wsplug.guard.origins import OriginRules
from wsplug.interfaces import IPlainResource, IWebSocketApplication
from wsplug.server.adapting import adaptApplication, checkApplication, checkPages
from wsplug.server.handling import HandlerRules, rulesOf
from wsplug.staticfiles import StaticFiles

__all__ = ["ANY", "Mount", "Mounts", "splitPath"]

ANY: Final = "*"
"""
Stands for any subprotocol: the first one that a client offers is taken.
"""


def splitPath(path: bytes) -> list[bytes]:
    """
    Split a path.

    @param path: a request's path, percent-encoded, with its leading slash.
    @return: its segments, decoded; C{[b""]} for C{/}.
    """
    segments = path[1:].split(b"/")
    return [*map(unquote_to_bytes, segments)] if b"%" in path else segments


@dataclass(frozen=True)
class Mount:
    """
    An application at a path.

    @ivar path: the path with a leading slash and none at its end, not percent-encoded:
        C{"/team/chat"}; C{"/"} for all paths that belong to no other mount.
    @ivar application: an L{IWebSocketApplication}. Any other object that has
        C{buildProtocol} is adapted: see
        L{adaptApplication<wsplug.server.adapting.adaptApplication>}.
    @ivar name: the application's name in the log.
    @ivar compression: whether its messages may be compressed. Switch it off if a
        message can contain both a secret and text that an attacker chooses.
    @ivar auth: whether its clients and the visitors of its pages must log in, if the
        server has logins.
    @ivar overlap: whether the handlers of a connection overlap, as those of
        C{twisted.web.websocket} do; C{None} if the application decides: see
        L{wsplug.interfaces.IHandlerRules}.
    @ivar subprotocols: the subprotocols that it takes in place of those that the
        application names; C{None} for those. See
        L{wsplug.interfaces.IWebSocketApplication}.
    @ivar folder: a folder of pages that answers plain HTTP requests in place of the
        application's own pages; C{None} for those. What a L{StaticFiles} of the
        application has besides files stays.
    @ivar origins: which pages may connect; C{None} for the server's rules.
    @ivar handlers: the rules for the application's handlers.
    """

    path: str
    application: IWebSocketApplication
    name: str = ""
    compression: bool = True
    auth: bool = True
    overlap: bool | None = None
    subprotocols: Sequence[str] | None = None
    folder: str | PathLike[str] | None = None
    origins: OriginRules | None = None
    handlers: HandlerRules = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        trimmed = self.path.rstrip("/") or "/"
        if not self.path.startswith("/") or "//" in trimmed or "?" in trimmed:
            raise InvalidOption(
                f"a mount's path must look like /chat or /team/chat, not {self.path!r}"
            )
        object.__setattr__(self, "path", trimmed)
        object.__setattr__(self, "handlers", rulesOf(self.application, self.overlap))
        if not self.name:
            object.__setattr__(self, "name", trimmed.strip("/") or "/")
        application = adaptApplication(self.application)
        object.__setattr__(self, "application", application)
        self.check()

    def check(self) -> None:
        """
        Check the application's members.

        @raise InvalidOption: a member is unusable. The message says how to correct it.
        """
        checkApplication(self.application, self.name)
        if self.folder is not None:
            checkPages(self.folder, self.name)

    @property
    def spoken(self) -> Sequence[str]:
        """
        The subprotocols that it takes.
        """
        if self.subprotocols is not None:
            return self.subprotocols
        return self.application.subprotocols

    @property
    def pages(self) -> str | PathLike[str] | IPlainResource | IResource | None:
        """
        What answers plain HTTP requests; see L{IWebSocketApplication}.
        """
        pages = self.application.pages
        if self.folder is None:
            return pages
        if isinstance(pages, StaticFiles):
            return pages.movedTo(self.folder)
        return self.folder

    @property
    def segments(self) -> list[bytes]:
        """
        The path's segments; empty for C{/}.
        """
        return [part for part in self.path.encode("utf-8").split(b"/") if part]

    @property
    def url(self) -> str:
        """
        The path, percent-encoded.
        """
        return quote(self.path)


class Mounts:
    """
    All of a server's applications.
    """

    def __init__(self, mounts: Iterable[Mount]) -> None:
        """
        @raise InvalidOption: two mounts have the same path.
        """
        self._bySegments: dict[tuple[bytes, ...], Mount] = {}
        for mount in mounts:
            key = tuple(mount.segments)
            if key in self._bySegments:
                other = self._bySegments[key]
                raise InvalidOption(
                    f"{other.name} and {mount.name} are both mounted at {mount.path}; "
                    "give one of them another path="
                )
            self._bySegments[key] = mount
        self._deepest = max(map(len, self._bySegments), default=0)

    def __iter__(self) -> Any:
        return iter(self._bySegments.values())

    def find(self, segments: Sequence[bytes]) -> tuple[Mount, int] | None:
        """
        Find the mount for a path: the one at the path itself, or at the nearest level
        above it.

        @param segments: from L{splitPath}.
        @return: the mount, and how many of the segments are its own; C{None} if there
            is no mount.
        """
        for depth in range(min(self._deepest, len(segments)), -1, -1):
            mount = self._bySegments.get(tuple(segments[:depth]))
            if mount is not None:
                return mount, depth
        return None
