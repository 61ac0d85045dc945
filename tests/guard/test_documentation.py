"""
docs/reference/limits.md is true.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.documentation.pages import codeIn
from wsplug.assembly import combine, readFile
from wsplug.daemon.descriptors import fitConnections
from wsplug.errors import InvalidOption
from wsplug.guard.admission import MAX_LINGERING
from wsplug.tap import Options

ROOT = Path(__file__).parents[2]
LIMITS = (ROOT / "docs" / "reference" / "limits.md").read_text("utf-8")
CLOSING = (ROOT / "docs" / "reference" / "closing.md").read_text("utf-8")


def test_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The example configuration can be read, and means what the page says.
    """
    (block,) = codeIn(LIMITS, "toml")
    (tmp_path / "wsplug.toml").write_text(block, "utf-8")
    configuration = combine({}, readFile(str(tmp_path / "wsplug.toml")))
    assert configuration.settings.max_connections == 20000
    assert configuration.settings.max_send_buffer_total == 1024**3
    assert configuration.access.exempt == ("127.0.0.1", "::1", "10.0.0.0/8")


def test_names() -> None:
    """
    Each setting that the page names exists, and so does each one that closing.md names.
    """
    names = {name.rstrip("=") for name in Options().longOpt}
    words = {"unlimited", "off", "none", "connectionLost", "127.0.0.1", "::1"}
    named = set(re.findall(r"`([a-z][a-z-]+)`", LIMITS)) - words
    assert named <= names, named - names
    assert len(named) > 15
    for row in re.findall(r"^\|.*\|$", CLOSING, re.M):
        for setting in re.findall(r"`([a-z-]+)`", row.rsplit("|", 2)[1]):
            assert setting in names, setting


def test_error() -> None:
    """
    The error on the page is the real one.
    """
    with pytest.raises(InvalidOption) as caught:
        fitConnections(20000, 4096, asked=True)
    assert f"    wsplug: {caught.value}\n" in LIMITS
    assert f"{MAX_LINGERING:,} addresses" in LIMITS
