"""
What all tests share: the C{slow} marker, and the judgement of what isn't there.

Tests marked C{slow} are left out unless C{-m} says otherwise or the environment
variable C{CI} is set.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import NoReturn

import pytest
from hypothesis import settings

__all__ = ["missing"]

# Without a deadline: how long an example takes depends on what else the machine does.
settings.register_profile("default", deadline=None, max_examples=40)
settings.register_profile("ci", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def missing(reason: str) -> NoReturn:
    """
    End a test that can't be run here: skip it on somebody's machine, fail it in
    continuous integration, where everything has to be there.

    @param reason: what is missing.
    """
    if os.environ.get("CI"):
        pytest.fail(f"CI has to have it: {reason}", pytrace=False)
    pytest.skip(reason)


def pytest_configure(config: pytest.Config) -> None:
    """
    Make the markers known, and have the processes of tests listen to Ctrl-C.
    """
    # What a shell has started with & ignores it, and so would all that it starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line(
        "markers", "slow: takes minutes; runs with -m slow, or where CI is set"
    )
    config.addinivalue_line(
        "markers",
        "costly: of a module: its tests start processes by the dozen, and are slow but "
        "for those marked everyday",
    )
    config.addinivalue_line(
        "markers",
        "everyday: a test that isn't slow, as others of its module are",
    )
    config.addinivalue_line(
        "markers",
        "alone: measures time, and wants the machine for itself: use -m alone -n 0",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """
    Have the tests of costly modules be slow ones, but for some.
    """
    if item.get_closest_marker("costly") and not item.get_closest_marker("everyday"):
        item.add_marker(pytest.mark.slow)


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """
    Leave the slow tests out where nobody asks for them.
    """
    if os.environ.get("CI") or config.getoption("markexpr"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.fixture(scope="session", autouse=True)
def _noProxies() -> Iterator[None]:
    """
    Whatever proxy the environment has: clients go through none.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "*")
        patch.setenv("no_proxy", "*")
        yield
