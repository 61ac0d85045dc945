"""
The relay's page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.browser.chatting import expect
from tests.browser.conftest import PHONE, Visit, Visitor
from tests.processes import HOST, serve


def _say(visit: Visit, text: str) -> None:
    visit.page.get_by_label("Text to send").fill(text)
    visit.page.keyboard.press("Enter")


def _lines(visit: Visit, kind: str = "in") -> Any:
    return visit.page.locator(f".line.{kind}")


@pytest.mark.everyday
def test_page(tmp_path: Path, visit: Visitor) -> None:
    """
    What one types, all see, as text; what other clients send, too.
    """
    said = ["Hello", "<b>bold</b>", '{"any": "JSON"}']
    with serve(tmp_path, "--app=relay") as server:
        url = f"http://{HOST}:{server.port}/"
        visits = [visit(url), visit(url, dark=True, size=PHONE)]
        for each in visits:
            expect(each.page.locator("#state")).to_have_attribute("data-state", "open")
        for text in said[:2]:
            _say(visits[0], text)
        expect(_lines(visits[0])).to_have_text(said[:2])
        with connect(f"ws://{HOST}:{server.port}/") as other:
            other.send(said[2])
            other.send(b"\0" * 5)
        for name, each in zip(("relay", "relay-phone-dark"), visits, strict=True):
            expect(_lines(each)).to_have_text(said)
            expect(_lines(each, "note")).to_have_text("5 bytes")
            each.show(name)
