"""Fixtures for the packaging tests, each built once."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.packaging.kit import ROOT, run


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources in which the build may write."""
    folder = tmp_path_factory.mktemp("source") / "wsplug"
    left = ("build", "dist", "node_modules", "*.egg-info", "__pycache__", ".*_cache")
    ignore = shutil.ignore_patterns(*left, ".git", ".hypothesis", "dropin.cache")
    shutil.copytree(ROOT, folder, ignore=ignore)
    return folder


@pytest.fixture(scope="session")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as by pip."""
    folder = tmp_path_factory.mktemp("wheel")
    run(folder, sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", source)
    (built,) = folder.glob("*.whl")
    return built
