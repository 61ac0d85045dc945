"""
Pages that do what those of the PHP tutorials do, against the commands of
docs/guides/from-php.md: from another port of the same host, and from a file.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.browser.chatting import expect
from tests.browser.conftest import Visit, Visitor
from tests.documentation.pages import codeIn, readPage
from tests.processes import HOST, Server, serve

PAGES = Path(__file__).with_name("pages") / "php"

GUIDE = readPage("from-php")


def _argumentsIn(section: str) -> list[list[str]]:
    """
    Give the arguments for wsplug of each command in a section of the guide, without the
    port.
    """
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", GUIDE, re.M | re.S)
    commands = re.findall(r"^\$ (twistd .*)$", "".join(codeIn(text, "console")), re.M)
    assert commands
    words = [shlex.split(each.replace(" --port 9000", "")) for each in commands]
    return [each[each.index("wsplug") + 1 :] for each in words]


class _Handler(SimpleHTTPRequestHandler):
    """
    Serves files, and logs nothing.
    """

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """
    The pages' server, on another port of the same machine: its origin.
    """
    handler = partial(_Handler, directory=str(PAGES))
    with ThreadingHTTPServer((HOST, 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Tutorial:
    """
    A tutorial's pages, opened from one of the places, and the server for them.
    """

    def __init__(self, visit: Visitor, folder: Path, origin: str) -> None:
        """
        @param origin: where the pages are from; C{null} for a file.
        """
        self._visit = visit
        self._folder = folder
        self._origin = origin

    @contextmanager
    def serve(self, arguments: list[str]) -> Iterator[Server]:
        # A page of another port of the same host may connect by default.
        allowed = ["--origin=null"] if self._origin == "null" else []
        with serve(self._folder, *arguments, *allowed) as self._server:
            yield self._server

    def open(self, name: str, path: str = "/", **query: object) -> Visit:
        """
        Open a page.

        @param path: that of the WebSocket.
        """
        # The page's host and the socket's have different names for the same machine.
        url = f"ws://{HOST}:{self._server.port}{path}"
        top = PAGES.as_uri() if self._origin == "null" else self._origin
        return self._visit(f"{top}/{name}.html?{urlencode({'url': url, **query})}")


@pytest.fixture(params=["port", "file"])
def tutorial(
    request: pytest.FixtureRequest, visit: Visitor, tmp_path: Path, elsewhere: str
) -> Tutorial:
    """
    A tutorial from another port, and from a file.
    """
    return Tutorial(visit, tmp_path, elsewhere if request.param == "port" else "null")


def _say(visit: Visit, text: str, label: str = "Message") -> None:
    visit.page.get_by_label(label).fill(text)
    visit.page.get_by_role("button", name="Send").click()


def _items(visit: Visit) -> Any:
    return visit.page.locator("li")


def _sees(visit: Visit, text: str) -> None:
    """
    Wait until a page shows a text, once, wherever it stands.
    """
    whole = re.compile(f"^{re.escape(text)}$")
    expect(_items(visit).filter(has_text=whole)).to_have_count(1)


def test_console(tutorial: Tutorial) -> None:
    """
    000: a console of commands, which is told when it is connected, and when it isn't
    any more.
    """
    (arguments,) = _argumentsIn("A console")
    with tutorial.serve(arguments):
        visit = tutorial.open("console", protocols="chat,superchat")
        log = visit.page.locator("#log")
        expect(log).to_contain_text("status 0\nwelcome, status 1")
        _say(visit, "hello", "Line")
        expect(log).to_contain_text("sent: hello\nreceived: Hello, human!")
        _say(visit, "bye", "Line")
        expect(log).to_contain_text("received: Bye, human. Come back soon!")
        expect(log).to_contain_text("disconnected, status 3")
        again = tutorial.open("console")
        log = again.page.locator("#log")
        expect(log).to_contain_text("welcome")
        again.page.get_by_role("button", name="Quit").click()
        expect(log).to_contain_text("disconnected")


def test_chat(tutorial: Tutorial) -> None:
    """
    001: all pages get what one says, and learn who comes.
    """
    arguments, _ = _argumentsIn("A chat to all")
    with tutorial.serve(arguments):
        path = "/websocket.php"
        ann = tutorial.open("chat", path)
        expect(_items(ann)).to_have_text(["connected", f"{HOST} connected"])
        bea = tutorial.open("chat", path, protocols="chat")
        expect(_items(bea)).to_have_text(["connected", f"{HOST} connected"])
        _say(ann, "Hi all")
        for visit in (ann, bea):
            _sees(visit, "Ann: Hi all")
        bea.page.get_by_label("Name").fill("Bea")
        _say(bea, "<b>Hi</b>")
        for visit in (ann, bea):
            _sees(visit, "Bea: <b>Hi</b>")
        bea.page.close()
        expect(_items(ann).last).to_have_text(re.compile("disconnected|left"))


def test_relay(tutorial: Tutorial) -> None:
    """
    001 with keys of one's own: the relay passes on any object, with all its keys.
    """
    _, arguments = _argumentsIn("A chat to all")
    with tutorial.serve(arguments):
        ann, bea = (
            tutorial.open("chat", keys="other", protocols=protocols)
            for protocols in ("", "chat")
        )
        for visit in (ann, bea):
            expect(_items(visit)).to_have_text(["connected"])
        _say(ann, "Hi")
        for visit in (ann, bea):
            expect(_items(visit)).to_have_text(["connected", "Ann: Hi (fine)"])


def test_direct(tutorial: Tutorial) -> None:
    """
    002: each page says its id, and gets what is for that id alone; the last one that
    has said an id has it.
    """
    (arguments,) = _argumentsIn("Ids and direct messages")
    with tutorial.serve(arguments):

        def openAs(id: int, to: int) -> Visit:
            visit = tutorial.open("direct", "/chat/server.php", id=id, to=to)
            _sees(visit, "system: Initial message received")
            return visit

        five, seven = openAs(5, 7), openAs(7, 5)
        _say(five, "to seven")
        _sees(seven, "usermsg: to seven")
        _sees(five, "me: to seven")
        _say(seven, "to five")
        _sees(five, "usermsg: to five")
        newest = openAs(5, 7)
        _sees(five, "system: Another page has taken over this id")
        _say(seven, "to the newest")
        _sees(newest, "usermsg: to the newest")
        # What is said to all comes behind it.
        newest.run("socket.send(JSON.stringify({ name: 'mks', message: 'to all' }))")
        _sees(five, "usermsg: to all")
        assert "usermsg: to the newest" not in _items(five).all_inner_texts()


def test_push(tutorial: Tutorial) -> None:
    """
    003: the page gets texts without asking, the first one at once, until it says
    C{quit}.
    """
    (arguments,) = _argumentsIn("Push")[:1]
    with tutorial.serve(arguments):
        visit = tutorial.open("push")
        texts = [re.compile(r"server: I am waiting [2-5] seconds"), "opened, status 1"]
        expect(_items(visit).nth(-2)).to_have_text(texts[0])
        expect(_items(visit).last).to_have_text(texts[1])
        expect(_items(visit).nth(-3)).to_have_text(texts[0])
        visit.run("socket.send('quit')")
        expect(_items(visit).first).to_have_text("closed with 1000, status 3")


def test_echo(tutorial: Tutorial) -> None:
    """
    004: what is sent comes back, to the console.
    """
    (arguments,) = _argumentsIn("An echo")
    with tutorial.serve(arguments):
        visit = tutorial.open("echo", protocols="chat,superchat")
        visit.run(
            "() => new Promise((done) => { socket.readyState === 1"
            " ? done() : socket.addEventListener('open', () => done()); })"
        )
        assert visit.run("socket.protocol") == "chat"
        answer = visit.run(
            "() => new Promise((done) => {"
            " socket.addEventListener('message', ({ data }) => done(data));"
            " socket.send('Li Jing'); })"
        )
        assert answer == "You have entered: Li Jing"


@pytest.mark.everyday
def test_own_page(visit: Visitor, tmp_path: Path) -> None:
    """
    A page in a folder of one's own is served on the socket's port.
    """
    commands = _argumentsIn("Where the page comes from")
    (arguments,) = [each for each in commands if "pages=" in " ".join(each)]
    (page,) = [code for code in codeIn(GUIDE, "html") if "site/index.html" in code]
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text(page, "utf-8")
    (site / "favicon.ico").write_bytes(b"")
    with serve(tmp_path, *arguments) as server:
        made = visit(f"http://localhost:{server.port}/")
        expect(made.page.locator("#answer")).to_have_text("Hello, human!")


def _says(text: str) -> Callable[[Any], bool]:
    return lambda message: bool(message.text == text)


def test_file_needs_its_option(visit: Visitor, tmp_path: Path) -> None:
    """
    A page of a file may not connect before it is allowed by name, as the guide does.
    """
    commands = _argumentsIn("Where the page comes from")
    (arguments,) = [each for each in commands if "null" in each]
    for given, shown in ((arguments[:2], "error"), (arguments, "handshake successful")):
        with serve(tmp_path, *given) as server:
            query = urlencode({"url": f"ws://localhost:{server.port}/"})
            made = visit("about:blank")
            with made.page.expect_console_message(_says(shown)):
                made.page.goto(f"{(PAGES / 'echo.html').as_uri()}?{query}")
