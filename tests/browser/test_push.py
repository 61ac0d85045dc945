"""
The pages of push and of the ticker, in a browser.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect

from tests.apps.push.kit import NAUGHTY
from tests.browser.conftest import PHONE, Visit, Visitor
from tests.conftest import missing
from tests.processes import HOST, Server, serve

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """
    One with a token.
    """
    with serve(tmp_path, f"--app=push:token={TOKEN}") as server:
        yield server


def publish(server: Server, query: str, data: bytes) -> None:
    """
    Publish something.
    """
    request = Request(
        f"http://{HOST}:{server.port}/publish?{query}",
        data,
        {"Authorization": f"Bearer {TOKEN}", "Content-Type": "text/plain"},
    )
    with urlopen(request, timeout=30) as response:
        assert response.status == 200


def open_page(visit: Visitor, server: Server, query: str = "", **more: object) -> Visit:
    """
    Open the page, and wait until it is connected.
    """
    made = visit(f"http://{HOST}:{server.port}/{query}", **more)
    expect(made.page.locator("#state")).to_have_attribute("data-state", "open")
    return made


@pytest.mark.everyday
def test_curl(server: Server, visit: Visitor) -> None:
    """
    The command that the page shows publishes, and what it publishes shows up.
    """
    if shutil.which("curl") is None:
        missing("curl")
    page = open_page(visit, server, "?channel=sport/football").page
    command = page.locator("#command").text_content()
    assert f"http://{HOST}:{server.port}/publish?channel=sport/football" in command
    done = subprocess.run(
        ["sh", "-c", command],
        env={"TOKEN": TOKEN, "PATH": "/usr/bin:/bin", "NO_PROXY": "*"},
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert json.loads(done.stdout)["published"][0]["subscribers"] == 1
    publication = page.locator(".publication")
    expect(publication.locator("pre")).to_have_text("Hello")
    expect(publication.locator(".channel")).to_have_text("sport/football")
    expect(publication.locator(".offset")).to_have_text("#1")
    expect(publication.locator("time")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))


def test_naughty(server: Server, visit: Visitor) -> None:
    """
    Whatever is published is text on the page, and nothing else.
    """
    page = open_page(visit, server, "?channel=a").page
    naughty = [each for each in NAUGHTY if "\x00" not in each]
    naughty.append("<img src=x onerror=alert(1)>")
    for each in naughty:
        publish(server, "channel=a", each.encode())
    lines = page.locator(".publication pre")
    expect(lines).to_have_count(len(naughty))
    assert lines.all_text_contents() == naughty
    assert page.locator("#log script, #log img").count() == 0


def test_kinds(server: Server, visit: Visitor) -> None:
    """
    JSON, bytes and what isn't stored can be told apart.
    """
    page = open_page(visit, server, "?channel=a").page
    publish(server, "channel=a", b'{"b": [1, 2]}')
    publish(server, "channel=a", b"\xff\x00")
    publish(server, "channel=a&store=no", b"now")
    publications = page.locator(".publication")
    expect(publications).to_have_count(3)
    assert publications.locator("pre").all_text_contents() == [
        '{\n  "b": [\n    1,\n    2\n  ]\n}',
        "/wA=",
        "now",
    ]
    expect(publications.nth(1)).to_contain_text("base64")
    expect(publications.nth(2).locator(".offset")).to_have_text("not stored")


def test_channels(server: Server, visit: Visitor) -> None:
    """
    Channels are subscribed to and left by keyboard; the address has them; the past
    comes first; what is no channel's name is said to be none.
    """
    publish(server, "channel=b", b"before")
    made = open_page(visit, server, "?channel=a")
    page = made.page
    page.locator("#channel").fill("b")
    page.keyboard.press("Enter")
    expect(page.locator(".publication pre")).to_have_text("before")
    expect(page).to_have_url(re.compile(r"\?channel=a&channel=b$"))
    page.get_by_role("button", name="Unsubscribe from a", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?channel=b$"))
    publish(server, "channel=a&channel=b", b"after")
    expect(page.locator(".publication pre")).to_have_text(["before", "after"])
    page.locator("#channel").fill("<b>no</b>")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("<b>no</b>: channel: a name has")
    expect(page.locator("#channels button")).to_have_text(["b"])


def test_form(server: Server, visit: Visitor) -> None:
    """
    The page publishes with a token that is typed in, keeps that nowhere, and says why
    where it doesn't work.
    """
    made = open_page(visit, server, "?channel=a")
    page = made.page
    page.get_by_label("Token").fill("wrong")
    page.get_by_label("Message").fill("<b>hello</b> \u202eworld")
    page.get_by_role("button", name="Publish", exact=True).click()
    result = page.locator("#result")
    expect(result).to_contain_text("Not published: this token is wrong")
    assert "401" in made.errors.pop()
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(result).to_have_text("Published as #1, to 1 subscriber.")
    line = page.locator(".publication pre")
    expect(line).to_have_text("<b>hello</b> \u202eworld")
    page.get_by_label("Message").fill("x" * 100_000)
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(result).to_contain_text("the request's body is over 65536 bytes")
    assert "413" in made.errors.pop()
    stored = "JSON.stringify([localStorage, sessionStorage, document.cookie])"
    assert TOKEN not in page.evaluate(stored)
    assert TOKEN not in page.url
    page.reload()
    expect(page.get_by_label("Token")).to_have_value("")


def _hurry(page: Page) -> None:
    """
    Have the page connect again at once, as when the network is back: it has been
    turned away some times, and would wait for long.
    """
    page.wait_for_function(
        """() => {
            dispatchEvent(new Event("online"));
            return document.getElementById("state").dataset.state === "open";
        }"""
    )


def test_comes_back(tmp_path: Path, visit: Visitor) -> None:
    """
    When the server is back, so is the page, and it shows what came meanwhile; where
    that is lost, it says so.
    """
    arguments = (f"--app=push:token={TOKEN}", "--broker=sqlite:broker.db")
    with serve(tmp_path, *arguments) as first:
        port = first.port
        page = open_page(visit, first, "?channel=a").page
        publish(first, "channel=a", b"one")
        expect(page.locator(".publication")).to_have_count(1)
    state = page.locator("#state")
    expect(state).not_to_have_attribute("data-state", "open")
    listen = (f"tcp:0:interface={HOST}", f"tcp:{port}:interface={HOST}")
    with serve(tmp_path, *arguments, listen=listen[:1]) as second:
        publish(second, "channel=a", b"two")
    with serve(tmp_path, *arguments, listen=listen[1:]):
        _hurry(page)
        expect(page.locator(".publication pre")).to_have_text(["one", "two"])
    expect(state).not_to_have_attribute("data-state", "open")
    (tmp_path / "broker.db").unlink()
    with serve(tmp_path, *arguments, listen=listen[1:]):
        _hurry(page)
        expect(page.locator(".line.note")).to_contain_text("some messages are missing")


def test_ticker(tmp_path: Path, visit: Visitor) -> None:
    """
    The ticker's page shows its messages, and ends it.
    """
    with serve(tmp_path, "--app=ticker:shortest=1:longest=1") as server:
        made = open_page(visit, server)
        page = made.page
        first = page.locator(".line.in").first
        expect(first).to_contain_text("I am waiting 1 seconds")
        page.get_by_role("button", name="quit").click()
        expect(page.locator("#state")).to_have_attribute("data-state", "closed")
        expect(page.locator(".line.note")).to_contain_text("closed the connection")
        made.show("ticker")
        page.keyboard.press("Enter")  # the button that begins anew has the focus
        expect(page.locator("#state")).to_have_attribute("data-state", "open")
        dark = open_page(visit, server, dark=True, size=PHONE)
        expect(dark.page.locator(".line.in").nth(1)).to_be_visible()
        dark.show("ticker-phone-dark")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("phone", [False, True])
def test_looks(server: Server, visit: Visitor, dark: bool, phone: bool) -> None:
    """
    It fits a phone and a desk: nothing is wider than the window, and the log has room.
    """
    size = {"size": PHONE} if phone else {}
    query = "?channel=news&channel=weather&channel=sport/football/results"
    made = open_page(visit, server, query, dark=dark, **size)
    page = made.page
    publish(server, "channel=news", b'{"headline": "A server for WebSockets", "n": 3}')
    publish(server, "channel=weather", "18 \u00b0C, light rain \U0001f327".encode())
    score = {
        "home": "Twisted Town",
        "away": "Event Loop",
        "score": [3, 2],
        "over": True,
    }
    publish(server, "channel=sport/football/results", json.dumps(score).encode())
    publish(server, "channel=news&store=no", b"x" * 300)
    expect(page.locator(".publication")).to_have_count(4)
    name = f"push-{'phone' if phone else 'desk'}{'-dark' if dark else ''}"
    made.show(name)
    if phone:
        page.get_by_text("Publish", exact=True).first.click()
        made.show(f"{name}-publish")
    width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width <= 0
    assert page.locator("#log").bounding_box()["height"] >= 100
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".publication")).to_have_count(0)


def test_documentation(server: Server, visit: Visitor) -> None:
    """
    The script in the documentation gets what is published.
    """
    page = open_page(visit, server).page
    text = (Path(__file__).parents[2] / "docs" / "guides" / "push.md").read_text(
        "utf-8"
    )
    (script,) = re.findall(r'<script type="module">\n(.*?)</script>', text, re.DOTALL)
    script = re.sub(
        r'import (\{.*?\}) from (".*?");', r"const \1 = await import(\2);", script
    )
    page.evaluate(
        "async () => {" + script + "await new Promise((resolve) =>"
        "news.addEventListener('entered', resolve)); }"
    )
    with page.expect_console_message() as said:
        publish(server, "channel=news", b"to be logged")
    assert said.value.text == "to be logged"
