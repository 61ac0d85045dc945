"""
The console for applications that have no page of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.conftest import DESK, PHONE, Visit, Visitor
from tests.processes import HOST, Server, serve

APPLICATION = """
from wsplug import application


@application("upper")
async def upper(socket):
    async for message in socket:
        if message == "bytes":
            await socket.send(bytes(range(100)))
        elif message == "bye":
            await socket.close(4000, "as you wish")
        else:
            await socket.send(message.upper())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """
    An application without pages.
    """
    folder = tmp_path_factory.mktemp("console")
    file = folder / "upper.py"
    file.write_text(APPLICATION, "utf-8")
    with serve(folder, f"--app={file}:path=/upper") as server:
        yield server


def openConsole(visit: Visitor, server: Server, **options: object) -> Visit:
    """
    Open the page, and wait until it is connected.
    """
    page = visit(f"http://{HOST}:{server.port}/upper", **options)
    page.page.locator("#state[data-state=open]").wait_for()
    return page


def send(page: Visit, text: str) -> None:
    page.page.get_by_label("Message to send").fill(text)
    page.page.keyboard.press("Enter")


def lines(page: Visit, kind: str, count: int) -> list[str]:
    """
    Wait for so many lines of a kind, and give their texts.
    """
    found = page.page.locator(f".line.{kind}")
    found.nth(count - 1).wait_for()
    texts: list[str] = found.evaluate_all(
        "all => all.map(each => each.firstChild.data)"
    )
    return texts


@pytest.mark.everyday
def test_talk(visit: Visitor, server: Server) -> None:
    """
    It connects by itself, sends what is typed, shows texts, JSON and bytes, and the
    code and reason of the end; then it can connect again.
    """
    page = openConsole(visit, server)
    assert page.page.url.endswith("/upper/")
    assert page.page.get_by_label("Path").input_value() == "/upper/"
    send(page, "<b>hello")
    assert lines(page, "in", 1) == ["<B>HELLO"]
    page.page.get_by_label("JSON").check()
    send(page, "not JSON")
    assert lines(page, "bad", 1)[0].startswith("Not sent, this isn't JSON: ")
    send(page, '{ "a": 1 }')
    assert lines(page, "out", 2)[-1] == '{"a":1}'
    assert lines(page, "in", 2)[-1] == '{\n  "A": 1\n}'
    page.page.get_by_label("JSON").uncheck()
    send(page, "bytes")
    assert lines(page, "in", 3)[-1].startswith("00 01 02 ")
    send(page, "bye")
    page.page.locator("#state[data-state=closed]").wait_for()
    assert lines(page, "note", 3)[-1] == "Closed: 4000: as you wish"
    page.page.get_by_role("button", name="Connect").click()
    page.page.locator("#state[data-state=open]").wait_for()
    page.page.get_by_role("button", name="Disconnect").click()
    assert lines(page, "note", 6)[-1] == "Closed: 1000 (normal)"
    assert page.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_looks(
    visit: Visitor, server: Server, size: dict[str, int], scheme: str
) -> None:
    """
    Everything has a name and fits, on a phone as well.
    """
    page = openConsole(visit, server, size=size, dark=scheme == "dark")
    send(page, "x" * 300)
    lines(page, "in", 1)
    page.show(f"console-{size['width']}-{scheme}")
    assert page.run("document.documentElement.scrollWidth") <= size["width"]
    assert page.page.get_by_role("main").count() == 1
    assert page.page.get_by_role("log", name="What was sent and received").count() == 1
    assert page.page.get_by_label("Subprotocols").is_visible()
    assert page.page.get_by_role("button", name="Send").is_visible()
