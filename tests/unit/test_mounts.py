"""Which application is at which path (wsplug.server.mounts)."""

from __future__ import annotations

import pytest

from tests.server.kit import App
from wsplug import Mount
from wsplug.errors import InvalidOption
from wsplug.interfaces import IWebSocketApplication
from wsplug.server.mounts import Mounts, splitPath


def names(*paths: str) -> Mounts:
    return Mounts(Mount(path, App(), path) for path in paths)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"/", "/"),
        (b"/x/y", "/"),
        (b"/a", "/a"),
        (b"/a/", "/a"),
        (b"/a/x", "/a"),
        (b"/a/b", "/a/b"),
        (b"/a/b/c/d", "/a/b"),
        (b"/a%2Fb", "/"),
        (b"/%61", "/a"),
        (b"/A", "/"),
        (b"/ab", "/"),
        (b"//a", "/"),
        (b"/a/../c", "/a"),
        (b"/%C3%BC", "/ü"),
        (b"/x", "/"),
    ],
)
def test_find(path: bytes, found: str) -> None:
    """The deepest mount that a path leads through."""
    result = names("/", "/a", "/a/b", "/c", "/ü").find(splitPath(path))
    assert result is not None
    mount, depth = result
    assert mount.name == found
    assert depth == len(mount.segments)


def test_find_nothing() -> None:
    """Without one at the root there may be none."""
    assert names("/a/b").find(splitPath(b"/a")) is None
    assert names("/a").find(splitPath(b"/")) is None
    assert names().find(splitPath(b"/")) is None


@pytest.mark.parametrize("path", ["", "a", "chat/", "//a", "/a//b", "/a?b"])
def test_wrong_path(path: str) -> None:
    """A path that none can be, in one line."""
    with pytest.raises(InvalidOption, match="a path to mount at is like"):
        Mount(path, App())


@pytest.mark.parametrize(
    ("path", "trimmed", "name", "url"),
    [
        ("/", "/", "/", "/"),
        ("/a/", "/a", "a", "/a"),
        ("/a/b", "/a/b", "a/b", "/a/b"),
        ("/ü", "/ü", "ü", "/%C3%BC"),
    ],
)
def test_path(path: str, trimmed: str, name: str, url: str) -> None:
    """A slash at the end doesn't matter; the name comes from the path."""
    mount = Mount(path, App())
    assert (mount.path, mount.name, mount.url) == (trimmed, name, url)


def test_same_path() -> None:
    """Two at one path: both are named."""
    with pytest.raises(InvalidOption, match="/a and /a/ are both mounted at /a;"):
        names("/a", "/a/")


def test_bare_factory() -> None:
    """What only has buildProtocol, as Twisted's own WebSocket factories, will do."""

    class Factory:
        def buildProtocol(self, request: object) -> str:
            return "protocol"

    application = Mount("/", Factory()).application  # type: ignore[arg-type]
    assert IWebSocketApplication.providedBy(application)
    assert application.buildProtocol(None) == "protocol"  # type: ignore[arg-type]
    assert application.startApplication() is None
    assert application.stopApplication() is None
    assert (tuple(application.subprotocols), application.pages) == ((), None)


def test_no_application() -> None:
    """What hasn't, won't."""
    with pytest.raises(TypeError, match="is no application"):
        Mount("/", object())  # type: ignore[arg-type]
