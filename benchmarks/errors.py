"""The errors of a benchmark run."""

from __future__ import annotations

from pathlib import Path

# How many lines of a log an error shows.
_TAIL_LINES = 12


class SetupError(Exception):
    """
    The run can't begin: its message is the line that says why.
    """


class MeasurementError(Exception):
    """
    A server died, or gave a wrong answer: its message names it.
    """


def tail(log: Path) -> str:
    """
    @return: the last lines of a log, indented, for what a person reads.
    """
    lines = log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:]
    return "\n".join(f"    {line}" for line in lines) or "    (its log is empty)"
