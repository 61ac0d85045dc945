"""
What docs/reference/broker.md says is so.
"""

from __future__ import annotations

import re
from pathlib import Path

from twisted.internet.task import Clock

from wsplug.broker import BROKERS, RETENTION_OPTIONS, makeBroker
from wsplug.broker.retention import CHANNEL_OVERHEAD, OVERHEAD
from wsplug.broker.sqlite import MAX_PENDING_SIZE

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "broker.md").read_text(
    "utf-8"
)


def _rows() -> list[list[str]]:
    lines = re.findall(r"^\| (.*) \|$", PAGE, re.MULTILINE)
    return [[cell.strip().strip("`") for cell in line.split(" | ")] for line in lines]


def test_brokers() -> None:
    """
    The page names each broker there is.
    """
    rows = _rows()
    assert [row[0] for row in rows[2:4]] == list(BROKERS)


def test_options() -> None:
    """
    The table of options has all of them, with their defaults.
    """
    rows = [tuple(row) for row in _rows()]
    first = 2 + next(n for n, row in enumerate(rows) if row[0] == "option")
    rows = rows[first : first + len(RETENTION_OPTIONS)]
    actual = [(each.name, each.shownDefault, each.help) for each in RETENTION_OPTIONS]
    assert rows == actual


def test_descriptions() -> None:
    """
    The brokers in its examples can be made.
    """
    descriptions = re.findall(r"--broker ((?:memory|sqlite):[^`\s]+)", PAGE)
    assert len(descriptions) == 2
    for description in descriptions:
        makeBroker(description, Clock())


def test_numbers() -> None:
    """
    The bounds in its text are those in the code.
    """
    text = PAGE.replace("\n", " ")
    assert f"{OVERHEAD} bytes." in text
    assert f"{CHANNEL_OVERHEAD} bytes plus its name" in text
    assert f"{MAX_PENDING_SIZE // 1024**2} MiB wait" in PAGE.replace("\n", " ")
