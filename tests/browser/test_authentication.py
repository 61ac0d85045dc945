"""
Logging in as a browser does: the password of the page, a cookie, the first message.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.auth.kit import writeTokens
from tests.browser.conftest import REBOUND, Visit, Visitor
from tests.processes import HOST, Server, serve

APPLICATION = Path(__file__).with_name("application.py")

WHO = Path(__file__).with_name("who.py")

PASSWORD = {"username": "ann", "password": "correct horse"}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Server]:
    """
    A server whose visitors need a password.
    """
    with serve(tmp_path, f"--app={WHO}", "--auth=memory:ann:correct horse") as server:
        yield server


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """
    A server whose pages need a token, and may have it in a cookie.
    """
    folder = tmp_path_factory.mktemp("tokens")
    description = writeTokens(folder / "tokens", ann="sesame", bob="other")
    with serve(
        folder, f"--app={WHO}", f"--auth={description}", "--auth-cookie=session"
    ) as server:
        yield server
        assert "Traceback" not in server.log + server.err
        assert "sesame" not in server.log + server.err


def url(server: Server) -> str:
    return f"http://{HOST}:{server.port}/"


FIRST = """(url) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  socket.onmessage = ({ data }) => resolve(data);
  socket.onclose = ({ code, reason }) => resolve(`${code} ${reason}`);
})"""
"""
Connects, and gives the first message, or how the connection ended.
"""


def first(page: Visit, server: Server) -> Any:
    return page.run(FIRST, url(server).replace("http", "ws"))


@pytest.mark.everyday
def test_password(visit: Visitor, guarded: Server) -> None:
    """
    The browser asks for the password of the page, and sends it with the WebSocket.
    """
    page = visit(url(guarded), http_credentials=PASSWORD)
    page.wait("window.ready")
    assert first(page, guarded) == "you are ann"


def test_without_the_password(visit: Visitor, guarded: Server) -> None:
    """
    Without it, there is no page: the browser asks for it, and here nobody answers.
    """
    with pytest.raises(Exception, match="ERR_INVALID_AUTH_CREDENTIALS"):
        visit(url(guarded))


def test_wrong_password(visit: Visitor, guarded: Server) -> None:
    """
    With a wrong one, the page says so.
    """
    wrong = {"username": "ann", "password": "x"}
    page = visit(url(guarded), http_credentials=wrong)
    assert page.page.inner_text("body").strip() == "wrong name or password"
    assert all("401" in each for each in page.errors)
    page.errors.clear()


def test_cookie(visit: Visitor, tokens: Server) -> None:
    """
    A cookie of the host comes with the WebSocket, and counts.
    """
    page = visit(url(tokens))
    page.run("document.cookie = 'session=other; SameSite=Lax'")
    assert first(page, tokens) == "you are bob"


def start(page: Visit, token: str) -> None:
    """
    Have wsplug.js connect.

    @param token: its option, in JavaScript.
    """
    page.wait("window.ready")
    page.run(f"start({{token: {token}}})")


def test_first_message(visit: Visitor, tokens: Server) -> None:
    """
    wsplug.js sends its token first, each time.
    """
    page = visit(url(tokens))
    start(page, "'sesame'")
    page.wait("connection.state === 'open' && told.messages.length === 1", "told")
    page.run("connection.send('abort')")
    page.wait("told.messages.length === 2", "told")
    assert page.run("told.messages") == ["you are ann"] * 2
    assert page.run("told.states") == [
        "connecting",
        "open",
        "waiting",
        "connecting",
        "open",
    ]
    assert page.run("told.closings.map(({ code }) => code)") == [1006]


def test_function(visit: Visitor, tokens: Server) -> None:
    """
    A function is called for each connection, and may take its time; where it fails, it
    is called again later. A token that has expired is replaced by the next one.
    """
    page = visit(url(tokens))
    page.run("window.calls = 0")
    script = """async () => {
      calls += 1;
      if (calls === 1) throw new Error("not yet");
      await new Promise((resolve) => setTimeout(resolve, 20));
      return ["sesame", "other"][calls % 2];
    }"""
    start(page, script)
    page.wait("told.messages.length === 1", "told")
    assert page.run("told.messages") == ["you are ann"]
    assert page.run("told.errors") == ["Error: not yet"]
    page.run("connection.send('expire')")
    page.wait("told.messages.length === 2", "told")
    assert page.run("told.messages") == ["you are ann", "you are bob"]
    assert page.run("told.closings.map(({ code }) => code)") == [1006, 3000]
    assert page.run("calls") == 3


@pytest.mark.parametrize(("token", "code"), [("'wrong'", 1008), ("'a b'", 1008)])
def test_wrong_token(visit: Visitor, tokens: Server, token: str, code: int) -> None:
    """
    A token that is refused is final.
    """
    page = visit(url(tokens))
    start(page, token)
    page.wait("connection.state === 'closed'", "told")
    assert page.run("told.closings.map(({ code }) => code)") == [code]


def test_expired(visit: Visitor, tokens: Server) -> None:
    """
    So is one that has expired, where there is no other.
    """
    page = visit(url(tokens))
    start(page, "'sesame'")
    page.wait("told.messages.length === 1", "told")
    page.run("connection.send('expire')")
    page.wait("connection.state === 'closed'", "told")
    assert page.run("told.closings.map(({ code }) => code)") == [3000]


def test_another_site(visit: Visitor, tmp_path: Path) -> None:
    """
    A page of another site has the browser's password and cookie sent along, where any
    page may connect; they don't count for it. On another port of the same host, only
    the cookie does, which the browser sends there, too.
    """
    description = writeTokens(tmp_path / "tokens", bob="other")
    arguments = ["--auth=memory:ann:correct horse", f"--auth={description}"]
    arguments += ["--auth-cookie=session", "--origin=*", "--auth-first-message=no"]
    with (
        serve(tmp_path, f"--app={WHO}", *arguments) as server,
        serve(tmp_path, f"--app={WHO}", "--allowed-host=*") as other,
    ):
        page = visit(url(server), http_credentials=PASSWORD)
        page.wait("window.ready")
        page.run("document.cookie = 'session=other; SameSite=Lax'")
        assert first(page, server) == "you are ann"
        beside = visit(url(other), beside=page)
        assert first(beside, server) == "you are bob"
        evil = visit(url(other).replace(HOST, REBOUND), beside=page)
        assert first(evil, server) == "1006 "
        server.waitForLog("refused: 401 log in first")
        page.run("document.cookie = 'session=other; Max-Age=0'")
        assert first(page, server) == "you are ann"
        assert first(beside, server) == "1006 "
