"""What all tests share: the C{slow} marker, and the handling of missing programs.

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

# Without a deadline: how long an example takes depends on the machine's other work.
settings.register_profile("default", deadline=None, max_examples=40)
settings.register_profile("ci", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def missing(reason: str) -> NoReturn:
    """End a test that can't run here: skip it on a developer's machine, fail it in CI.

    Continuous integration has to have everything.

    @param reason: what is missing.
    """
    if os.environ.get("CI"):
        pytest.fail(f"CI has to have it: {reason}", pytrace=False)
    pytest.skip(reason)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and make the tests' child processes handle Ctrl-C."""
    # Jobs that a shell starts with & ignore it, and so would all their children.
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
    """Mark the tests of slow modules as slow, with some exceptions."""
    if item.get_closest_marker("costly") and not item.get_closest_marker("everyday"):
        item.add_marker(pytest.mark.slow)


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave the slow tests out unless they are requested."""
    if os.environ.get("CI") or config.getoption("markexpr"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.fixture(scope="session", autouse=True)
def _noProxies() -> Iterator[None]:
    """Ignore the environment's proxies: clients use none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "*")
        patch.setenv("no_proxy", "*")
        yield
