"""The reference of options (wsplug.assembly.reference)."""

from __future__ import annotations

from pathlib import Path

from tests.documentation.pages import readPage
from wsplug.assembly.configuration import COMMANDS, OPTIONS
from wsplug.assembly.reference import main, makeReference
from wsplug.tap import Options


def test_is_current() -> None:
    """The page matches the output of its command: run it again after a change."""
    assert readPage("options") == makeReference()


def test_command(tmp_path: Path) -> None:
    """The command writes the page."""
    path = tmp_path / "options.md"
    main([str(path)])
    assert path.read_text("utf-8") == makeReference()


def test_has_every_option() -> None:
    """Each option of the command line has its row, and no other option has one above
    those of applications.
    """
    page = readPage("options").partition("## Options of applications")[0]
    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(option.name for option in (*OPTIONS, *COMMANDS))
    names = {name.rstrip("=") for name in Options().longOpt}
    assert names - {"help"} == set(rows)
