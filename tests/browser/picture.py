"""
Makes C{docs/reference/chat.png} anew: C{python -m tests.browser.picture}.
"""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.chatting import Chat, Guest, Person
from tests.browser.conftest import Visit

PICTURE = Path(__file__).parents[2] / "docs" / "reference" / "chat.png"

HALVES = """
<style>
  body {{ margin: 0; }}
  img {{ position: absolute; inset: 0; }}
  #dark {{ clip-path: polygon(64% 0, 100% 0, 100% 100%, 40% 100%); }}
</style>
<img src="data:image/png;base64,{light}">
<img id="dark" src="data:image/png;base64,{dark}">
"""
"""
One picture of two: the left in the light, the right in the dark.
"""


def talk(chat: Chat, maya: Guest, others: ExitStack) -> None:
    """
    Have a conversation that one would like to be in.
    """
    ann, ben, chloe, dave = (
        others.enter_context(Person(chat, name, room, color=color))
        for name, room, color in (
            ("Ann", "lobby", "#b8296b"),
            ("Ben", "lobby", "#1a7f45"),
            ("Chloé", "lobby", "#9a5b00"),
            ("Dave", "kitchen", "#0b7a83"),
        )
    )
    maya.open("kitchen")
    maya.open("lobby")
    heard = 0

    def wait(count: int) -> None:
        nonlocal heard
        heard += count
        maya.messages.nth(heard - 1).wait_for()

    ann.say("Morning! I moved the server to the new machine last night.")
    ben.say("So that was it: my page said “Connection lost” for a second.")
    ben.say("Then it went on where it was. Not a word was missing.")
    wait(3)
    maya.say("Mine had a message waiting, and sent it by itself.")
    wait(1)
    chloe.say("Does the old page of the school still work? It is from 2012.")
    wait(1)
    ann.say("It does. Its children talk with us in the room “demo”.")
    wait(1)
    maya.say("Wonderful.\nThen let us show it to them this afternoon!")
    wait(1)
    dave.say("Coffee is ready")
    dave.say("and so is the tea")
    ben.say("Psst: there is cake, too.", to_id=ben.idOf("Maya"))
    maya.unread("Ben").wait_for()
    maya.page.locator("#ask-no").click()
    ann.type()
    chloe.type()
    maya.page.locator("#typing", has_text="Ann and Chloé").wait_for()


def take(browser: Browser) -> bytes:
    """
    Take the picture.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        chat = Chat(Path(folder), "--app=chat:rooms=lobby,kitchen,library:grace=1")
        stack.callback(chat.end)
        context = browser.new_context(locale="en-GB")
        visit = Visit(context)
        maya = Guest(visit)
        visit.page.set_viewport_size({"width": 1280, "height": 800})
        visit.page.goto(chat.url())
        visit.page.get_by_label("Blue").check()
        maya.enter("Maya")
        talk(chat, maya, stack)
        pictures = {}
        for scheme in ("light", "dark"):
            visit.page.emulate_media(
                color_scheme="dark" if scheme == "dark" else "light",
                reduced_motion="reduce",
            )
            taken = visit.page.screenshot(animations="disabled")
            pictures[scheme] = base64.b64encode(taken).decode()
        both = context.new_page()
        both.set_viewport_size({"width": 1280, "height": 800})
        both.set_content(HALVES.format(**pictures))
        return both.screenshot()


def main() -> None:
    """
    Write it.
    """
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox"]
        )
        PICTURE.write_bytes(take(browser))
        browser.close()
    print(f"{PICTURE}: {PICTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
