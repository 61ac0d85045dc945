"""
The console for applications that have no pages.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.cred.credentials import IUsernamePassword

from tests.auth.kit import Greeter, Login, basic, checkedBy
from tests.server.kit import App
from wsplug import Settings
from wsplug.interfaces import IBearerToken
from wsplug.testing import MemoryServer

BROWSER = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")]


def get(server: MemoryServer, target: str = "/", **options: Any) -> Any:
    return server.request("GET", target, headers=BROWSER, **options)


def test_page() -> None:
    """
    A browser gets the page, whose files are there; other clients get no copy of it.
    """
    server = MemoryServer(App(), path="/shout")
    answer = get(server, "/shout/?room=1")
    assert answer.status == 200
    assert b"<title>WebSocket console</title>" in answer.body
    headers = dict(answer.headers)
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["vary"] == "Accept"
    for name in ("console.js", "console.css", "page.js", "wsplug.css"):
        assert name.encode() in answer.body or name == "page.js"
        assert get(server, f"/shout/-/{name}").status == 200


def test_slash() -> None:
    """
    Without its slash, the path leads to the page with its query, also behind a prefix.
    """
    answer = get(MemoryServer(App(), path="/a b"), "/a%20b?room=1")
    assert answer.status == 302
    assert dict(answer.headers)["location"] == "a%20b/?room=1"


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/", []),
        ("GET", "/", [("Accept", "*/*")]),
        ("GET", "/room/x", BROWSER),
        ("POST", "/", BROWSER),
    ],
)
def test_others(method: str, target: str, headers: list[tuple[str, str]]) -> None:
    """
    Whoever doesn't ask for a page, or for another path, is told to upgrade.
    """
    answer = MemoryServer(App()).request(method, target, headers=headers)
    assert answer.status == 426


def test_off() -> None:
    """
    The option switches it off.
    """
    assert get(MemoryServer(App(), settings=Settings(console=False))).status == 426


def test_pages_of_its_own() -> None:
    """
    An application that has pages shows those.
    """
    assert b"console" not in get(MemoryServer(Greeter())).body


def test_login() -> None:
    """
    Where people log in with passwords, they do so for the console; where they log in
    with tokens, which pages can't ask for, there is none, but for applications that
    need no login.
    """
    server = MemoryServer(App(), portal=checkedBy(Login(IUsernamePassword)))
    assert get(server).status == 401
    headers = [*BROWSER, basic("ann", "secret")]
    assert server.request("GET", "/", headers=headers).status == 200
    portal = checkedBy(Login(IBearerToken))
    assert get(MemoryServer(App(), portal=portal)).status == 426
    assert get(MemoryServer(App(), portal=portal, auth=False)).status == 200
