"""
Logging in with the handshake (wsplug.auth.authenticator, wsplug.server.sessions).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.cred.credentials import IAnonymous, IUsernamePassword
from twisted.cred.error import LoginDenied, UnauthorizedLogin
from twisted.internet.defer import Deferred, fail, succeed

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
from wsplug import HandshakeRefused, Settings
from wsplug.auth import Avatar, LoginRefused, makePortal
from wsplug.interfaces import IBearerToken
from wsplug.server.sessions import Session
from wsplug.testing import MemoryClient, MemoryServer

BASIC = 'Basic realm="wsplug", charset="UTF-8"'
BEARER = 'Bearer realm="wsplug"'


@pytest.fixture
def greeter() -> Greeter:
    return Greeter()


@pytest.fixture
def tokens(tmp_path: Path) -> str:
    return writeTokens(tmp_path / "tokens", bob="sesame")


def refused(server: MemoryServer, *headers: tuple[str, str], **options: Any) -> Any:
    """
    Connect, and return the refusal.
    """
    with pytest.raises(HandshakeRefused) as caught:
        server.connect(headers=headers, **options)
    return caught.value


def challenges(refusal: HandshakeRefused) -> list[str]:
    return [
        value.decode() for name, value in refusal.headers if name == b"WWW-Authenticate"
    ]


# Passwords


def test_password(greeter: Greeter, logs: Logs) -> None:
    """
    The right password opens the connection. The application and the log get the user's
    name.
    """
    server = MemoryServer(greeter, portal=passwords("ann", "secret"))
    client = server.connect(headers=[basic("ann", "secret")])
    assert client.messages == ["hello ann"]
    (request,) = greeter.requests
    assert request.avatar == Avatar("ann")
    (line,) = logs.lines("logged in")
    assert line.endswith(" application: logged in as 'ann'")


@pytest.mark.parametrize(
    ("name", "password"),
    [("ann", "Secret"), ("ann", ""), ("", "secret"), ("eve", "secret"), ("", "")],
)
def test_wrong_password(greeter: Greeter, logs: Logs, name: str, password: str) -> None:
    """
    A wrong password gets a 401 with the challenge (RFC 7617). The application isn't
    called.
    """
    server = MemoryServer(greeter, portal=passwords("ann", "secret"))
    refusal = refused(server, basic(name, password))
    assert (refusal.status, refusal.reason) == (401, "wrong name or password")
    assert challenges(refusal) == [BASIC]
    assert greeter.requests == []
    (event,) = logs.events("refused")
    assert (event["status"], event["setting"]) == (401, "auth")


def test_nothing(greeter: Greeter) -> None:
    """
    Without credentials, the client gets a challenge for each accepted scheme.
    """
    server = MemoryServer(greeter, portal=passwords("ann", "secret"))
    refusal = refused(server)
    assert (refusal.status, refusal.reason) == (401, "log in first")
    assert challenges(refusal) == [BASIC]


@pytest.mark.parametrize("value", ["Basic", "Basic !!", "Basic YW5u"])
def test_malformed(greeter: Greeter, value: str) -> None:
    """
    Malformed credentials are refused like wrong ones, but don't count as a guess.
    """
    settings = Settings(max_auth_failures=1)
    server = MemoryServer(greeter, portal=passwords("ann", "secret"), settings=settings)
    for _ in range(3):
        assert refused(server, ("Authorization", value)).status == 401
    assert server.connect(headers=[basic("ann", "secret")]).opened


def test_two_headers(greeter: Greeter) -> None:
    """
    Two Authorization headers are refused.
    """
    server = MemoryServer(greeter, portal=passwords("ann", "secret"))
    right = basic("ann", "secret")
    assert refused(server, right, right).status == 400


@pytest.mark.parametrize("scheme", ["Digest a=b", "Bearer sesame", "Negotiate YQ=="])
def test_another_scheme(greeter: Greeter, scheme: str) -> None:
    """
    Credentials of a scheme that no checker handles are ignored.
    """
    server = MemoryServer(greeter, portal=passwords("ann", "secret"))
    assert refused(server, ("Authorization", scheme)).reason == "log in first"


def test_passwords_from_a_file(greeter: Greeter, tmp_path: Path) -> None:
    """
    Twisted's own file checker works: names and passwords in UTF-8, read again when they
    change.
    """
    file = tmp_path / "passwords"
    file.write_text("J\u00fcrgen:gr\u00fc\u00df\nann:secret\n", "utf-8")
    file.chmod(0o600)
    server = MemoryServer(greeter, portal=makePortal([f"file:{file}"]))
    client = server.connect(headers=[basic("J\u00fcrgen", "gr\u00fc\u00df")])
    assert client.messages == ["hello J\u00fcrgen"]
    file.write_text("bob:new\n", "utf-8")
    assert refused(server, basic("ann", "secret")).status == 401
    assert server.connect(headers=[basic("bob", "new")]).opened


def test_several_checkers(greeter: Greeter, tmp_path: Path, tokens: str) -> None:
    """
    A user in any of several files, or with a token, is accepted.
    """
    file = tmp_path / "passwords"
    file.write_text("cid:other\n", "utf-8")
    file.chmod(0o600)
    portal = makePortal(["memory:ann:secret", f"file:{file}", tokens])
    server = MemoryServer(greeter, portal=portal)
    for header, name in (
        (basic("ann", "secret"), "ann"),
        (basic("cid", "other"), "cid"),
        (bearer("sesame"), "bob"),
    ):
        assert server.connect(headers=[header]).messages == [f"hello {name}"]
    for header in (basic("ann", "other"), basic("cid", "secret"), bearer("secret")):
        assert refused(server, header).status == 401
    assert challenges(refused(server)) == [BASIC, BEARER]


@pytest.mark.parametrize(
    ("origins", "origin", "counts"),
    [
        (["same-host"], ORIGIN, True),
        (["same-host"], None, True),
        (["https://a.example"], "https://a.example", True),
        (["*"], None, True),
        (["*"], ORIGIN, True),
        (["*"], "https://evil.example", False),
        (["*"], "null", False),
        (["*", "same-host"], ORIGIN, True),
        (["*", "same-host"], "https://evil.example", False),
        # A browser asks for a password for each port, and may send it to others.
        (["same-host"], "http://server.example:8000", False),
        (["http://server.example:8000"], "http://server.example:8000", True),
        (["null"], "null", False),
    ],
)
def test_password_that_a_browser_sends(
    greeter: Greeter, origins: list[str], origin: str | None, counts: bool
) -> None:
    """
    A browser sends a password by itself, whichever page connects. So the password
    counts for the server's own pages, for pages whose origin is named, and for clients
    that aren't browsers.
    """
    server = MemoryServer(greeter, portal=passwords("ann", "secret"), origins=origins)
    header = basic("ann", "secret")
    if counts:
        assert server.connect(headers=[header], origin=origin).opened
    else:
        refusal = refused(server, header, origin=origin)
        assert (refusal.status, refusal.reason) == (401, "log in first")


# Tokens


def test_token(greeter: Greeter, tokens: str) -> None:
    """
    RFC 6750: the token is in the header, and the challenge says what was wrong with it.
    """
    server = MemoryServer(greeter, portal=makePortal([tokens]))
    assert server.connect(headers=[bearer("sesame")]).messages == ["hello bob"]
    assert challenges(refused(server)) == [BEARER]
    refusal = refused(server, bearer("wrong"))
    assert (refusal.status, refusal.reason) == (401, "the token is unknown")
    assert challenges(refusal) == [
        BEARER + ', error="invalid_token", error_description="the token is unknown"'
    ]


def test_never_in_the_query(greeter: Greeter, tokens: str) -> None:
    """
    A token in the query is ignored, since URLs are written down in many places.
    """
    server = MemoryServer(greeter, portal=makePortal([tokens]))
    for name in ("token", "access_token", "auth"):
        assert refused(server, target=f"/?{name}=sesame").status == 401


def test_any_reason() -> None:
    """
    A checker's reason can't break a header, whatever it contains.
    """
    login = Login(IBearerToken)
    login.answer = LoginRefused('no\r\nSet-Cookie: "a\\\u2028')
    server = MemoryServer(Greeter(), portal=checkedBy(login))
    refusal = refused(server, bearer("sesame"))
    assert challenges(refusal)[0].endswith(
        'error_description="no??Set-Cookie: ?a???"'.replace("???", "??")
    )
    assert b"Set-Cookie" not in {name for name, _ in refusal.headers}


# Cookies


def test_cookie(greeter: Greeter, tokens: str) -> None:
    """
    A cookie's token counts only for pages whose origin is named. It doesn't count for
    other sites' pages where any may connect, nor for clients without an Origin.
    """
    server = MemoryServer(
        greeter,
        portal=makePortal([tokens]),
        authCookie="session",
        origins=["*", "same-host"],
        authFirstMessage="no",
    )
    cookie = ("Cookie", "a=b; session=sesame; c=d")
    # A browser sends a cookie to each port of a host.
    for page in (ORIGIN, "http://server.example:8000"):
        client = server.connect(headers=[cookie], origin=page)
        assert client.messages == ["hello bob"]
    for origin in ("https://evil.example", "null", None):
        refusal = refused(server, cookie, origin=origin)
        assert (refusal.status, refusal.reason) == (401, "log in first")
    wrong = refused(server, ("Cookie", "session=wrong"), origin=ORIGIN)
    assert wrong.reason == "the token is unknown"
    wrong = refused(server, ("Cookie", "session=a,b"), origin=ORIGIN)
    assert wrong.reason == "malformed token"
    assert refused(server, ("Cookie", "other=sesame"), origin=ORIGIN).status == 401


def test_cookie_of_a_page_without_tls(greeter: Greeter, tokens: str) -> None:
    """
    Where a proxy ends TLS, a cookie doesn't count for a page without TLS: an attacker
    who can change that page could use the cookie.
    """
    server = MemoryServer(
        greeter,
        portal=makePortal([tokens]),
        authCookie="session",
        origins=["*"],
        authFirstMessage="no",
    )
    secure = ("X-Forwarded-Proto", "https")
    cookie = ("Cookie", "session=sesame")
    assert refused(server, cookie, secure, origin=ORIGIN).reason == "log in first"
    origin = ORIGIN.replace("http:", "https:")
    client = server.connect(headers=[cookie, secure], origin=origin)
    assert client.messages == ["hello bob"]


def test_no_cookie_by_default(greeter: Greeter, tokens: str) -> None:
    """
    By default, no cookie is read.
    """
    server = MemoryServer(greeter, portal=makePortal([tokens]), authFirstMessage="no")
    refusal = refused(server, ("Cookie", "session=sesame"), origin=ORIGIN)
    assert refusal.reason == "log in first"


def test_header_before_cookie(greeter: Greeter, tokens: str) -> None:
    """
    The header takes precedence over the cookie, whether it is right or wrong.
    """
    server = MemoryServer(greeter, portal=makePortal([tokens]), authCookie="s")
    cookie = ("Cookie", "s=sesame")
    assert refused(server, bearer("wrong"), cookie, origin=ORIGIN).status == 401


# Without a login


def test_open_mount(greeter: Greeter) -> None:
    """
    A mount without auth is open to all clients, and ignores credentials.
    """
    server = MemoryServer(greeter, portal=passwords("ann", "secret"), auth=False)
    client = server.connect(headers=[basic("ann", "wrong")])
    assert client.messages == ["hello None"]
    assert greeter.requests[0].avatar is None


def test_anonymous(greeter: Greeter, tokens: str) -> None:
    """
    With C{anonymous}, a client without credentials is accepted without an avatar. A
    client with wrong credentials is refused.
    """
    server = MemoryServer(greeter, portal=makePortal(["anonymous", tokens]))
    assert server.connect().messages == ["hello None"]
    assert greeter.requests[0].avatar is None
    assert server.connect(headers=[bearer("sesame")]).messages == ["hello bob"]
    assert refused(server, bearer("wrong")).status == 401


def test_anonymous_is_not_limited(greeter: Greeter) -> None:
    """
    Where no password is needed, refusals don't count as guesses.
    """
    login = Login(IAnonymous)
    login.answer = UnauthorizedLogin()
    settings = Settings(max_auth_failures=1)
    server = MemoryServer(greeter, portal=checkedBy(login), settings=settings)
    assert [refused(server).status for _ in range(3)] == [401] * 3


def test_origin_comes_first(greeter: Greeter) -> None:
    """
    A client whose origin is refused isn't asked to log in.
    """
    login = Login(IUsernamePassword)
    server = MemoryServer(greeter, portal=checkedBy(login))
    header = basic("ann", "secret")
    assert refused(server, header, origin="https://evil.example").status == 403
    assert login.asked == []


# A custom portal


def test_realm(greeter: Greeter) -> None:
    """
    A realm gets the request as its mind. Its logout is called once, when the client has
    left.
    """
    login = Login(IUsernamePassword)
    server = MemoryServer(greeter, portal=checkedBy(login))
    client = server.connect(headers=[basic("any", "thing")])
    assert client.messages == ["hello ann"]
    assert login.minds == greeter.requests
    (asked,) = login.asked
    assert (asked.username, asked.password) == (b"any", b"thing")
    assert login.logouts == []
    client.close()
    assert login.logouts == [b"ann"]


def test_avatar_of_any_kind(greeter: Greeter, logs: Logs) -> None:
    """
    The avatar is whatever the realm returns, with or without a name.
    """
    login = Login(IUsernamePassword)
    thing = object()
    setattr(login, "requestAvatar", lambda *_: (None, thing, lambda: None))  # noqa: B010
    server = MemoryServer(greeter, portal=checkedBy(login))
    server.connect(headers=[basic("ann", "secret")])
    assert greeter.requests[0].avatar is thing
    assert logs.lines("logged in as object")


@pytest.mark.parametrize("how", ["drop", "stop", "abort"])
def test_logout(greeter: Greeter, how: str) -> None:
    """
    The logout is called however the connection ends.
    """
    login = Login(IUsernamePassword)
    server = MemoryServer(greeter, portal=checkedBy(login))
    client = server.connect(headers=[basic("ann", "secret")])
    if how == "drop":
        client.drop()
    elif how == "abort":
        greeter.transports[0].abortConnection()
    else:
        server.stop()
    assert login.logouts == [b"ann"]
    assert len(greeter.lost) == 1


@pytest.mark.parametrize("how", ["refuses", "raises", "none", "leaves", "slow"])
def test_logout_without_a_connection(greeter: Greeter, how: str, logs: Logs) -> None:
    """
    The logout is also called where the application refuses the client, or is too slow.
    """
    login = Login(IUsernamePassword)
    server = MemoryServer(greeter, portal=checkedBy(login))
    never: Deferred[Any] = Deferred()

    def build(request: object) -> Any:
        if how == "refuses":
            raise HandshakeRefused(403, "not you")
        if how == "raises":
            raise RuntimeError("oops")
        return None if how == "none" else never

    greeter.build = build
    header = basic("ann", "secret")
    if how in ("leaves", "slow"):
        client = server.connect(headers=[header])
        assert login.logouts == []
        if how == "leaves":
            client.drop()
        else:
            server.advance(10)
            assert client.refused is not None
            assert client.refused.status == 503
            assert "no answer from the application" in client.refused.reason
    else:
        status = refused(server, header).status
        assert status == {"refuses": 403, "raises": 500, "none": 403}[how]
    assert login.logouts == [b"ann"]
    assert len(logs.failures()) == (how == "raises")


def test_logout_that_fails(greeter: Greeter, logs: Logs) -> None:
    """
    A logout that fails is logged, and other clients are unaffected.
    """
    login = Login(IUsernamePassword)
    portal = checkedBy(login)
    server = MemoryServer(greeter, portal=portal)
    client = server.connect(headers=[basic("ann", "secret")])
    login.logouts = None  # type: ignore[assignment]
    client.close()
    (failure,) = logs.failures()
    assert failure.check(AttributeError)
    assert len(greeter.lost) == 1


# Checkers that are slow, or fail


def test_later(greeter: Greeter) -> None:
    """
    A checker may answer later. In the meantime nothing is read, and what has arrived is
    kept.
    """
    login = Login(IUsernamePassword)
    answer: Deferred[bytes] = Deferred()
    login.answer = answer
    server = MemoryServer(greeter, portal=checkedBy(login))
    client = server.connect(headers=[basic("ann", "secret")])
    assert not client.opened
    assert not client.transport.reading
    client.send("early")
    answer.callback(b"ann")
    server.run()
    assert client.messages == ["hello ann", "early"]


def test_too_late(greeter: Greeter) -> None:
    """
    A checker that never answers has as much time as an application. A late answer is
    ignored.
    """
    login = Login(IUsernamePassword)
    answer: Deferred[bytes] = Deferred(lambda _: None)
    login.answer = answer
    server = MemoryServer(greeter, portal=checkedBy(login))
    client = server.connect(headers=[basic("ann", "secret")])
    server.advance(10)
    assert client.refused is not None
    assert (client.refused.status, client.refused.reason) == (
        503,
        "credentials not checked in 10 seconds",
    )
    assert greeter.requests == []
    assert login.logouts == []


def test_leaves_meanwhile(greeter: Greeter) -> None:
    """
    If the client leaves in the meantime, the checker is cancelled. That isn't a failed
    login.
    """
    cancelled: list[object] = []
    login = Login(IUsernamePassword)
    settings = Settings(max_auth_failures=1)
    server = MemoryServer(greeter, portal=checkedBy(login), settings=settings)
    for _ in range(3):
        login.answer = Deferred(cancelled.append)
        server.connect(headers=[basic("ann", "secret")]).drop()
    assert len(cancelled) == 3
    login.answer = b"ann"
    assert server.connect(headers=[basic("ann", "secret")]).opened


@pytest.mark.parametrize("error", [UnauthorizedLogin("secret"), LoginDenied("secret")])
@pytest.mark.parametrize("later", [False, True])
def test_denied(greeter: Greeter, error: Exception, later: bool) -> None:
    """
    Each of Twisted's ways to refuse a login gives a refusal. The checker's text isn't
    sent to the client.
    """
    login = Login(IUsernamePassword)
    login.answer = fail(error) if later else error
    server = MemoryServer(greeter, portal=checkedBy(login))
    refusal = refused(server, basic("ann", "secret"))
    assert (refusal.status, refusal.reason) == (401, "wrong name or password")


def test_broken(greeter: Greeter, logs: Logs) -> None:
    """
    A checker that fails isn't a wrong password: 500, a traceback, and no failed login.
    """
    login = Login(IUsernamePassword)
    settings = Settings(max_auth_failures=1)
    server = MemoryServer(greeter, portal=checkedBy(login), settings=settings)
    for _ in range(2):
        login.answer = fail(RuntimeError("no database"))
        refusal = refused(server, basic("ann", "secret"))
        assert (refusal.status, refusal.reason) == (500, "credentials can't be checked")
    assert len(logs.failures()) == 2
    login.answer = succeed(b"ann")
    assert server.connect(headers=[basic("ann", "secret")]).opened


def test_realm_without_avatars(greeter: Greeter, logs: Logs) -> None:
    """
    Likewise, a realm without an avatar for WebSockets.
    """
    login = Login(IUsernamePassword)

    def requestAvatar(*_: object) -> None:
        raise NotImplementedError("only mail here")

    setattr(login, "requestAvatar", requestAvatar)  # noqa: B010
    server = MemoryServer(greeter, portal=checkedBy(login))
    assert refused(server, basic("ann", "secret")).status == 500
    (failure,) = logs.failures()
    assert failure.check(NotImplementedError)


# Expiry


def lasting(seconds: float) -> Login:
    """
    Make logins whose tokens last for some seconds.
    """
    login = Login(IBearerToken)

    def requestAvatarId(credentials: Any) -> Deferred[Any]:
        credentials.lasts = seconds
        return succeed(b"ann")

    setattr(login, "requestAvatarId", requestAvatarId)  # noqa: B010
    return login


def test_expires(greeter: Greeter) -> None:
    """
    When the token expires, the connection closes with 3000, which is "Unauthorized" in
    IANA's registry.
    """
    login = lasting(30)
    server = MemoryServer(greeter, portal=checkedBy(login))
    client = server.connect(headers=[bearer("sesame")])
    server.advance(29)
    assert client.closed is None
    server.advance(1)
    assert client.closed == (3000, "the token has expired")
    (closed,) = greeter.lost
    assert (str(closed.side), closed.code, closed.setting) == ("server", 3000, "auth")
    assert login.logouts == [b"ann"]
    assert len(server.factory.deadlines) == 0


def test_expires_never_after_the_end(greeter: Greeter) -> None:
    """
    If the connection ends earlier, nothing of the expiry is left.
    """
    server = MemoryServer(greeter, portal=checkedBy(lasting(1000)))
    server.connect(headers=[bearer("sesame")]).close()
    assert len(server.factory.deadlines) == 0
    assert server.factory.roster.sessions == {}


@pytest.mark.parametrize(
    "seconds", [float("inf"), 1e308, 10**400], ids=["infinite", "1e308", "an int"]
)
def test_infinite(greeter: Greeter, seconds: float) -> None:
    """
    A login with an endless lifetime works like any other: it opens, and leaves nothing
    behind.
    """
    login = lasting(seconds)
    server = MemoryServer(greeter, portal=checkedBy(login))
    client = server.connect(headers=[bearer("sesame")])
    client.send("hello")
    assert client.messages[-1] == "hello"
    server.advance(10)
    assert client.closed is None
    stopping = server.stop()
    assert client.closed == (1001, "the server is stopping")
    assert stopping.called
    assert login.logouts == [b"ann"]
    assert nothingLeft(server)


@pytest.mark.parametrize(
    "seconds",
    [float("nan"), "60", b"60", True, [60], 1j, object()],
    ids=lambda each: each.__class__.__name__,
)
def test_no_number(greeter: Greeter, logs: Logs, seconds: Any) -> None:
    """
    A checker whose lifetime isn't a number of seconds is a failure: the client is
    refused, the user is logged out, and no guess is counted.
    """
    login = lasting(seconds)
    settings = Settings(max_auth_failures=1)
    server = MemoryServer(greeter, portal=checkedBy(login), settings=settings)
    for _ in range(3):
        refusal = refused(server, bearer("sesame"))
        assert (refusal.status, refusal.setting) == (500, None)
    assert [failure.check(TypeError) for failure in logs.failures()] == [TypeError] * 3
    assert login.logouts == [b"ann"] * 3
    assert greeter.requests == []
    server.advance(10)
    assert nothingLeft(server)
    assert server.stop().called


@pytest.mark.parametrize("seconds", [0, 0.0, -1, float("-inf")])
def test_over_already(greeter: Greeter, seconds: float) -> None:
    """
    A login that has expired already is refused. The application isn't called.
    """
    login = lasting(seconds)
    server = MemoryServer(greeter, portal=checkedBy(login))
    refusal = refused(server, bearer("sesame"))
    assert (refusal.status, refusal.reason) == (401, "the token has expired")
    assert login.logouts == [b"ann"]
    assert greeter.requests == []
    server.advance(10)
    assert nothingLeft(server)


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), -1.0])
def test_first_message_lasts(greeter: Greeter, logs: Logs, seconds: float) -> None:
    """
    The same holds for a token in the first message.
    """
    login = lasting(seconds)
    server = MemoryServer(greeter, portal=checkedBy(login))
    client = server.connect(origin=ORIGIN)
    client.send('{"type": "auth", "token": "sesame"}')
    code = {"inf": None, "nan": 1011, "-1.0": 1008}[str(seconds)]
    assert (None if client.closed is None else client.closed[0]) == code
    assert len(logs.failures()) == (code == 1011)
    assert server.stop().called
    assert login.logouts == [b"ann"]
    assert nothingLeft(server)


def test_attaching_fails(
    greeter: Greeter, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If anything fails while a login is attached to its connection, the client is refused
    and takes up no slot.
    """

    def attach(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Session, "attach", attach)
    login = lasting(60)
    server = MemoryServer(greeter, portal=checkedBy(login))
    assert refused(server, bearer("sesame")).status == 500
    (failure,) = logs.failures()
    assert failure.check(MemoryError)
    server.advance(10)
    assert login.logouts == [b"ann"]
    assert nothingLeft(server)
    assert server.stop().called


def nothingLeft(server: MemoryServer) -> bool:
    """
    Say whether no connection and no deadline is left.
    """
    factory = server.factory
    return (
        not factory.connections
        and not factory.opening
        and not factory.roster.sessions
        and not any(each.connections for each in factory.admission._accounts.values())
        and len(factory.deadlines) == 0
    )


# Failures


def test_too_many_failures(greeter: Greeter, logs: Logs) -> None:
    """
    A client with too many failed logins is refused for a while, with any credentials
    and on any connection. Others are served.
    """
    login = Login(IUsernamePassword)
    login.answer = UnauthorizedLogin()
    settings = Settings(max_auth_failures=3)
    server = MemoryServer(greeter, portal=checkedBy(login), settings=settings)
    header = basic("ann", "secret")
    assert [refused(server, header).status for _ in range(3)] == [401] * 3
    login.answer = b"ann"
    refusal = refused(server, header)
    assert (refusal.status, refusal.reason) == (429, "too many failed logins")
    assert (b"Retry-After", b"20") in refusal.headers
    assert len(login.asked) == 3
    assert logs.events("429")[0]["setting"] == "max-auth-failures"
    assert server.connect(headers=[header], address="192.0.2.9").opened
    server.advance(20)
    assert server.connect(headers=[header]).opened


def test_one_place(greeter: Greeter) -> None:
    """
    All addresses of an IPv6 network count as one client.
    """
    settings = Settings(max_auth_failures=1)
    server = MemoryServer(greeter, portal=passwords("ann", "secret"), settings=settings)
    wrong = basic("ann", "x")
    assert refused(server, wrong, address="2001:db8::1").status == 401
    assert refused(server, wrong, address="2001:db8::2").status == 429
    assert refused(server, wrong, address="2001:db8:0:1::1").status == 401


def test_too_many_failures_in_all(greeter: Greeter, logs: Logs) -> None:
    """
    A client with many addresses is bounded by the limit on all failures together.
    """
    settings = Settings(max_auth_failures=1, max_auth_failures_total=3)
    server = MemoryServer(greeter, portal=passwords("ann", "secret"), settings=settings)
    wrong = basic("ann", "x")
    statuses = [
        refused(server, wrong, address=f"192.0.2.{number}").status
        for number in range(5, 10)
    ]
    assert statuses == [401, 401, 401, 429, 429]
    assert logs.events("429")[0]["setting"] == "max-auth-failures-total"
    server.advance(20)
    # A refusal by the total doesn't count for the address either.
    assert [refused(server, wrong, address="192.0.2.9").status for _ in range(2)] == [
        *(401, 429)
    ]


def test_tokens_are_in_nobodys_way(greeter: Greeter) -> None:
    """
    However many logins fail in total, a right token is accepted. Wrong tokens don't
    keep a right password out.
    """
    password, token = Login(IUsernamePassword), Login(IBearerToken)
    password.answer = token.answer = UnauthorizedLogin()
    settings = Settings(max_auth_failures_total=2)
    portal = checkedBy(password)
    portal.registerChecker(token)  # type: ignore[arg-type]
    server = MemoryServer(greeter, portal=portal, settings=settings)
    for number in range(5, 10):
        address = f"192.0.2.{number}"
        assert refused(server, bearer("x"), address=address).status == 401
    password.answer = token.answer = b"ann"
    assert server.connect(headers=[basic("ann", "secret")]).opened
    password.answer = UnauthorizedLogin()
    statuses = [
        refused(server, basic("ann", "x"), address=f"192.0.2.{number}").status
        for number in range(5, 8)
    ]
    assert statuses == [401, 401, 429]
    assert server.connect(headers=[bearer("right")]).opened
    assert refused(server, basic("ann", "secret")).status == 429


@pytest.mark.parametrize(("bits", "most"), [(56, 8), (48, 32)])
def test_networks_of_ipv6(greeter: Greeter, bits: int, most: int) -> None:
    """
    In an IPv6 network larger than one client's, each /56 may fail four times as often
    as one client, and each /48 sixteen times as often. Such a network can't keep others
    out.
    """
    settings = Settings(max_auth_failures=2, max_auth_failures_total=33)
    server = MemoryServer(greeter, portal=passwords("ann", "secret"), settings=settings)
    wrong = basic("ann", "x")
    step = 1 if bits == 56 else 256
    statuses = [
        refused(server, wrong, address=f"2001:db8:1:{number * step:x}::1").status
        for number in range(40)
    ]
    assert statuses == [401] * most + [429] * (40 - most)
    right = basic("ann", "secret")
    assert refused(server, right, address="2001:db8:1:77::1").status == 429
    assert server.connect(headers=[right], address="2001:db8:2::1").opened


def test_right_ones_count_nothing(greeter: Greeter) -> None:
    """
    Right credentials don't count, however many clients log in at once.
    """
    settings = Settings(max_auth_failures=2, max_auth_failures_total=2)
    server = MemoryServer(greeter, portal=passwords("ann", "secret"), settings=settings)
    clients: list[MemoryClient] = [
        server.connect(headers=[basic("ann", "secret")]) for _ in range(10)
    ]
    assert all(client.opened for client in clients)


def test_guesses_at_one_time(greeter: Greeter) -> None:
    """
    Guesses that wait for a checker count too, so guessing in parallel doesn't exceed
    the limit.
    """
    login = Login(IUsernamePassword)
    login.answer = Deferred()
    settings = Settings(max_auth_failures=2)
    server = MemoryServer(greeter, portal=checkedBy(login), settings=settings)
    header = basic("ann", "secret")
    waiting = []
    for _ in range(2):
        login.answer = Deferred()
        waiting.append(server.connect(headers=[header]))
    assert refused(server, header).status == 429
    for client in waiting:
        client.drop()
    login.answer = b"ann"
    assert server.connect(headers=[header]).opened


# What application authors need


def test_given_avatar(greeter: Greeter) -> None:
    """
    A test can connect a client with any avatar.
    """
    server = MemoryServer(greeter)
    assert server.connect(avatar=Avatar("zoe")).messages == ["hello zoe"]
    assert server.connect().messages == ["hello None"]
    guarded = MemoryServer(greeter, portal=passwords("ann", "secret"))
    assert guarded.connect(avatar=Avatar("zoe")).messages == ["hello zoe"]
    assert refused(guarded).status == 401


def test_nobody_is_asked(greeter: Greeter, logs: Logs) -> None:
    """
    Without a portal, there is no login.
    """
    server = MemoryServer(greeter)
    client = server.connect(headers=[basic("ann", "secret")])
    assert client.messages == ["hello None"]
    assert not logs.lines("logged in")
