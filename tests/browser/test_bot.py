"""
The bot's page, and what it makes of strange answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import DESK, PATIENCE, PHONE, Visit, Visitor
from tests.processes import HOST, Server, serve

STRANGE = r"""
from twisted.internet.defer import Deferred

from wsplug.apps.bot import command


@command("html", help="<b>Bold</b>")
def html(arguments, conversation):
    return "<script>document.title = 'broken into'</script><b>bold</b>"


@command("number", help="What is a number of JSON as well.")
def number(arguments, conversation):
    return ["1.0", '{"request": 1}', "null"]


@command("stuck", help="Says nothing.")
def stuck(arguments, conversation):
    return Deferred()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """
    A bot with strange commands, below a path.
    """
    folder = tmp_path_factory.mktemp("bot")
    plugins = folder / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (folder / "strange.py").write_text(STRANGE, "utf-8")
    (plugins / "strange_dropin.py").write_text("from strange import *\n", "utf-8")
    environment = {"PYTHONPATH": str(folder)}
    with serve(folder, "--app=bot:path=/bot", environment=environment) as server:
        yield server


@pytest.fixture
def url(server: Server) -> str:
    return f"http://{HOST}:{server.port}/bot/"


def _say(visit: Visit, text: str) -> None:
    visit.page.fill("#line", text)
    visit.page.press("#line", "Enter")


def _waitFor(visit: Visit, *texts: str, kind: str = "in") -> None:
    """
    Wait until the last lines of a kind are these.
    """
    visit.page.wait_for_function(
        """([kind, texts]) => {
          const lines = [...document.querySelectorAll(`#log .${kind}`)];
          const last = lines.slice(-texts.length).map((line) => line.textContent);
          return JSON.stringify(last) === JSON.stringify(texts);
        }""",
        arg=[kind, list(texts)],
        timeout=PATIENCE,
    )


def _waitForState(visit: Visit, state: str) -> None:
    visit.page.wait_for_selector(f'#state[data-state="{state}"]')


def _waitForChips(visit: Visit) -> None:
    visit.page.wait_for_selector("#commands .chip:enabled >> text=hello")


@pytest.mark.everyday
def test_answers(visit: Visitor, url: str) -> None:
    """
    What is typed is answered, in the order of the typing, and what was typed shows.
    """
    visitor = visit(url)
    _waitForState(visitor, "open")
    visitor.page.keyboard.type("  HELLO  ")  # the line has the focus
    visitor.page.keyboard.press("Enter")
    _waitFor(visitor, "Hello, human!")
    _say(visitor, "name Ann")
    _say(visitor, "hello")
    _say(visitor, "ah well")
    _waitFor(
        visitor, "Nice to meet you, Ann.", "Hello, Ann!", "You have entered: ah well"
    )
    _waitFor(visitor, "  HELLO  ", "name Ann", "hello", "ah well", kind="out")
    assert visitor.page.input_value("#line") == ""


def test_empty(visit: Visitor, url: str) -> None:
    """
    Enter without text sends nothing.
    """
    visitor = visit(url)
    _waitForState(visitor, "open")
    _say(visitor, "   ")
    _say(visitor, "hi")
    _waitFor(visitor, "What's up, human?")
    _waitFor(visitor, "hi", kind="out")
    assert visitor.page.locator("#log .out").count() == 1


def test_chips(visit: Visitor, url: str) -> None:
    """
    Each command that the server has, those of drop-ins too, is a button that says it;
    what it does is its title, as text.
    """
    visitor = visit(url)
    _waitForChips(visitor)
    chips = visitor.page.locator("#commands .chip")
    assert chips.all_text_contents() == [
        *("age", "bye", "date", "hello", "help", "hi", "html", "name", "number"),
        *("stuck", "thanks", "time"),
    ]
    html = visitor.page.locator("#commands .chip >> text=html")
    assert html.get_attribute("title") == "<b>Bold</b>"
    visitor.page.click("#commands .chip >> text=thanks")
    _waitFor(visitor, "You're welcome.")
    assert visitor.page.evaluate("document.activeElement.id") == "line"


def test_quit(visit: Visitor, url: str) -> None:
    """
    Quit says bye, and the bot closes; nothing can be said then, until somebody
    connects again, with a bot that knows nobody.
    """
    visitor = visit(url)
    _waitForChips(visitor)
    _say(visitor, "name Ann")
    _waitFor(visitor, "Nice to meet you, Ann.")
    visitor.page.click("#quit")
    _waitFor(visitor, "Bye, Ann. Come back soon!")
    _waitForState(visitor, "closed")
    _waitFor(visitor, "The connection has ended (1000).", kind="note")
    for hidden in ("#line", "#send", "#quit"):
        assert visitor.page.is_hidden(hidden)
    assert visitor.page.locator("#commands .chip:enabled").count() == 0
    assert visitor.page.evaluate("document.activeElement.id") == "again"

    visitor.page.keyboard.press("Enter")
    _waitForState(visitor, "open")
    assert visitor.page.is_hidden("#again")
    assert visitor.page.evaluate("document.activeElement.id") == "line"
    _waitForChips(visitor)
    _say(visitor, "hello")
    _waitFor(visitor, "Hello, human!")


def test_quitFromSlowCommand(visit: Visitor, url: str) -> None:
    """
    Quit ends the connection as well while a command is at work.
    """
    visitor = visit(url)
    _waitForState(visitor, "open")
    _say(visitor, "stuck")
    visitor.page.click("#quit")
    _waitForState(visitor, "closed")
    assert visitor.page.is_visible("#again")


def test_history(visit: Visitor, url: str) -> None:
    """
    The arrow keys go through what was entered, and come back to what wasn't yet; the
    same line twice is there once.
    """
    visitor = visit(url)
    _waitForState(visitor, "open")
    for text in ("hello", "age", "age"):
        _say(visitor, text)
    visitor.page.fill("#line", "not yet")
    seen = []
    for key in ("ArrowUp", "ArrowUp", "ArrowUp", *["ArrowDown"] * 3):
        visitor.page.press("#line", key)
        seen.append(visitor.page.input_value("#line"))
    assert seen == ["age", "hello", "hello", "age", "not yet", "not yet"]
    visitor.page.press("#line", "ArrowUp")
    visitor.page.press("#line", "Enter")
    _waitFor(visitor, "hello", "age", "age", "age", kind="out")
    visitor.page.press("#line", "ArrowDown")
    assert visitor.page.input_value("#line") == ""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "<img src=x onerror=alert(1)><script>alert(1)</script>", id="HTML"
        ),
        pytest.param("\u202egnirts\u200b \u2066x\u2069 \ufeff\U000e0041", id="bidi"),
        pytest.param("&amp; &#x3c; \\n %s {}", id="escapes"),
        pytest.param("😀 الخبر שלום", id="letters"),
    ],
)
def test_hostile(visit: Visitor, url: str, text: str) -> None:
    """
    Whatever is typed shows as it is, twice, and does nothing.
    """
    visitor = visit(url)
    _waitForState(visitor, "open")
    _say(visitor, text)
    _waitFor(visitor, text, kind="out")
    _waitFor(visitor, f"You have entered: {text}")
    assert visitor.page.locator("#log :is(img, script)").count() == 0


def test_long(visit: Visitor, url: str) -> None:
    """
    What is far too long is answered so, and the page isn't wider for it.
    """
    visitor = visit(url, size=PHONE)
    _waitForState(visitor, "open")
    _say(visitor, "x" * 100_000)
    _waitFor(
        visitor,
        "That is too long for me: it has 100000 characters, and I read at most 1000.",
    )
    _say(visitor, "x" * 1000)
    _waitFor(visitor, "You have entered: " + "x" * 1000)
    assert _overflow(visitor) <= 0


def test_strangeAnswers(visit: Visitor, url: str) -> None:
    """
    Answers show as they are: what is HTML, and what is JSON.
    """
    visitor = visit(url)
    _waitForState(visitor, "open")
    _say(visitor, "number")
    _waitFor(visitor, "1.0", '{"request": 1}', "null")
    _say(visitor, "html")
    _waitFor(visitor, "<script>document.title = 'broken into'</script><b>bold</b>")
    assert visitor.page.title() == "Command bot"


def test_serverComesBack(visit: Visitor, tmp_path: Path) -> None:
    """
    When the server goes, the page waits for it, and connects again.
    """
    with serve(tmp_path, "--app=bot") as server:
        listen = f"tcp:{server.port}:interface={HOST}"
        visitor = visit(f"http://{HOST}:{server.port}/")
        _waitForChips(visitor)
        assert server.stop() == 0
        _waitForState(visitor, "waiting")
        assert visitor.page.is_disabled("#send")
        assert visitor.page.is_visible("#line")
    with serve(tmp_path, "--app=bot", listen=[listen]):
        _waitForState(visitor, "open")
        _say(visitor, "hello")
        _waitFor(visitor, "Hello, human!")


def test_noCommands(visit: Visitor, url: str) -> None:
    """
    Without the list of commands, the page says so, and works.
    """
    visitor = visit("about:blank")
    visitor.page.route("**/commands.json", lambda route: route.fulfill(status=200))
    visitor.page.goto(url)
    _waitForState(visitor, "open")
    visitor.page.wait_for_selector(
        "#log .note >> text=The list of commands isn't available"
    )
    assert visitor.page.is_hidden("#commands")
    _say(visitor, "hello")
    _waitFor(visitor, "Hello, human!")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_look(visit: Visitor, url: str, size: dict[str, int], dark: bool) -> None:
    """
    All of it is in view, on a phone and at a desk, in light and in dark.
    """
    visitor = visit(url, size=size, dark=dark)
    _waitForChips(visitor)
    for text in ("hello", "name Ann", "hi", "ah well", "help"):
        _say(visitor, text)
    visitor.page.wait_for_selector("#log .in >> text=I answer to:")
    assert _overflow(visitor) <= 0
    for selector in ("#line", "#send", "#quit", "#commands"):
        box = visitor.page.locator(selector).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= size["height"]
    log = visitor.page.locator("#log").bounding_box()
    assert log is not None
    assert log["height"] > size["height"] / 3
    name = f"bot-{'phone' if size is PHONE else 'desk'}-{'dark' if dark else 'light'}"
    visitor.show(name)
    visitor.page.click("#quit")
    _waitForState(visitor, "closed")
    visitor.show(f"{name}-ended")


def _overflow(visitor: Visit) -> Any:
    """
    Give how many pixels the page is wider than its window.
    """
    return visitor.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
