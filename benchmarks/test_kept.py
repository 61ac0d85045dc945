"""The measurement of kept publications runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.kept import measure


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_measure(kind: str, tmp_path: Path) -> None:
    """
    It gives a time for publishing and one for subscribing.
    """
    publishing, subscribing = measure(kind, 20, tmp_path, times=3)
    assert 0 < publishing < 1
    assert 0 < subscribing < 1
