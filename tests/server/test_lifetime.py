"""A connection leaves nothing behind. See ``tests/server/lifetimes.py``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.lifetimes import NAMES


@pytest.fixture(scope="module")
def left() -> dict[str, dict[str, int]]:
    """What each kind of connection has left behind, by type."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.server.lifetimes"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert not done.returncode, done.stderr
    found: dict[str, dict[str, int]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left(name: str, left: dict[str, dict[str, int]]) -> None:
    """However a connection ends, all its objects are freed at once, without the garbage
    collector: transport, protocol, connection and the application's protocol form no
    cycle, and no traceback refers to them."""
    assert left[name] == {}
