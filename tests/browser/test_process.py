"""
The program's page, in a browser.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.browser.conftest import DESK, PHONE, Visit, Visitor
from tests.processes import HOST, Server, serve

HOSTILE = (
    "<script>alert(1)</script> \u202egnp.exe\u202c a\u200bb "
    "<img src=x onerror=alert(1)>"
)

COLOURS = r"""
import sys
print("\x1b[1;32mready\x1b[0m \x1b[31mred\x1b[39m plain \x1b[38;5;200mpink\x1b[m")
print("\x1b]0;title\x07\x1b[2Jcleared\x07")
print('{"json": 12345678901234567890}')
print("")
for line in sys.stdin:
    line = line.rstrip("\n")
    if line.startswith("exit "):
        sys.exit(int(line[5:]))
    if line == "much":
        for n in range(20000): print(n)
        line = "done"
    print("you said: " + line)
"""


def app(command: str, **options: object) -> str:
    words = [f"{name}={value}" for name, value in options.items()]
    return ":".join(["--app=process", f"command={command}", *words])


@pytest.fixture
def colours(tmp_path: Path) -> str:
    """
    A program that prints in colours, and answers.
    """
    path = tmp_path / "colours.py"
    path.write_text(COLOURS, "utf-8")
    return f"{sys.executable} -u {path}"


def open_(visit: Visitor, server: Server, path: str = "/", **options: object) -> Visit:
    """
    Visit the page, and wait until it is connected.
    """
    made = visit(f"http://{HOST}:{server.port}{path}", **options)
    made.page.wait_for_selector("#state[data-state=open]")
    return made


def say(visitor: Visit, text: str) -> None:
    """
    Type a line.
    """
    visitor.page.fill("#line", text)
    visitor.page.press("#line", "Enter")


def lines(visitor: Visit, kind: str = "in") -> list[str]:
    """
    Give what is shown.
    """
    found: list[str] = visitor.page.eval_on_selector_all(
        f"#log .{kind}", "all => all.map(each => each.textContent)"
    )
    return found


def waitForLine(visitor: Visit, text: str, kind: str = "in") -> None:
    """
    Wait until a line is shown.
    """
    visitor.page.wait_for_function(
        "([kind, text]) => [...document.querySelectorAll(`#log .${kind}`)]"
        ".some(each => each.textContent === text)",
        arg=[kind, text],
    )


def test_shared(tmp_path: Path, visit: Visitor) -> None:
    """
    What is typed in one window is printed in both, hostile or not, as nothing but text.
    """
    with serve(tmp_path, app("cat", mode="shared")) as server:
        one, two = open_(visit, server), open_(visit, server)
        for text in ("hello", HOSTILE, "x" * 10_000):
            say(one, text)
            waitForLine(one, text)
            waitForLine(two, text)
        assert lines(one, "out")[:2] == ["hello", HOSTILE]
        assert lines(two, "out") == []
        assert two.page.query_selector("#log script, #log img") is None
        late = open_(visit, server)
        waitForLine(late, "hello")


def test_rooms(tmp_path: Path, visit: Visitor) -> None:
    """
    The page of a room connects to that room.
    """
    with serve(tmp_path, app("cat", mode="room", path="/talk")) as server:
        red = open_(visit, server, "/talk/red")
        also = open_(visit, server, "/talk/red")
        blue = open_(visit, server, "/talk/bl%C3%BCe")
        root = open_(visit, server, "/talk")
        assert root.page.url.endswith("/talk/")
        assert blue.page.text_content("#title") == "/talk/blüe"
        blue.page.locator("#program", has_text="cat").wait_for()
        assert blue.page.get_by_role("button", name="Leave").is_enabled()
        say(red, "in red")
        say(blue, "in blue")
        waitForLine(also, "in red")
        waitForLine(blue, "in blue")
        assert lines(blue) == ["in blue"]
        assert lines(root) == []


def test_own_program(tmp_path: Path, visit: Visitor, colours: str) -> None:
    """
    Colours are shown, other controls aren't, and JSON stays text; the end is told with
    its code, and nothing starts anew without being asked.
    """
    with serve(tmp_path, app(colours)) as server:
        desk = open_(visit, server)
        waitForLine(desk, "ready red plain pink")
        waitForLine(desk, "cleared")
        waitForLine(desk, '{"json": 12345678901234567890}')
        assert desk.page.text_content("#log .green.bold") == "ready"
        assert desk.page.text_content("#log .red") == "red"
        say(desk, "one")
        say(desk, "two")
        waitForLine(desk, "you said: two")
        desk.page.press("#line", "ArrowUp")
        desk.page.press("#line", "ArrowUp")
        assert desk.page.input_value("#line") == "one"
        desk.page.press("#line", "ArrowDown")
        desk.page.press("#line", "ArrowDown")
        assert desk.page.input_value("#line") == ""
        say(desk, "exit 3")
        waitForLine(desk, "Closed with 1011: the program ended with status 3", "bad")
        assert desk.page.get_attribute("#state", "data-state") == "closed"
        assert desk.page.is_disabled("#line")
        assert server.log.count(" started") == 1
        desk.page.keyboard.press("Enter")  # the button has the focus
        desk.page.wait_for_selector("#state[data-state=open]")
        say(desk, "again")
        waitForLine(desk, "you said: again")
        say(desk, "quit")
        waitForLine(desk, "Closed with 1000: the program has ended", "note")
        desk.page.get_by_role("button", name="Clear").click()
        assert lines(desk, "line") == []
        desk.page.get_by_role("button", name="Reconnect").click()
        desk.page.wait_for_selector("#state[data-state=open]")
        desk.page.get_by_role("button", name="End", exact=True).click()
        waitForLine(desk, "Closed with 1000", "note")
        assert desk.page.title() == f"{Path(sys.executable).name} colours.py"


def test_much(tmp_path: Path, visit: Visitor, colours: str) -> None:
    """
    A program that prints very much leaves the page usable, at the end of the output.
    """
    with serve(tmp_path, app(colours)) as server:
        desk = open_(visit, server)
        say(desk, "much")
        waitForLine(desk, "you said: done")
        assert len(lines(desk)) <= 2000
        say(desk, "still there")
        waitForLine(desk, "you said: still there")


def test_binary(tmp_path: Path, visit: Visitor) -> None:
    """
    With binary framing, a prompt without an end is shown, and lines are put together.
    """
    program = tmp_path / "prompt.py"
    program.write_text(
        "import sys\n"
        "sys.stdout.write('name? ')\n"
        "print('one\\ntwo')\n"
        "sys.stdout.write('next? ')\n"
        "sys.stdout.flush()\n"
        "sys.stdin.read()\n",
        "utf-8",
    )
    command = app(f"{sys.executable} {program}", framing="binary")
    with serve(tmp_path, command) as server:
        desk = open_(visit, server)
        waitForLine(desk, "next? ")
        assert lines(desk) == ["name? one", "two", "next? "]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_looks(
    tmp_path: Path, visit: Visitor, colours: str, size: dict[str, int], dark: bool
) -> None:
    """
    It fits on a desk and on a phone, in both colour schemes.
    """
    with serve(tmp_path, app(colours)) as server:
        shown = open_(visit, server, size=size, dark=dark)
        for text in ("hello", "What can you do? " * 8, HOSTILE):
            say(shown, text)
            waitForLine(shown, f"you said: {text}")
        device = "phone" if size is PHONE else "desk"
        name = f"process-{device}-{'dark' if dark else 'light'}"
        shown.show(name)
        width = shown.page.evaluate("document.documentElement.scrollWidth")
        assert width <= size["width"]
        say(shown, "exit 3")
        waitForLine(shown, "Closed with 1011: the program ended with status 3", "bad")
        shown.show(f"{name}-closed")
        for selector in ("#again", "#line"):
            box = shown.page.locator(selector).bounding_box()
            assert box["x"] + box["width"] <= size["width"]
