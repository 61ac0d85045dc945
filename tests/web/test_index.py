"""
The page at C{/} of a server with several applications, none of which is at the root.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from twisted.cred.portal import Portal

from tests.auth.kit import basic, bearer, passwords, writeTokens
from tests.server.kit import App
from wsplug import Mount, Settings
from wsplug.admin.status import PATH
from wsplug.apps.echo import echo
from wsplug.auth.checkers import makePortal
from wsplug.auth.options import Authentication
from wsplug.guard.access import Access
from wsplug.serving import makeFactory
from wsplug.testing import MemoryServer

PAGES: Any = MemoryServer(echo).application.pages


class Paged(App):
    """
    An application with pages.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pages = PAGES


def serve(
    *mounts: Mount, portal: Portal | None = None, console: bool = False
) -> MemoryServer:
    server = MemoryServer(App())
    factory = makeFactory(
        mounts,
        server.clock,
        settings=Settings(console=console),
        access=Access(),
        authentication=Authentication(portal=portal),
    )
    server.factory = server._port = factory
    return server


TWO = (Mount("/chat", Paged(), "chat"), Mount("/team/data", App(), "data"))


def test_lists() -> None:
    """
    The page lists all applications. Those with pages are relative links, since a proxy
    may add a prefix. The status page isn't an application.
    """
    server = serve(*TWO, Mount(PATH, App(), PATH, auth=False))
    response = server.request("GET", "/")
    assert response.status == 200
    body = response.body.decode("utf-8")
    assert re.findall(r'<a href="(.*?)">(.*?)</a>', body) == [("./chat/", "chat")]
    assert re.findall("<code>(.*?)</code>", body) == ["/chat", "/team/data"]
    assert PATH not in body
    assert server.request("GET", "/chat/").status == 200
    assert server.request("GET", "/-/wsplug.css").status == 200


def test_console() -> None:
    """
    With the console, an application without pages is a link as well.
    """
    body = serve(*TWO, console=True).request("GET", "/").body.decode("utf-8")
    assert re.findall(r'<a href="(.*?)"', body) == ["./chat/", "./team/data/"]


def test_headers() -> None:
    """
    The page has the headers of other pages, and loads nothing except the server's own
    style.
    """
    server = serve(*TWO)
    headers = server.request("GET", "/").headers
    other = server.request("GET", "/chat/").headers
    for name in (
        "content-security-policy",
        "x-frame-options",
        "x-content-type-options",
        "cache-control",
    ):
        assert headers[name] == other[name]
    assert headers["content-type"] == "text/html; charset=utf-8"
    response = server.request("GET", "/")
    assert b"<script" not in response.body
    assert b"default-src 'self'" in response.body
    head = server.request("HEAD", "/")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(response.body))
    assert server.request("POST", "/").status == 405


def test_names_are_text() -> None:
    """
    Names and paths may contain any characters.
    """
    server = serve(
        Mount("/a:b", Paged(), "<b>x</b>&"), Mount("/<i>\"'", Paged(), "second")
    )
    body = server.request("GET", "/").body.decode("utf-8")
    assert "<b>" not in body
    assert "<i>" not in body
    assert "&lt;b&gt;x&lt;/b&gt;&amp;" in body
    assert re.findall('href="(\\./.*?)"', body) == ["./a%3Ab/", "./%3Ci%3E%22%27/"]


@pytest.mark.parametrize(
    "mounts",
    [
        [Mount("/", App(), "root"), Mount("/chat", App(), "chat")],
        [Mount("/chat", App(), "chat")],
        [Mount("/chat", App(), "chat"), Mount(PATH, App(), PATH)],
        [],
    ],
    ids=["at the root", "one", "one, and the page of operators", "none"],
)
def test_no_list(mounts: list[Mount]) -> None:
    """
    There is no list where an application is at C{/}, or where there is only one.
    """
    response = serve(*mounts).request("GET", "/")
    isRoot = any(mount.path == "/" for mount in mounts)
    assert response.status == (426 if isRoot else 404)


def test_passwords() -> None:
    """
    Where pages need a password, so does the list.
    """
    server = serve(*TWO, portal=passwords("ann", "secret"))
    refused = server.request("GET", "/")
    assert refused.status == 401
    assert b"chat" not in refused.body
    assert "Basic" in refused.headers["www-authenticate"]
    assert server.request("GET", "/", headers=[basic("ann", "wrong")]).status == 401
    answer = server.request("GET", "/", headers=[basic("ann", "secret")])
    assert b"chat" in answer.body


def test_tokens(tmp_path: Any) -> None:
    """
    With tokens only, which no browser sends with a page, clients without a token don't
    see the list either.
    """
    portal = makePortal([writeTokens(tmp_path / "tokens", bob="sesame")])
    server = serve(*TWO, portal=portal)
    assert server.request("GET", "/").status == 401
    answer = server.request("GET", "/", headers=[bearer("sesame")])
    assert b"chat" in answer.body
    # An application's page has to be loaded before it can log in.
    assert server.request("GET", "/chat/").status == 200


def test_no_login() -> None:
    """
    Where no application needs a login, or the login is optional, all clients see the
    list.
    """
    open_ = [Mount(each.path, each.application, each.name, auth=False) for each in TWO]
    server = serve(*open_, portal=passwords("ann", "secret"))
    assert server.request("GET", "/").status == 200
    server = serve(*TWO, portal=makePortal(["memory:ann:secret", "anonymous"]))
    assert server.request("GET", "/").status == 200
