"""
The limit of open files, as a user meets it.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.processes import TCP, TWISTD, Process, waitUntil


def _limited(folder: Path, *arguments: str) -> Process:
    """Run the command where no process may have more than 300 open files, and where
    fewer are allowed at first.
    """
    command = shlex.join([TWISTD, "-n", "--pidfile=", "wsplug", "--app", "echo"])
    more = shlex.join(["--listen", TCP, *arguments])
    script = f"ulimit -Sn 200 && ulimit -Hn 300 && exec {command} {more}"
    return Process(["sh", "-c", script], folder)


def test_cannot_be_held(tmp_path: Path) -> None:
    """A configured maximum that the process can't hold is an error at once.

    Its one line says what to do.
    """
    with _limited(tmp_path, "--max-connections", "5000") as process:
        done = process.finish()
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert line.startswith("wsplug: max-connections 5000 is too high: this process")
    assert line.endswith("or set max-connections to 236")


def test_default_is_lowered(tmp_path: Path) -> None:
    """The default is reduced to what the process can hold, and the log gives that
    number. The limit on open files is raised as far as it may be.
    """
    with _limited(tmp_path) as process:
        waitUntil(lambda: "up to 236 connections" in process.out, "it says how many")
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        (files,) = [line for line in limits.splitlines() if "open files" in line]
        assert files.split()[3:5] == ["300", "300"]
