"""
The echo's page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import DESK, PHONE, Visit, Visitor
from tests.processes import HOST, Server, serve

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "\u202eevil\u2066 \u200b\u200d zero",
    '{"request":1,"type":"error"}',
    "  two  spaces ",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """
    An echo below a path.
    """
    folder = tmp_path_factory.mktemp("echo")
    prefixed = "--app=echo:path=/prefixed:prefix=You have entered\\: "
    with serve(folder, "--app=echo:path=/plain", prefixed) as server:
        yield server


def openPage(
    visit: Visitor, server: Server, name: str = "plain", **options: Any
) -> Visit:
    """
    Open the page, and wait until it is connected.
    """
    page = visit(f"http://{HOST}:{server.port}/{name}/", **options)
    page.page.locator("#state[data-state=open]").wait_for()
    return page


def say(page: Visit, text: str) -> None:
    """
    Type a text and send it by keyboard.
    """
    page.page.get_by_label("Text to send").fill(text)
    page.page.keyboard.press("Enter")


def answers(page: Visit, count: int) -> list[str]:
    """
    Wait for so many answers.

    @return: their texts, without the times.
    """
    lines = page.page.locator(".line.in")
    page.page.wait_for_function(
        "count => document.querySelectorAll('.line.in').length >= count", arg=count
    )
    texts: list[str] = lines.evaluate_all(
        "all => all.map(each => each.firstChild.data)"
    )
    return texts


@pytest.mark.everyday
def test_text(visit: Visitor, server: Server) -> None:
    """
    What is sent comes back as it was, as text and never as HTML, with the time that it
    took; the field is empty then, and has the focus.
    """
    page = openPage(visit, server)
    for text in HOSTILE:
        say(page, text)
        assert page.page.get_by_label("Text to send").input_value() == ""
    assert answers(page, len(HOSTILE)) == HOSTILE
    sent = page.page.locator(".line.out").all_text_contents()
    assert sent == HOSTILE
    assert page.page.locator("#log img").count() == 0
    times = page.page.locator(".took").all_text_contents()
    assert len(times) == len(HOSTILE)
    assert all(re.fullmatch(r"[0-9.]+ ms", time) for time in times)
    assert page.run("document.activeElement.id") == "text"


def test_long_text(visit: Visitor, server: Server) -> None:
    """
    A long text is sent whole, and shown in part.
    """
    page = openPage(visit, server)
    say(page, "x" * 100_000)
    (answer,) = answers(page, 1)
    assert answer == "x" * 2000 + " … (100,000 characters)"


def test_prefix(visit: Visitor, server: Server) -> None:
    """
    The page shows what comes, not what it expects.
    """
    page = openPage(visit, server, "prefixed")
    say(page, "hello")
    assert answers(page, 1) == ["You have entered: hello"]


@pytest.mark.everyday
@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 bytes"), (2000, "2.0 KiB"), (1024**2, "1.0 MiB")]
)
def test_file(
    visit: Visitor, server: Server, tmp_path: Path, size: int, shown: str
) -> None:
    """
    A file is sent as a binary message, and compared with what comes back.
    """
    file = tmp_path / "some <b>file.bin"
    file.write_bytes(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    page = openPage(visit, server)
    with page.page.expect_file_chooser() as chooser:
        page.page.get_by_role("button", name="File …").click()
    chooser.value.set_files(file)
    assert answers(page, 1) == [f"{shown}, unchanged"]
    (sent,) = page.page.locator(".line.out").all_text_contents()
    assert sent == f"some <b>file.bin ({shown})"


def test_too_large(visit: Visitor, server: Server, tmp_path: Path) -> None:
    """
    What the server refuses is told with its reason, and the page can connect again.
    """
    file = tmp_path / "large.bin"
    file.write_bytes(bytes(1024**2 + 1))
    page = openPage(visit, server)
    page.page.locator("#file").set_input_files(file)
    bad = page.page.locator(".line.bad")
    bad.wait_for()
    assert re.match(r"Connection lost: 1009 .*; 1 without an answer", bad.inner_text())
    say(page, "unsent")
    assert bad.last.inner_text() == "Not sent: there is no connection."
    assert page.page.get_by_label("Text to send").input_value() == "unsent"
    page.page.get_by_role("button", name="Connect again").click()
    page.page.locator("#state[data-state=open]").wait_for()
    page.page.get_by_role("button", name="Send", exact=True).click()
    assert answers(page, 1) == ["unsent"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_look(
    visit: Visitor, server: Server, tmp_path: Path, dark: bool, size: dict[str, int]
) -> None:
    """
    At a desk and on a phone, all of the page is within the window.
    """
    page = openPage(visit, server, dark=dark, size=size)
    for text in ("Hello, world!", "Zażółć gęślą jaźń", "word " * 40, "x" * 300):
        say(page, text)
    file = tmp_path / "picture.png"
    file.write_bytes(bytes(300_000))
    page.page.locator("#file").set_input_files(file)
    answers(page, 5)
    width = page.run("document.documentElement.scrollWidth")
    assert width <= size["width"]
    page.show(f"echo-{size['width']}-{'dark' if dark else 'light'}")
