"""The README's installation and the whole tutorial, in separate environments."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.documentation.pages import allBlocks
from tests.documentation.terminal import commandsIn, follow, terminal
from tests.packaging.kit import PATIENCE, Environment

pytestmark = pytest.mark.slow


def test_readme(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's first command installs wsplug, compiled, and serves the chat; the
    command that skips compilation does so.
    """
    # The test checks which build it is, and not its speed.
    monkeypatch.setenv("CFLAGS", "-O0")
    environment = Environment(tmp_path / "clean")
    first, plain = (
        command
        for block in allBlocks()
        if block.name == "README"
        for command in commandsIn(block)
        if "pip install ." in command
    )
    programs = environment.python.parent
    with terminal("README", programs, PATIENCE) as opened:
        opened.run(f"cd {source}")
        opened.run(first)
        opened.run("twistd wsplug --version | grep 'codec: compiled'")
        opened.end()
        opened.run("pip uninstall -q -y wsplug")
        opened.run(plain)
        opened.run("twistd wsplug --version | grep 'codec: pure Python'")


def test_production(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps to a server on the open internet result in one for which C{wsplug
    check} finds no mistake.
    """
    monkeypatch.setenv("WSPLUG_PURE_BUILD", "1")
    left: list[str] = []
    with terminal("production", patience=PATIENCE) as opened:
        opened.run(f"cd {source}")

        def isLeftOut(command: str) -> bool:
            program = command.split()[0]
            if program in ("useradd", "chown", "systemctl", "ssh"):
                left.append(program)
                return True
            if command.endswith("wsplug check --config /etc/wsplug.toml"):
                # It also names folders on the machine, and more connections than the
                # user who runs the tests may have.
                path = Path(opened.here("/etc/wsplug.toml"))
                text = opened.here(path.read_text("utf-8"))
                assert "max-connections = 20000" in text
                path.write_text(text.replace("= 20000", "= 500"), "utf-8")
            return False

        follow("production", opened, isLeftOut)
        unit = Path(opened.here("/etc/systemd/system/wsplug.service"))
        assert "ExecStart=/opt/wsplug/bin/twistd" in unit.read_text("utf-8")
        assert unit.with_name("wsplug.service.d").joinpath("production.conf").exists()
    assert left == ["useradd", "chown", "systemctl", "ssh"]


def test_tutorial(wheel: Path, tmp_path: Path) -> None:
    """After each step of the tutorial, a user has what it promises: a page and a
    room, a plugin with an option, tests that pass, and a wheel with all of it.
    """
    environment = Environment(tmp_path / "clean")
    environment.pip("install", wheel)
    done: list[str] = []
    with terminal("chat-room", environment.python.parent, PATIENCE) as opened:
        follow("chat-room", opened, done.append)
        folder = opened.folder
        opened.run("twistd wsplug --list-apps | grep -A 1 ^clubroom: | grep history:")
        (built,) = folder.glob("dist/*.whl")
        with zipfile.ZipFile(built) as archive:
            names = {name for name in archive.namelist() if ".dist-info" not in name}
    assert [command.split()[0] for command in done] == [
        *("mkdir", "cd", "touch", "twistd", "twistd"),
        *("pip", "twistd", "twistd", "python", "pip"),
    ]
    assert names == {
        "clubroom/__init__.py",
        "clubroom/pages/index.html",
        "clubroom/pages/room.js",
        "clubroom/room.py",
        "twisted/plugins/clubroom_dropin.py",
    }
