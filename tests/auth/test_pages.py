"""
Pages behind a password.
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
from tests.server.kit import Logs, parseResponse, parseResponses, raw
from wsplug import Settings
from wsplug.auth import makePortal
from wsplug.interfaces import IBearerToken, IPlainRequest
from wsplug.plain import PlainResource, Response
from wsplug.testing import MemoryServer


@pytest.fixture
def greeter() -> Greeter:
    return Greeter()


PATHS = ["/", "/deep/er?a=b", "/-/wsplug.js", "/-/none", "/x/-/wsplug.js"]


@pytest.mark.parametrize("path", PATHS)
def test_password(greeter: Greeter, path: str) -> None:
    """
    Each page, and each of the server's own files, needs a login. Without one, a client
    doesn't learn which paths exist.
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
    On a mount without auth, the pages and the server's files below it are open.
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
    With tokens only, pages are open: a page that logs in with a token has to be loaded
    first.
    """
    portal = makePortal([writeTokens(tmp_path / "tokens", bob="sesame")])
    server = MemoryServer(greeter, portal=portal)
    assert server.request("GET", "/").body == b"hello None"
    assert server.request("GET", "/-/wsplug.js").status == 200


def test_token_in_the_header(greeter: Greeter, tmp_path: Path) -> None:
    """
    Where pages need a password, a token in the header is accepted as well. A token in a
    cookie isn't.
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
    A browser also sends the password with forms and scripts of other sites, so it
    doesn't count there. It counts where the site is the server's own, or where no site
    is given.
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
    Where an anonymous login is allowed, pages are open.
    """
    portal = makePortal(["memory:ann:secret", "anonymous"])
    server = MemoryServer(greeter, portal=portal)
    assert server.request("GET", "/").body == b"hello None"
    assert server.request("GET", "/", headers=[basic("ann", "x")]).status == 401


def test_failures_count_together(greeter: Greeter) -> None:
    """
    Guesses at pages and at WebSockets count together.
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
    A page is a session: logout is called when it has been sent.
    """
    login = Login(IUsernamePassword)
    server = MemoryServer(greeter, portal=checkedBy(login))
    assert server.request("GET", "/", headers=[basic("a", "b")]).status == 200
    assert login.logouts == [b"ann"]


def test_later(greeter: Greeter) -> None:
    """
    A checker may answer later. If the client has closed its side for writing in the
    meantime, it may still be waiting, so the checker isn't cancelled before the
    timeout.
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
    A checker that fails causes a 500, with a traceback only in the log.
    """
    login = Login(IUsernamePassword, IBearerToken)
    login.answer = fail(RuntimeError("no database"))
    server = MemoryServer(greeter, portal=checkedBy(login))
    response = server.request("GET", "/", headers=[basic("ann", "secret")])
    assert (response.status, response.body) == (500, b"credentials can't be checked\n")
    assert len(logs.failures()) == 1


# Requests with bodies


def _head(name: str, *lines: str) -> bytes:
    whole = [f"POST {name} HTTP/1.1", "Host: server.example:9000", *lines, "", ""]
    return "\r\n".join(whole).encode("ascii")


EXPECTS = ("Content-Length: 5", "Expect: 100-continue")


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    "length", ["Content-Length: 1000", "Transfer-Encoding: chunked"]
)
def test_nobody_sends_a_body(greeter: Greeter, own: bool, length: str) -> None:
    """
    Before the login, nothing of a body is read, whatever the resource: the client gets
    the challenge at once, no 100 (Continue), and the connection closes.
    """
    server = MemoryServer(Taker() if own else greeter, portal=passwords("ann", "x"))
    transport = raw(server, _head("/", length, "Expect: 100-continue"))
    response = parseResponse(transport.take())
    assert response.status == 401
    assert response.all("www-authenticate")
    assert response.all("connection") == ["close"]
    assert transport.closedForWriting
    transport.put(b"x" * 1000)
    server.run()
    assert transport.take() == b""


class Taken(PlainResource):
    """
    Answers with the user's name and the body.
    """

    methods = (b"POST",)
    maxBodySize = 10

    def respond(self, request: IPlainRequest) -> Response:
        avatar: Any = request.avatar
        return Response(200, [], avatar.name.encode() + b" " + request.content)


class Taker(Greeter):
    """
    An application whose pages are of the server's own kind.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pages: Any = Taken()


def test_body_waits_for_the_login() -> None:
    """
    A client is asked for its body once it has logged in. If it has sent the body
    already, or more than that, nothing is read from it until then.
    """
    login = Login(IUsernamePassword)
    login.answer = Deferred()
    server = MemoryServer(Taker(), portal=checkedBy(login))
    transport = raw(server, _head("/", *EXPECTS, ": ".join(basic("ann", "x"))))
    assert transport.take() == b""
    login.answer.callback(b"ann")
    assert transport.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    transport.put(b"hello")
    server.run()
    assert parseResponse(transport.take()).body == b"ann hello"
    login.answer = Deferred()
    head = _head("/", "Content-Length: 5", ": ".join(basic("bob", "x")))
    for _ in range(3):
        transport.put(head + b"again" + b"\r\n" * 10_000)
        server.run()
    assert not transport.reading
    later, login.answer = login.answer, b"eve"
    later.callback(b"bob")
    server.run()
    bodies = [each.body for each in parseResponses(transport.take())]
    assert bodies == [b"bob again", b"eve again", b"eve again"]
    assert transport.reading
    assert login.logouts == [b"ann", b"bob", b"eve", b"eve"]


def test_no_memory_for_bodies_before_the_login(logs: Logs) -> None:
    """
    A body that arrives during the login counts towards the limit for all clients
    together. Over it, the client gets a 503, and the login is given up.
    """
    cancelled: list[Any] = []
    login = Login(IUsernamePassword)
    login.answer = Deferred(cancelled.append)
    settings = Settings(max_incomplete_total=10_000)
    server = MemoryServer(Taker(), portal=checkedBy(login), settings=settings)
    head = _head("/", "Content-Length: 5", ": ".join(basic("bob", "x")))
    transport = raw(server, head + b"again" + b"\r\n" * 4_000)
    assert server.factory.incompleteMessages.used > 8_000
    assert transport.take() == b""
    transport.put(b"\r\n" * 2_000)
    server.run()
    assert parseResponse(transport.take()).status == 503
    (event,) = logs.events("refused")
    assert event["setting"] == "max-incomplete-total"
    assert len(cancelled) == 1
    assert server.factory.incompleteMessages.used == 0


def test_never_checked(greeter: Greeter, logs: Logs) -> None:
    """
    A checker has as much time as in a handshake.
    """
    cancelled: list[Any] = []
    login = Login(IUsernamePassword)
    login.answer = Deferred(cancelled.append)
    server = MemoryServer(greeter, portal=checkedBy(login))
    transport = raw(server, _head("/", ": ".join(basic("ann", "x"))))
    server.advance(9.5)
    assert transport.take() == b""
    server.advance(1)
    assert parseResponse(transport.take()).status == 503
    (event,) = logs.events("refused")
    assert event["setting"] == "open-timeout"
    assert len(cancelled) == 1
    server.advance(6)
    assert transport.lost
    assert len(server.factory.deadlines) == 0
