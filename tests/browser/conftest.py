"""
Chromium, without a window, driven by Playwright.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
"""
Where L{Visit.show} leaves its pictures, for people to look at.
"""

DESK = {"width": 1280, "height": 800}

PHONE = {"width": 390, "height": 780}

PATIENCE = 20_000
"""
Milliseconds that anything on a page may take: reached only where a test fails.
"""


class Visit:
    """
    A page that somebody has open.

    @ivar page: Playwright's C{Page}.
    @ivar errors: what its scripts have raised, or the browser has complained of.
    """

    def __init__(self, context: Any) -> None:
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._said)

    def _said(self, message: Any) -> None:
        # A lost connection is no mistake of the page's.
        if message.type == "error" and "WebSocket connection to" not in message.text:
            self.errors.append(message.text)

    def show(self, name: str) -> None:
        """
        Take a picture.
        """
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(SCREENSHOTS / f"{name}.png"))


Visitor = Callable[..., Visit]


# One for the whole package, and not longer: while Playwright runs, its event loop
# counts as running in this thread, and other tests could have none of their own.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """
    The browser, once for all tests.
    """
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if found is None:
        missing("chromium (Debian's package of that name)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Visitor]:
    """
    Opens a page: each visit is another person, with a browser profile of their own,
    unless it is given the C{beside} of another one. At the end, no page may have
    complained.
    """
    contexts: list[Any] = []
    visits: list[Visit] = []

    def openPage(
        url: str,
        *,
        beside: Visit | None = None,
        dark: bool = False,
        size: dict[str, int] = DESK,
        **options: Any,
    ) -> Visit:
        if beside is None:
            context = chromium.new_context(
                viewport=size, color_scheme="dark" if dark else "light", **options
            )
            contexts.append(context)
        else:
            context = beside.page.context
        made = Visit(context)
        visits.append(made)
        made.page.goto(url)
        return made

    yield openPage
    errors = [error for each in visits for error in each.errors]
    for context in contexts:
        context.close()
    assert errors == []
