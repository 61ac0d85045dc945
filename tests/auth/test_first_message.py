"""
Logging in with the first message (wsplug.server.sessions).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail

from tests.auth.kit import ORIGIN, Greeter, Login, checkedBy, passwords, writeTokens
from tests.server.kit import Logs
from wsplug import HandshakeRefused, Settings
from wsplug.auth import makePortal
from wsplug.auth.credentials import MAX_FIRST_MESSAGE_SIZE
from wsplug.interfaces import IBearerToken
from wsplug.testing import MemoryClient, MemoryServer

OK = '{"type":"auth","ok":true}'


def auth(token: str = "sesame", **more: object) -> str:
    return json.dumps({"type": "auth", "token": token, **more})


@pytest.fixture
def greeter() -> Greeter:
    return Greeter()


@pytest.fixture
def login() -> Login:
    return Login(IBearerToken)


def serve(greeter: Greeter, login: Login, **options: Any) -> MemoryServer:
    return MemoryServer(greeter, portal=checkedBy(login), **options)


def browse(server: MemoryServer) -> MemoryClient:
    """
    Connect as a page of the server's own.
    """
    return server.connect(origin=ORIGIN)


def test_token(greeter: Greeter, tmp_path: Path, logs: Logs) -> None:
    """
    A browser's handshake is accepted. The application is called once the first message
    has brought a token.
    """
    portal = makePortal([writeTokens(tmp_path / "tokens", bob="sesame")])
    server = MemoryServer(greeter, portal=portal)
    client = browse(server)
    assert client.opened
    assert greeter.requests == []
    client.send(auth())
    assert client.messages == [OK, "hello bob"]
    assert logs.lines("logged in as 'bob'")
    client.send("more")
    assert client.messages[2:] == ["more"]
    server.advance(60)
    assert client.closed is None


def test_request_number(greeter: Greeter, login: Login) -> None:
    """
    The answer has the request's number or text.
    """
    for request in (7, "r"):
        client = browse(serve(greeter, login))
        client.send(auth(request=request))
        assert json.loads(client.receive()) == {
            "type": "auth",
            "ok": True,
            "request": request,
        }


def test_bytes_of_the_token(greeter: Greeter, login: Login) -> None:
    """
    The checker gets the token's bytes as they were sent.
    """
    browse(serve(greeter, login)).send(auth("a.b-c"))
    assert [each.token for each in login.asked] == [b"a.b-c"]
    assert login.minds == greeter.requests


@pytest.mark.parametrize("later", [False, True])
def test_order(greeter: Greeter, login: Login, later: bool) -> None:
    """
    Messages after the token wait for the application, in order. Nothing is read before
    the token is checked.
    """
    answer: Deferred[bytes] = Deferred()
    login.answer = answer if later else b"ann"
    server = serve(greeter, login)
    client = browse(server)
    client.send(auth())
    for number in range(3):
        client.send(f"{number}")
    client.send(b"x" * (MAX_FIRST_MESSAGE_SIZE + 1))
    if later:
        assert not client.transport.reading
        assert client.messages == []
        answer.callback(b"ann")
        server.run()
    assert client.messages[:-1] == [OK, "hello ann", "0", "1", "2"]
    assert len(client.messages[-1]) == MAX_FIRST_MESSAGE_SIZE + 1


def test_handlers_that_overlap(greeter: Greeter, login: Login) -> None:
    """
    No message overtakes the check of the token, even if the application's handlers
    overlap.
    """
    answer: Deferred[bytes] = Deferred()
    login.answer = answer
    greeter.handlersOverlap = True  # type: ignore[attr-defined]
    server = serve(greeter, login)
    client = browse(server)
    for text in (auth(), "a", "b"):
        client.send(text)
    assert client.messages == []
    assert client.closed is None
    answer.callback(b"ann")
    server.run()
    assert client.messages == [OK, "hello ann", "a", "b"]


def test_in_one_piece(greeter: Greeter, login: Login) -> None:
    """
    Likewise, where everything arrives at once, with compression.
    """
    server = serve(greeter, login)
    client = server.connect(origin=ORIGIN, compression=True)
    client.stopReading()
    for text in (auth(), "a", "b" * 5000):
        client.send(text)
    client.startReading()
    assert client.messages == [OK, "hello ann", "a", "b" * 5000]


def test_application_that_waits(greeter: Greeter, login: Login) -> None:
    """
    If the application's C{negotiationFinished} returns a Deferred, no message is
    delivered before it fires, as with any handshake.
    """
    greeter.hold = hold = Deferred[None]()
    server = serve(greeter, login)
    client = browse(server)
    client.send(auth())
    client.send("more")
    assert client.messages == [OK, "hello ann"]
    hold.callback(None)
    server.run()
    assert client.messages == [OK, "hello ann", "more"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hello", "the first message must contain a token"),
        ("{}", "the first message must contain a token"),
        (b"sesame", "the first message must contain a token"),
        (auth("a b"), "malformed token"),
        (auth(""), "malformed token"),
        (auth("\u00e9"), "malformed token"),
        (auth("x" * 8193), "the token is over 8192 bytes"),
        (auth("wrong"), "the token is unknown"),
    ],
)
def test_refused(
    greeter: Greeter, login: Login, logs: Logs, text: str | bytes, reason: str
) -> None:
    """
    Anything else closes with 1008 and the reason. The application sees nothing of it.
    """
    login.answer = UnauthorizedLogin()
    client = browse(serve(greeter, login))
    client.send(text)
    client.send(auth())
    assert client.closed == (1008, reason)
    assert client.messages == []
    assert greeter.requests == []
    (event,) = logs.events("closed by")
    assert (event["side"], event["setting"]) == ("server", "auth")


def test_too_large(greeter: Greeter, login: Login) -> None:
    """
    Before the login, a message may be no larger than a token needs.
    """
    client = browse(serve(greeter, login))
    client.send("x" * (MAX_FIRST_MESSAGE_SIZE + 1))
    assert client.closed == (1009, f"message over {MAX_FIRST_MESSAGE_SIZE} bytes")


def test_silence(greeter: Greeter, login: Login, logs: Logs) -> None:
    """
    A client that sends no token is disconnected after the open timeout. Pings don't
    extend it.
    """
    server = serve(greeter, login, settings=Settings(ping_interval=2))
    client = browse(server)
    client.ping(b"x")
    client.sendBytes(b"\x8a\x80\0\0\0\0")
    server.advance(9.5)
    assert client.closed is None
    server.advance(1)
    assert client.closed == (1008, "no token in 10 seconds")
    assert logs.events("closed by")[0]["setting"] == "open-timeout"


@pytest.mark.parametrize("what", ["checker", "application"])
def test_slow(greeter: Greeter, login: Login, what: str) -> None:
    """
    The same holds for a checker or an application that doesn't answer: the connection
    closes with 1013, and the call is cancelled.
    """
    cancelled: list[object] = []
    never: Deferred[Any] = Deferred(cancelled.append)
    if what == "checker":
        login.answer, reason = never, "the token was not checked in 10 seconds"
    else:
        greeter.build, reason = (
            lambda _: never,
            "no answer from the application in 10 seconds",
        )
    server = serve(greeter, login)
    client = browse(server)
    client.send(auth())
    server.advance(10)
    assert client.closed == (1013, reason)
    assert len(cancelled) == 1
    assert login.logouts == ([] if what == "checker" else [b"ann"])


@pytest.mark.parametrize("what", ["checker", "application"])
@pytest.mark.parametrize("how", ["drop", "close", "stop"])
def test_leaves_meanwhile(greeter: Greeter, login: Login, what: str, how: str) -> None:
    """
    A client that leaves or is disconnected in the meantime leaves nothing behind.
    """
    cancelled: list[object] = []
    never: Deferred[Any] = Deferred(cancelled.append)
    if what == "checker":
        login.answer = never
    else:
        greeter.build = lambda _: never
    server = serve(greeter, login)
    client = browse(server)
    client.send(auth())
    if how == "drop":
        client.drop()
    elif how == "close":
        client.close()
    else:
        server.stop()
    server.advance(10)
    assert len(cancelled) == 1
    assert login.logouts == ([] if what == "checker" else [b"ann"])
    assert greeter.transports == []
    assert len(server.factory.deadlines) == 0


def test_logout(greeter: Greeter, login: Login) -> None:
    """
    The logout is called once, at the end.
    """
    client = browse(serve(greeter, login))
    client.send(auth())
    assert login.logouts == []
    client.close()
    assert login.logouts == [b"ann"]
    assert len(greeter.lost) == 1


def test_expires(greeter: Greeter) -> None:
    """
    A connection also ends when its token expires, counted from the check.
    """
    from tests.auth.test_handshake import lasting

    server = serve(greeter, lasting(30))
    client = browse(server)
    server.advance(5)
    client.send(auth())
    server.advance(29)
    assert client.closed is None
    server.advance(1.5)
    assert client.closed == (3000, "the token has expired")


@pytest.mark.parametrize(
    ("refusal", "code"), [(403, 1008), (404, 1008), (503, 1013), (500, 1011)]
)
def test_refused_by_the_application(
    greeter: Greeter, login: Login, logs: Logs, refusal: int, code: int
) -> None:
    """
    When the application refuses, the client gets its reason, with the close code that
    is nearest to its status.
    """

    def build(_: object) -> Any:
        raise HandshakeRefused(refusal, "not today")

    greeter.build = build
    client = browse(serve(greeter, login))
    client.send(auth())
    assert client.closed == (code, "not today")
    assert logs.events("closed by")[0]["side"] == "application"
    assert login.logouts == [b"ann"]


def test_application_of_none(greeter: Greeter, login: Login) -> None:
    """
    An application that returns no protocol accepts no connection.
    """
    greeter.build = lambda _: None
    client = browse(serve(greeter, login))
    client.send(auth())
    assert client.closed == (1008, "the application refuses the connection")


def test_application_fails(greeter: Greeter, login: Login, logs: Logs) -> None:
    """
    An application that fails closes with 1011.
    """

    def build(_: object) -> Any:
        raise RuntimeError("oops")

    greeter.build = build
    client = browse(serve(greeter, login))
    client.send(auth())
    assert client.closed == (1011, "internal error")
    (failure,) = logs.failures()
    assert failure.check(RuntimeError)


def test_broken_checker(greeter: Greeter, login: Login, logs: Logs) -> None:
    """
    So does a checker that fails.
    """
    login.answer = fail(RuntimeError("no database"))
    client = browse(serve(greeter, login))
    client.send(auth())
    assert client.closed == (1011, "credentials can't be checked")
    assert len(logs.failures()) == 1


def test_too_many_failures(greeter: Greeter, login: Login) -> None:
    """
    Wrong tokens count here too: 1013 asks the client to retry later.
    """
    login.answer = UnauthorizedLogin()
    server = serve(greeter, login, settings=Settings(max_auth_failures=2))
    closings = []
    for _ in range(3):
        client = browse(server)
        client.send(auth())
        closings.append(client.closed)
    assert closings == [
        (1008, "the token is unknown"),
        (1008, "the token is unknown"),
        (1013, "too many failed logins"),
    ]
    assert len(login.asked) == 2


@pytest.mark.parametrize(
    ("mode", "browser", "other"),
    [("browsers", True, False), ("yes", True, True), ("no", False, False)],
)
def test_who_may(
    greeter: Greeter, login: Login, mode: str, browser: bool, other: bool
) -> None:
    """
    The option admits browsers, which can't set headers, or all clients, or none.
    """
    server = serve(greeter, login, authFirstMessage=mode)
    for origin, may in ((ORIGIN, browser), (None, other)):
        if may:
            client = server.connect(origin=origin)
            client.send(auth())
            assert client.messages == [OK, "hello ann"]
            greeter.transports.clear()
        else:
            with pytest.raises(HandshakeRefused, match="401"):
                server.connect(origin=origin)


def test_not_for_passwords(greeter: Greeter) -> None:
    """
    Where there are only passwords, the server doesn't wait for a token.
    """
    server = MemoryServer(
        greeter, portal=passwords("ann", "secret"), authFirstMessage="yes"
    )
    with pytest.raises(HandshakeRefused, match="401"):
        browse(server)


def test_subprotocol(greeter: Greeter, login: Login) -> None:
    """
    The subprotocol is chosen in the handshake, from those that the application
    supports.
    """
    greeter.subprotocols = ("b", "a")
    server = serve(greeter, login)
    client = server.connect(origin=ORIGIN, subprotocols=["a", "b"])
    assert client.subprotocol == "a"
    client.send(auth())
    assert greeter.requests[0].subprotocol == "a"
