"""
Chromium, without a window, driven by Playwright.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing
from tests.processes import HOST

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
"""
Where L{Visit.show} leaves its pictures, for people to look at. A test that fails leaves
one of each of its pages: C{failed-...}.
"""

DESK = {"width": 1280, "height": 800}

PHONE = {"width": 390, "height": 780}

PATIENCE = 20_000
"""
Milliseconds that anything on a page may take: reached only where a test fails.
"""

REBOUND = "rebound.example"
"""
A name that leads to this machine, with all below it, as an attacker's may.
"""

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Make a browser's tests slow ones, but for those that are marked for every day: one
    or a few for each page. All together, they take minutes.
    """
    folder = Path(__file__).parent
    for item in items:
        here = item.path.is_relative_to(folder)
        if here and item.get_closest_marker("everyday") is None:
            item.add_marker(pytest.mark.slow)


_AUDIT = """async () => {
  // Animations would be in the middle of a change of colours.
  for (const each of document.getAnimations()) each.finish();
  const { violations } = await axe.run();
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, any }) => `${id}: ${html} ${any.map((each) => each.message)}`
  ));
}"""
"""
Gives what axe-core finds wrong with a page.
"""


@cache
def _axe() -> str:
    """
    Read the script of axe-core.
    """
    try:
        import axe_playwright_python  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        missing("axe-playwright-python (pip install '.[test]')")
    script = Path(axe_playwright_python.__file__).with_name("axe.min.js")
    return script.read_text("utf-8")


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
            where = message.location.get("url", "")
            self.errors.append(f"{message.text} ({where})" if where else message.text)

    def run(self, script: str, argument: object = None) -> Any:
        """
        Run a script in the page: an expression, or a function of one argument.

        @return: what it gives, or what its promise is fulfilled with.
        """
        return self.page.evaluate(script, argument)

    def wait(self, condition: str, showing: str = "") -> Any:
        """
        Wait until something is so in the page.

        @param condition: an expression in JavaScript.
        @param showing: another one, whose value is told where it never is so.
        @return: the value that it has then.
        """
        try:
            handle = self.page.wait_for_function(condition, polling=20)
        except Exception as error:
            shown = f"; {showing} is {self.run(showing)!r}" if showing else ""
            raise AssertionError(f"never: {condition}{shown}: {error}") from None
        return handle.json_value()

    def show(self, name: str) -> None:
        """
        Have the page audited for accessibility as it is now, and take a picture.
        """
        self.audit()
        self.picture(name)

    def audit(self) -> None:
        """
        Check the page with axe-core: contrast, names, landmarks and the rest.
        """
        if not self.run("'axe' in window"):
            self.run(_axe())
        found = self.run(_AUDIT)
        if found:
            raise AssertionError("\n".join((f"axe-core, {self.page.url}:", *found)))

    def picture(self, name: str) -> None:
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
    named = os.environ.get("CHROMIUM")
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        missing("chromium (Debian's package of that name; or say where: CHROMIUM=PATH)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright (pip install '.[test]')")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", f"--host-resolver-rules=MAP *{REBOUND} {HOST}"],
        )
        yield browser
        browser.close()


_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None]:
    """
    Remember whether a test has failed.
    """
    report: Any = yield
    if report.failed:
        item.stash[_failed] = True
    return report  # type: ignore[no-any-return]


@pytest.fixture
def visit(chromium: Any, request: pytest.FixtureRequest) -> Iterator[Visitor]:
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
    if request.node.stash.get(_failed, False):
        name = re.sub(r"[^\w.-]+", "-", request.node.name)
        shown = [each for each in visits if not each.page.is_closed()]
        for number, each in enumerate(shown):
            each.picture(f"failed-{name}-{number}")
    for context in contexts:
        context.close()
    assert errors == []
