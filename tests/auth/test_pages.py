"""
Pages behind a password (wsplug.web.guarded).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.cred.credentials import IUsernamePassword
from twisted.internet.defer import Deferred, fail

from tests.auth.kit import (
    ORIGIN,
    Greeter,
    Login,
    basic,
    bearer,
    checkedBy,
    passwords,
    writeTokens,
)
from tests.server.kit import Logs
from wsplug import Settings
from wsplug.auth import makePortal
from wsplug.interfaces import IBearerToken
from wsplug.testing import MemoryServer


@pytest.fixture
def greeter() -> Greeter:
    return Greeter()


PATHS = ["/", "/deep/er?a=b", "/-/wsplug.js", "/-/none", "/x/-/wsplug.js"]


@pytest.mark.parametrize("path", PATHS)
def test_password(greeter: Greeter, path: str) -> None:
    """
    Each page, and each of the server's own files, is for who logs in: nobody else
    learns what there is.
    """
    server = MemoryServer(greeter, portal=passwords("ann", "secret"))
    for headers in ([], [basic("ann", "wrong")], [("Authorization", "Digest a=b")]):
        for method in ("GET", "HEAD", "POST"):
            response = server.request(method, path, headers=headers)
            assert response.status == 401
            assert response.headers["www-authenticate"] == (
                'Basic realm="wsplug", charset="UTF-8"'
            )
            assert response.headers["cache-control"] == "no-store"
    open_ = MemoryServer(greeter)
    right = server.request("GET", path, headers=[basic("ann", "secret")])
    assert right.status == open_.request("GET", path).status


def test_avatar(greeter: Greeter) -> None:
    """
    A page's request has the avatar too.
    """
    server = MemoryServer(greeter, portal=passwords("ann", "secret"))
    response = server.request("GET", "/", headers=[basic("ann", "secret")])
    assert response.body == b"hello ann"


def test_open_mount(greeter: Greeter) -> None:
    """
    A mount without auth has its pages, and the files below it, open.
    """
    server = MemoryServer(
        greeter, portal=passwords("ann", "secret"), auth=False, path="/open"
    )
    assert server.request("GET", "/open/x").body == b"hello None"
    assert server.request("GET", "/open/-/wsplug.js").status == 200
    assert server.request("GET", "/-/wsplug.js").status == 401
    assert server.request("GET", "/opened").status == 401


def test_tokens_leave_pages_open(greeter: Greeter, tmp_path: Path) -> None:
    """
    A page that logs in with a token has to be loaded first.
    """
    portal = makePortal([writeTokens(tmp_path / "tokens", bob="sesame")])
    server = MemoryServer(greeter, portal=portal)
    assert server.request("GET", "/").body == b"hello None"
    assert server.request("GET", "/-/wsplug.js").status == 200


def test_token_in_the_header(greeter: Greeter, tmp_path: Path) -> None:
    """
    Where pages ask for a password, a token does as well; in a cookie it doesn't.
    """
    tokens = writeTokens(tmp_path / "tokens", bob="sesame")
    portal = makePortal(["memory:ann:secret", tokens])
    server = MemoryServer(greeter, portal=portal, authCookie="session")
    response = server.request("GET", "/", headers=[bearer("sesame")])
    assert response.body == b"hello bob"
    cookie = [("Cookie", "session=sesame"), ("Origin", ORIGIN)]
    assert server.request("GET", "/", headers=cookie).status == 401


def test_other_sites(greeter: Greeter) -> None:
    """
    A browser sends the password with other sites' forms and scripts too: there it
    doesn't count. Where the site is the server's own, or isn't said, it does.
    """
    server = MemoryServer(
        greeter, portal=passwords("ann", "secret"), origins=["https://a.example"]
    )
    right = basic("ann", "secret")
    for origin, status in (
        (ORIGIN, 200),
        ("https://a.example", 401),
        ("https://evil.example", 401),
        ("null", 401),
    ):
        headers = [right, ("Origin", origin)]
        assert server.request("GET", "/", headers=headers).status == status


def test_anonymous(greeter: Greeter) -> None:
    """
    Where who says nothing may come in, pages are open.
    """
    portal = makePortal(["memory:ann:secret", "anonymous"])
    server = MemoryServer(greeter, portal=portal)
    assert server.request("GET", "/").body == b"hello None"
    assert server.request("GET", "/", headers=[basic("ann", "x")]).status == 401


def test_failures_count_together(greeter: Greeter) -> None:
    """
    Guesses at pages and at WebSockets are the same guesses.
    """
    server = MemoryServer(
        greeter,
        portal=passwords("ann", "secret"),
        settings=Settings(max_auth_failures=2),
    )
    wrong = [basic("ann", "x")]
    assert server.request("GET", "/", headers=wrong).status == 401
    assert server.request("GET", "/", headers=wrong).status == 401
    late = server.request("GET", "/", headers=[basic("ann", "secret")])
    assert (late.status, late.headers["retry-after"]) == (429, "30")
    with pytest.raises(Exception, match="429"):
        server.connect(headers=[basic("ann", "secret")])


def test_login_and_logout(greeter: Greeter) -> None:
    """
    A page is a visit: logout is called when it has been sent.
    """
    login = Login(IUsernamePassword)
    server = MemoryServer(greeter, portal=checkedBy(login))
    assert server.request("GET", "/", headers=[basic("a", "b")]).status == 200
    assert login.logouts == [b"ann"]


def test_later(greeter: Greeter) -> None:
    """
    A checker may answer later; who doesn't wait for it is none of its business. One
    that has closed its side may still be waiting, for as long as it is given.
    """
    login = Login(IUsernamePassword)
    server = MemoryServer(greeter, portal=checkedBy(login))
    cancelled: list[Any] = []

    def ask() -> Any:
        login.answer = Deferred(cancelled.append)
        transport = server.connectTransport()
        name, value = basic("ann", "secret")
        head = f"GET / HTTP/1.1\r\nHost: a\r\n{name}: {value}\r\n\r\n"
        transport.put(head.encode())
        server.run()
        return transport

    transport = ask()
    login.answer.callback(b"ann")
    assert b"hello ann" in transport.take()
    ask().shut()
    server.run()
    assert not cancelled
    server.advance(11)
    assert len(cancelled) == 1
    assert login.logouts == [b"ann"]


def test_broken(greeter: Greeter, logs: Logs) -> None:
    """
    A checker that fails is a 500, with a traceback in the log alone.
    """
    login = Login(IUsernamePassword, IBearerToken)
    login.answer = fail(RuntimeError("no database"))
    server = MemoryServer(greeter, portal=checkedBy(login))
    response = server.request("GET", "/", headers=[basic("ann", "secret")])
    assert (response.status, response.body) == (500, b"credentials can't be checked\n")
    assert len(logs.failures()) == 1
