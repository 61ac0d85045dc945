"""Shared helpers of the packaging tests: separate environments."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.processes import Finished, Process, Server, checkEcho

__all__ = ["PATIENCE", "ROOT", "Environment", "run"]

ROOT = Path(__file__).parents[2]

PATIENCE = 600.0
"""Timeout for building or installing, in seconds."""


def run(folder: Path, *command: str | Path) -> Finished:
    """Run a command that has to succeed."""
    environment = {
        # Not with this process's module path.
        **{"PYTHONPATH": "", "PYTHONWARNINGS": "", "PIP_NO_INPUT": "1"},
        # The tests check the files, and not their speed.
        "CFLAGS": "-O0",
    }
    with Process([*map(str, command)], folder, environment=environment) as process:
        finished = process.finish(PATIENCE)
    assert finished.status == 0, finished
    return finished


class Environment:
    """
    A virtual environment.
    """

    def __init__(self, folder: Path) -> None:
        """
        Make it.
        """
        self.folder = folder
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        run(self.work, sys.executable, "-m", "venv", folder / "env")
        self.python = folder / "env" / "bin" / "python"
        self.twistd = folder / "env" / "bin" / "twistd"

    def pip(self, *arguments: str | Path) -> None:
        run(self.work, self.python, "-m", "pip", "-q", *arguments)

    @property
    def site(self) -> Path:
        """
        Its folder of packages.
        """
        (folder,) = self.folder.glob("env/lib/python*/site-packages")
        return folder

    def missing(self) -> list[str]:
        """Files on Twisted's list of its own that don't exist."""
        (record,) = self.site.glob("[Tt]wisted-*.dist-info/RECORD")
        rows = csv.reader(record.read_text("utf-8").splitlines())
        return [row[0] for row in rows if not (self.site / row[0]).exists()]

    def checkServes(self, program: Sequence[str | Path]) -> None:
        """Check that it has the command with the bundled applications, and serves
        one.
        """
        finished = run(self.work, *program, "--help")
        assert "    wsplug " in finished.out
        finished = run(self.work, *program, "wsplug", "--list-apps")
        assert "echo: " in finished.out
        assert "do not load" not in finished.out
        assert "Traceback" not in finished.err
        with Server(self.work, ["--app=echo"], program=[*map(str, program)]) as server:
            checkEcho(server.port)
            assert server.stop() == 0
            assert "Traceback" not in server.log + server.err
