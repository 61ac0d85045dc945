"""
The console, for applications without pages.
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
    A browser gets the page, and its files exist. Caches keep it apart from the answer
    to other clients.
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
    Without the final slash, the path redirects to the page and keeps the query, also
    behind a prefix.
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
    A request that isn't a browser's for a page, or is for another path, gets a 426.
    """
    answer = MemoryServer(App()).request(method, target, headers=headers)
    assert answer.status == 426


def test_off() -> None:
    """
    The option switches the console off.
    """
    assert get(MemoryServer(App(), settings=Settings(console=False))).status == 426


def test_pages_of_its_own() -> None:
    """
    An application with pages shows its own pages.
    """
    assert b"console" not in get(MemoryServer(Greeter())).body


def test_login() -> None:
    """
    With passwords, the console needs the login. With tokens, which a page can't ask
    for, there is no console, except for applications that need no login.
    """
    server = MemoryServer(App(), portal=checkedBy(Login(IUsernamePassword)))
    assert get(server).status == 401
    headers = [*BROWSER, basic("ann", "secret")]
    assert server.request("GET", "/", headers=headers).status == 200
    portal = checkedBy(Login(IBearerToken))
    assert get(MemoryServer(App(), portal=portal)).status == 426
    assert get(MemoryServer(App(), portal=portal, auth=False)).status == 200
