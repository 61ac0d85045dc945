"""Which application is served at which path (wsplug.server.mounts)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.python.filepath import FilePath
from twisted.web.resource import Resource
from zope.interface import alsoProvides

from tests.server.kit import App
from wsplug import Mount
from wsplug.apps.echo import echo
from wsplug.errors import InvalidOption
from wsplug.folder import Folder
from wsplug.interfaces import IWebSocketApplication
from wsplug.server.mounts import Mounts, splitPath
from wsplug.testing import MemoryServer


class Listed:
    """A path-like object, as from listing a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __fspath__(self) -> str:
        return self.path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Listed) and other.path == self.path

    __hash__ = None  # type: ignore[assignment]


class Sized(Resource):
    """A resource with a maximum body size."""

    def __init__(self, size: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.maxBodySize = size


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
    """The deepest mount on a path is found."""
    result = names("/", "/a", "/a/b", "/c", "/ü").find(splitPath(path))
    assert result is not None
    mount, depth = result
    assert mount.name == found
    assert depth == len(mount.segments)


def test_find_nothing() -> None:
    """Without a mount at the root, some paths have no application."""
    assert names("/a/b").find(splitPath(b"/a")) is None
    assert names("/a").find(splitPath(b"/")) is None
    assert names().find(splitPath(b"/")) is None


@pytest.mark.parametrize("path", ["", "a", "chat/", "//a", "/a//b", "/a?b"])
def test_wrong_path(path: str) -> None:
    """An invalid path is an error of one line."""
    with pytest.raises(InvalidOption, match="a mount's path must look like"):
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
    """A trailing slash doesn't matter. The name comes from the path."""
    mount = Mount(path, App())
    assert (mount.path, mount.name, mount.url) == (trimmed, name, url)


def test_same_path() -> None:
    """If two mounts have the same path, the error names both."""
    with pytest.raises(InvalidOption, match="/a and /a/ are both mounted at /a;"):
        names("/a", "/a/")


def test_bare_factory() -> None:
    """An object with only buildProtocol, such as Twisted's own WebSocket factories, can
    be mounted."""

    class Factory:
        def buildProtocol(self, request: object) -> str:
            return "protocol"

    application = Mount("/", Factory()).application  # type: ignore[arg-type]
    assert IWebSocketApplication.providedBy(application)
    assert application.buildProtocol(None) == "protocol"  # type: ignore[arg-type]
    assert application.startApplication() is None
    assert application.stopApplication() is None
    assert (tuple(application.subprotocols), application.pages) == ((), None)


class Undeclared:
    """An application that has some members of the interface, but doesn't declare it."""

    def __init__(self, **attributes: object) -> None:
        self.__dict__.update(attributes)
        self.calls: list[str] = []

    def buildProtocol(self, request: object) -> str:
        return "protocol"

    def startApplication(self) -> None:
        self.calls.append("start")


def undeclared(**attributes: object) -> IWebSocketApplication:
    """Mount such an application, and return the mount's view of it."""
    application: Any = Undeclared(**attributes)
    return Mount("/x", application).application


@pytest.mark.parametrize("declared", [False, True])
def test_some_of_the_interface(declared: bool) -> None:
    """Members of the interface that an application has are used, whether it declares
    the interface or not. The others get defaults."""
    resource = Resource()
    original: Any = Undeclared(pages=resource, subprotocols=["a"])
    if declared:
        alsoProvides(original, IWebSocketApplication)
    application = Mount("/", original).application
    assert application.startApplication() is None
    assert application.stopApplication() is None
    assert original.calls == ["start"]
    assert (application.pages, application.subprotocols) == (resource, ["a"])
    original.pages = None
    assert application.pages is None
    original.stopApplication = lambda: original.calls.append("stop")
    application.stopApplication()
    assert original.calls == ["start", "stop"]


def test_all_of_the_interface() -> None:
    """An application with all members is used as it is."""
    original: Any = Undeclared(pages=None, subprotocols=(), stopApplication=print)
    assert Mount("/", original).application is original


def test_no_application() -> None:
    """A mount refuses an object without buildProtocol, a class, and a plugin."""
    with pytest.raises(TypeError, match="is not an application"):
        Mount("/", object())  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match="is a class: mount an object with buildProtocol"
    ):
        Mount("/", App)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"the result of its makeApplication\(\)"):
        Mount("/", echo)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [str, Path, Listed], ids=lambda kind: kind.__name__)
def test_folder(kind: Any, tmp_path: Path) -> None:
    """Pages can be the path of a folder, of any type of path."""
    (tmp_path / "page.txt").write_text("page")
    assert undeclared(pages=kind(tmp_path)).pages == kind(tmp_path)
    server = MemoryServer(Undeclared(pages=kind(tmp_path)))
    assert server.request("GET", "/page.txt").body == b"page"
    server = MemoryServer(Undeclared(pages=Folder(kind(tmp_path))))
    assert server.request("GET", "/page.txt").body == b"page"


PAGES = (
    "the path of a folder, an object that provides IPlainResource or twisted.web's "
    "IResource, or None"
)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"pages": "no/such"}, "pages is 'no/such', which does not exist: give"),
        ({"pages": Path("no/such")}, "pages is 'no/such', which does not exist: give"),
        ({"pages": __file__}, "which is not a folder: give the path of a folder"),
        ({"pages": ""}, "pages is '', which does not exist"),
        ({"pages": b"/"}, f"pages must be {PAGES}, not b'/'"),
        ({"pages": FilePath("/")}, f"pages must be {PAGES}, not FilePath"),
        ({"pages": Resource}, f"pages must be {PAGES}, not <class"),
        ({"pages": 5}, f"pages must be {PAGES}, not 5"),
        ({"pages": Sized("1MiB")}, "of pages must be a number of bytes, not '1"),
        ({"pages": Sized(-1)}, "of pages must be a number of bytes, not -1"),
        ({"pages": Sized(1.5)}, "of pages must be a number of bytes, not 1.5"),
        ({"pages": Sized(True)}, "of pages must be a number of bytes, not True"),
        ({"pages": Sized(1e999)}, "of pages must be a number of bytes, not inf"),
        (
            {"subprotocols": "chat"},
            "subprotocols must be a list or tuple of str, not 'c",
        ),
        (
            {"subprotocols": [b"chat"]},
            "subprotocols must be a list or tuple of str, not",
        ),
        (
            {"subprotocols": None},
            "subprotocols must be a list or tuple of str, not None",
        ),
        ({"startApplication": 1}, "startApplication must be a method, not 1"),
        ({"stopApplication": None}, "stopApplication must be a method, not None"),
    ],
)
@pytest.mark.parametrize("declared", [False, True])
def test_unusable(attributes: dict[str, object], message: str, declared: bool) -> None:
    """An unusable member is an error at once, in one line that names the application,
    the interface and the remedy, and not a 500 for each client."""
    application: Any = Undeclared(**attributes)
    if declared:
        alsoProvides(application, IWebSocketApplication)
    with pytest.raises(InvalidOption) as caught:
        Mount("/x", application, "wall")
    assert str(caught.value).startswith("the application wall: ")
    assert message in str(caught.value)
    assert "wsplug.interfaces.IWebSocketApplication" in str(caught.value)
    assert "\n" not in str(caught.value)
