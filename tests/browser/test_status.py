"""
The status page.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.admin.kit import TOKEN
from tests.admin.test_serving import adminPort
from tests.browser.conftest import DESK, PATIENCE, PHONE, Visit, Visitor
from tests.processes import HOST, TCP, Server, serve, upgrade

HOSTILE = "<img src=x onerror=alert(1)>\u202eevil\u2066"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """
    An echo and a program, with an admin endpoint.
    """
    program = "--app=process:path=/cat:command=cat"
    with serve(tmp_path, "--app=echo:path=/echo", program, f"--admin={TCP}") as server:
        yield server


def until(page: Visit, condition: str) -> None:
    """
    Wait until something is so in the page. Its policy lets nobody make code of a text,
    as C{Visit.wait} would have to each time.
    """
    deadline = time.monotonic() + PATIENCE / 1000
    while not page.run(condition):
        assert time.monotonic() < deadline, f"never: {condition}"
        page.page.wait_for_timeout(20)


def openPage(visit: Visitor, port: int, **options: object) -> Visit:
    """
    Open the page, and wait until it shows something.
    """
    page = visit(f"http://{HOST}:{port}/", **options)
    until(page, "!document.getElementById('board').hidden")
    until(page, "document.title.includes('connection')")
    return page


def choose(page: Visit, row: str, what: str) -> None:
    """
    Open the dialog of a client, and choose what is to be done.

    @param row: a text in its row.
    """
    page.page.locator("#clients tr", has_text=row).get_by_role("button").click()
    page.page.locator("#doing [name=what]").select_option(label=what)


def said(page: Visit, text: str) -> None:
    """
    Wait until the page says something.
    """
    page.page.locator("#said", has_text=text).wait_for()


@pytest.mark.everyday
def test_watching(visit: Visitor, server: Server) -> None:
    """
    The title, the charts and the lists show who is connected and who left, as it
    happens; what clients send is text and never HTML.
    """
    page = openPage(visit, adminPort(server))
    assert "0 connections" in page.page.title()
    with connect(f"ws://{HOST}:{server.port}/echo/%3Cb%3E") as client:
        client.send("hello")
        until(page, "document.title.startsWith('1 connection ')")
        row = page.page.locator("#clients tr")
        row.wait_for()
        assert "/echo/%3Cb%3E" in row.inner_text()
        assert page.page.locator("#clients b").count() == 0
        client.close(4001, HOSTILE)
    event = page.page.locator("#events tr")
    event.wait_for()
    assert f"4001 {HOSTILE}" in event.text_content()
    assert page.page.locator("#events img").count() == 0
    assert page.page.locator("#causes tr").inner_text().split()[:2] == [
        "1",
        "4000-4999",
    ]
    page.page.locator("#no-clients").wait_for()
    strokes = page.page.locator("path.stroke").first.get_attribute("d")
    assert strokes is not None
    assert re.fullmatch(r"M[0-9. L-]+", strokes)
    assert page.run("document.querySelectorAll('[style]').length") == 0


def test_acting(visit: Visitor, server: Server) -> None:
    """
    A notice, a closing, a ban and its lifting: each asks first, and says what it did.
    """
    page = openPage(visit, adminPort(server))
    url = f"ws://{HOST}:{server.port}/echo/"
    with connect(url + "first") as first, connect(url + "second") as second:
        choose(page, "first", "Send a notice")
        page.page.get_by_label("Text").fill("hello there")
        page.page.get_by_role("button", name="Cancel").click()
        choose(page, "first", "Send a notice")
        page.page.get_by_label("Text").fill("hello")
        page.page.get_by_role("button", name="Send").click()
        said(page, "got the notice")
        assert first.recv(20) == "hello"
        page.page.get_by_role("button", name="Notice to everybody").click()
        page.page.get_by_label("Text").fill("all of you")
        page.page.keyboard.press("Tab")
        page.page.keyboard.press("Tab")
        page.page.keyboard.press("Enter")
        said(page, "2 clients got the notice")
        assert second.recv(20) == "all of you"
        choose(page, "first", "Close this connection")
        page.page.get_by_label("Code").fill("1006")
        page.page.get_by_role("button", name="Close it").click()
        page.page.locator("#problem", has_text="1006 may not be sent").wait_for()
        page.page.get_by_label("Code").fill("4005")
        page.page.get_by_role("button", name="Close it").click()
        said(page, "1 connection closed")
        page.page.locator("#events", has_text="4005").wait_for()
        choose(page, "second", f"Ban {HOST}")
        page.page.get_by_role("button", name="Ban", exact=True).click()
        said(page, f"{HOST} is banned; 1 connection closed")
    page.page.locator("#banned", has_text=HOST).wait_for()
    page.page.get_by_role("button", name="Lift the ban").click()
    page.page.get_by_role("button", name="Lift", exact=True).click()
    said(page, "not banned any more")
    page.page.locator("#no-bans").wait_for()
    with connect(url):
        page.page.get_by_role("button", name="Drain").click()
        page.page.get_by_role("button", name="Send everybody away").click()
        said(page, "The server drains")
    page.page.locator("#ready:not([data-state=ready])").wait_for()


def test_notices_on_pages(visit: Visitor, tmp_path: Path) -> None:
    """
    The pages of the chat and of push show a notice, as text.
    """
    with serve(tmp_path, "--app=chat", "--app=push", f"--admin={TCP}") as server:
        chat = visit(f"http://{HOST}:{server.port}/chat/")
        chat.page.get_by_label("Your name").fill("Ann")
        chat.page.keyboard.press("Enter")
        chat.page.locator("#state[data-state=open]").wait_for()
        push = visit(f"http://{HOST}:{server.port}/push/")
        push.page.locator("#state[data-state=open]").wait_for()
        page = openPage(visit, adminPort(server))
        page.page.get_by_role("button", name="Notice to everybody").click()
        page.page.get_by_label("Text").fill("<b>We restart</b>")
        page.page.get_by_role("button", name="Send").click()
        said(page, "2 clients got the notice")
        for other in (chat, push):
            text = "From the operator: <b>We restart</b>"
            other.page.locator(".notice.operator, .line.note", has_text=text).wait_for()


def test_searching(visit: Visitor, server: Server) -> None:
    """
    The list can be searched, says how many there are, and doesn't move under the
    pointer.
    """
    page = openPage(visit, adminPort(server))
    with ExitStack() as stack:
        for number in range(6):
            path = f"/echo/room-{number}"
            stack.enter_context(connect(f"ws://{HOST}:{server.port}{path}"))
        page.page.locator("#found", has_text="6").wait_for()
        page.page.get_by_label("Search for an address, application").fill("room-3")
        page.page.locator("#found", has_text="1 of 6").wait_for()
        assert page.page.locator("#clients tr").count() == 1
        page.page.get_by_label("Search for an address, application").fill("nothing")
        page.page.locator("#no-clients", has_text="Nobody like that").wait_for()
        page.page.get_by_label("Search for an address, application").fill("")
        page.page.get_by_label("What comes first").select_option("longest")
        page.page.locator("#clients tr:first-child", has_text="room-0").wait_for()


def test_token(visit: Visitor, tmp_path: Path) -> None:
    """
    The page asks for the token, says when it is wrong, keeps it in its tab, and nowhere
    else; and comes back by itself when the server does.
    """
    path = tmp_path / "token"
    path.write_text(TOKEN)
    path.chmod(0o600)
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    arguments = (f"--admin-token-file={path}", "--app=echo:path=/")
    listen = f"tcp:{port}:interface={HOST}"
    url = f"http://{HOST}:{port}/-/status/"
    with serve(tmp_path, *arguments, listen=(listen,)):
        page = visit(url)
        field = page.page.get_by_label("Token")
        field.wait_for()
        assert field.get_attribute("type") == "password"
        field.fill("wrong")
        page.page.get_by_role("button", name="Open").click()
        page.page.locator("#denied", has_text="This token is wrong").wait_for()
        page.show("status-token")
        field.fill(TOKEN)
        page.page.keyboard.press("Enter")
        until(page, "!document.getElementById('board').hidden")
        assert TOKEN not in page.page.url
        assert page.run("localStorage.length") == 0
        page.page.reload()
        until(page, "!document.getElementById('board').hidden")
    page.page.locator("#said", has_text="The server is gone").wait_for()
    until(page, "document.title.startsWith('Not connected')")
    page.show("status-gone")
    with serve(tmp_path, *arguments, listen=(listen,)):
        page.page.locator("#state[data-state=open]").wait_for()
        until(page, "document.title.startsWith('1 connection ')")
        assert page.page.locator("#said").inner_text() == ""


def test_channels(visit: Visitor, tmp_path: Path) -> None:
    """
    The channels are listed with what is kept of them, can be found, and what an
    operator publishes reaches the subscribers.
    """
    with (
        serve(tmp_path, "--app=push:path=/push", f"--admin={TCP}") as server,
        connect(f"ws://{HOST}:{server.port}/push") as reader,
    ):
        reader.send('{"type":"subscribe","channel":"news"}')
        reader.recv()
        page = openPage(visit, adminPort(server))
        page.page.get_by_role("button", name="news").click()
        page.page.get_by_label("Text").fill(HOSTILE)
        page.page.locator("#do").click()
        said(page, "as #1.")
        assert json.loads(reader.recv())["data"] == HOSTILE
        row = page.page.locator("#listed tr", has_text="news")
        row.locator("td", has_text="1").nth(1).wait_for()
        page.page.locator("#channel-words").fill("nothing")
        page.page.locator("#no-channels", has_text="no channel like that").wait_for()
        page.page.locator("#channel-words").fill("NEWS")
        row.wait_for()
        row.get_by_role("button").click()
        page.show("status-publish")


@pytest.mark.parametrize("count", [0, 3, 300])
def test_pictures(visit: Visitor, server: Server, count: int) -> None:
    """
    On a desk and on a phone, light and dark, with nobody, a few and hundreds: nothing
    sticks out at the side, and nothing moves when a second brings news.
    """
    port = adminPort(server)
    with ExitStack() as stack:
        for number in range(count):
            path = f"/echo/{'long-' * 60}{number}" if number % 7 == 0 else "/echo/"
            stack.enter_context(upgrade(server.port, path))
        for name, size, dark in (
            ("desk-light", DESK, False),
            ("desk-dark", DESK, True),
            ("phone-light", PHONE, False),
            ("phone-dark", PHONE, True),
        ):
            page = openPage(visit, port, size=size, dark=dark)
            page.page.locator("#found", has_text=str(count)).wait_for()
            width = "document.documentElement.scrollWidth"
            assert page.run(width) == size["width"]
            # An audit of hundreds of rows takes long, and finds no more than of three.
            (page.picture if count > 3 else page.show)(f"status-{count}-{name}")
            tops = """[...document.querySelectorAll("h2, #board figure, #board .table")]
                .map((each) => each.offsetTop).join()"""
            before = page.run(tops)
            told = page.page.locator("#about").inner_text()
            until(page, f"document.getElementById('about').innerText !== {told!r}")
            assert page.run(tops) == before
            page.page.close()
