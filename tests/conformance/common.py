"""
What the parts of the conformance runner share.
"""

import os
import shutil
import time
from pathlib import Path

MARKER = ".wsplug-conformance"


class SetupError(Exception):
    """The run cannot begin, for a reason that the user can correct."""


class TimeLimitError(Exception):
    """
    The time limit of the whole run is reached.
    """


class Deadline:
    """The time by which the whole run has to end."""

    def __init__(self, seconds: float) -> None:
        """
        @param seconds: how long the run may take, from now on.
        """
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """
        @return: how many seconds are left.
        @raise TimeLimitError: when there are none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.error()
        return left

    def error(self) -> TimeLimitError:
        """@return: the exception for the reached time limit."""
        return TimeLimitError(f"the time limit of {self.seconds:g} s is reached")


def prepare_folder(folder: Path) -> None:
    """Create an empty folder, or empty one that an earlier run has created.

    A folder given by mistake must not lose its contents: only one that is empty, or
    has the runner's mark in it, is used.

    @param folder: the folder.
    @raise SetupError: it has other contents, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        entries = list(folder.iterdir())
        if entries and not (folder / MARKER).exists():
            raise SetupError(
                f"{folder} was not made by this runner and is not empty; "
                "empty it or name another folder"
            )
        (folder / MARKER).touch()
        for entry in entries:
            if entry.name == MARKER:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    except OSError as error:
        raise SetupError(f"cannot prepare {folder}: {error}") from error


def python27_environment() -> dict[str, str]:
    """
    @return: the environment for programs of Python 2.7. The module search path of a
        Python 3 would break them.
    """
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    for name in ("PYTHONPATH", "PYTHONHOME"):
        environment.pop(name, None)
    return environment


def tail(log: Path, lines: int = 30) -> str:
    """
    @param log: a log file, which need not exist.
    @param lines: how many lines are wanted.
    @return: the last lines of the file, indented.
    """
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        text = ""
    last = text.splitlines()[-lines:] or ["(empty)"]
    return "\n".join(f"    {line}" for line in last)
