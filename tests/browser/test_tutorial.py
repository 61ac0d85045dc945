"""
The chat room that the tutorial makes, in a browser.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.chatting import expect
from tests.browser.conftest import Visitor
from tests.documentation.machine import machine
from tests.processes import HOST, serve


@pytest.mark.everyday
def test_room(visit: Visitor, tmp_path: Path) -> None:
    """
    Two people see what each of them says, and who comes later sees it, too.
    """
    with machine("chat-room") as made:
        program = made.home / "src" / "clubroom" / "room.py"
        with serve(tmp_path, f"--app={program}") as server:
            url = f"http://{HOST}:{server.port}/?name="
            ann, bea = visit(f"{url}Ann").page, visit(f"{url}Bea").page
            for page, words in ((ann, "Hello"), (bea, "<b>Hi</b>")):
                field = page.get_by_label("Message")
                field.fill(words)
                field.press("Enter")
                expect(field).to_have_value("")
                expect(ann.locator("li").last).to_contain_text(words)
            said = ["Ann: Hello", "Bea: <b>Hi</b>"]
            for page in (ann, bea, visit(f"{url}Cid").page):
                expect(page.locator("li")).to_have_text(said)
