"""docs/explanation/write-path.md names existing files and the real sizes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "wsplug"
PAGE = (ROOT / "docs" / "explanation" / "write-path.md").read_text("utf-8")


def _find(name: str) -> Path:
    """Find a file in any folder of the package."""
    found = list(SOURCE.rglob(name))
    assert found, f"there is no {name}"
    return found[0]


def test_files() -> None:
    """Each file that it names exists.

    The files that it calls compiled have a .pxd, and no others do.
    """
    names = set(re.findall(r"`(\w+\.pyx?)`", PAGE)) - {"run.py"}
    for name in names:
        _find(name)
    section = PAGE.partition("## Compilation")[2].partition("\n\n")[2]
    listed = set(re.findall(r"`(\w+)\.py`", section.partition("Four small")[0]))
    typed = {path.stem for path in SOURCE.rglob("*.pxd")}
    assert listed == {name for name in typed if not name.startswith("_")}
    cython = {path.name for path in SOURCE.rglob("*.pyx")}
    assert {name for name in names if name.endswith(".pyx")} == cython


@pytest.mark.parametrize(
    ("file", "constant", "said"),
    [
        ("sockets.py", "READ_SIZE", "the same buffer of {} KiB"),
        ("sockets.py", "MAX_BUFFERED_READ", "at most {m} MiB at a time"),
        ("masking.py", "FIRST_BUFFER_SIZE", "begins with at most {} KiB"),
        ("sendqueue.py", "_CORK_SIZE", "at most {} KiB are held back"),
        ("sendqueue.py", "BATCH", "{} KiB at a time"),
        ("memory.py", "KEPT_SIZE", "makes it keep {m} MiB"),
    ],
)
def test_sizes(file: str, constant: str, said: str) -> None:
    """The sizes that it names are the code's."""
    source = _find(file).read_text("utf-8")
    (text,) = re.findall(rf"^{constant}: Final = ([\d* ]+)$", source, re.MULTILINE)
    size = 1
    for factor in text.split("*"):
        size *= int(factor)
    sentence = said.format(size // 1024, m=size // 1024**2)
    assert sentence in PAGE.replace("\n   ", " ").replace("\n  ", " ")


def test_connections_a_pass() -> None:
    """One pass serves the stated number of connections."""
    source = _find("epollset.py").read_text("utf-8")
    (size,) = re.findall(r"^_PASS: Final = (\d+)$", source, re.MULTILINE)
    assert f"at most {size} connections" in PAGE
