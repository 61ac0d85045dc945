"""Options that have been renamed."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock

from wsplug.assembly import readFile
from wsplug.assembly.configuration import OPTIONS
from wsplug.command import CheckOptions
from wsplug.errors import InvalidOption
from wsplug.options import Option, parseOptions, text
from wsplug.tap import Options

RENAMED = {
    "max-waiting": "max-send-buffer-total",
    "max-unfinished": "max-incomplete-total",
    "send-limit": "max-send-buffer",
    "max-messages": "max-message-rate",
    "max-bytes": "max-byte-rate",
    "max-address-messages": "max-address-message-rate",
    "max-address-bytes": "max-address-byte-rate",
    "max-address-handshakes": "max-address-handshake-rate",
    "max-address-log-lines": "max-address-log-rate",
    "host": "allowed-host",
    "framed-by": "frame-ancestor",
}


def test_all() -> None:
    """Each old name is declared by an option, and isn't a current name."""
    assert {old: each.name for each in OPTIONS for old in each.formerly} == RENAMED
    assert not RENAMED.keys() & {each.name for each in OPTIONS}


@pytest.mark.parametrize("old", RENAMED)
@pytest.mark.parametrize("form", ["--{}=1", "--{} 1"])
def test_command_line(old: str, form: str) -> None:
    """An old name on the command line ends the command with a line that gives the
    new name.
    """
    options = Options(MemoryReactorClock())
    words = form.format(old).split()
    with pytest.raises(SystemExit) as caught:
        options.parseOptions(["--app=echo", *words])
    line = f"wsplug: the option {old!r} is called {RENAMED[old]!r} now"
    assert caught.value.code == line


@pytest.mark.parametrize("old", RENAMED)
def test_file(old: str, tmp_path: Path) -> None:
    """So does an old name in the file."""
    path = tmp_path / "wsplug.toml"
    path.write_text(f"{old} = 1\n")
    line = f"{path}: the option {old!r} is called {RENAMED[old]!r} now"
    with pytest.raises(InvalidOption) as caught:
        readFile(str(path))
    assert str(caught.value) == line


def test_check() -> None:
    """wsplug check reports it with the other errors."""
    options = CheckOptions(MemoryReactorClock())
    options.parseOptions(["--app=echo", "--max-waiting=1"])
    (error,) = options.errors
    assert "'max-send-buffer-total' now" in str(error)


def test_of_a_plugin() -> None:
    """A plugin's options can be renamed in the same way."""
    option = Option("shade", text, "", "", formerly=("color",))
    with pytest.raises(InvalidOption, match=r"^the option 'color' is called 'shade' "):
        parseOptions([option], {"color": "red"})
