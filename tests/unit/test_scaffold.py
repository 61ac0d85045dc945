"""C{wsplug new}: the package that it creates, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import wsplug
from wsplug.command import main
from wsplug.errors import ConfigurationError
from wsplug.scaffold import makePackage


def run(folder: Path, *command: str) -> str:
    """Run a Python module in the package, which isn't installed."""
    source = Path(wsplug.__file__).parents[1]
    path = os.pathsep.join((str(folder / "src"), str(folder), str(source)))
    finished = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def test_package(tmp_path: Path) -> None:
    """The tests of a new package pass, and C{--app} knows its application by the
    drop-in."""
    folder = tmp_path / "my-quiz-2"
    made = makePackage("my-quiz-2", folder)
    assert Path("src/twisted/plugins/my_quiz_2_dropin.py") in made
    assert Path("src/my_quiz_2/pages/page.js") in made
    assert Path(".gitignore") in made
    for path in made:
        assert "@module@" not in (folder / path).read_text("utf-8")
    assert "3 passed" in run(folder, "pytest", "-q", "-p", "no:cacheprovider")
    listed = run(folder, "wsplug", "--list-apps")
    assert "my-quiz-2: Send what anybody says to everybody.\n" in listed


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("My", "'My' can't be the name of a package: use lower-case letters"),
        ("my--quiz", "'my--quiz' can't be"),
        ("../x", "'../x' can't be"),
        ("", "'' can't be"),
        ("os", "Python has a module os already; choose another name, such as my-os"),
        ("class", "Python has a module class already"),
        ("chat", "there is an application 'chat' already"),
    ],
)
def test_names(name: str, reason: str, tmp_path: Path) -> None:
    """A name that is invalid for a package, or taken by another one, is refused
    before anything is created.
    """
    with pytest.raises(ConfigurationError) as caught:
        makePackage(name, tmp_path / "folder")
    assert reason in str(caught.value)
    assert not (tmp_path / "folder").exists()


def test_folders(tmp_path: Path) -> None:
    """Nothing is written into a folder that isn't empty, or where no folder can be
    created.
    """
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"there isn't empty"):
        makePackage("my-quiz", tmp_path / "there")
    assert [each.name for each in (tmp_path / "there").iterdir()] == ["mine"]
    with pytest.raises(ConfigurationError, match=r"can't write to .*: "):
        makePackage("my-quiz", tmp_path / "there" / "mine")


def test_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says what it has created and what to do next; a mistake is one
    line.
    """
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["new", "--folder", "a b", "my-quiz"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    assert "a b/src/my_quiz/__init__.py\n" in printed
    assert "\n    cd 'a b'\n" in printed
    assert "--app my-quiz\n" in printed
    for words, reason in (
        (["new"], "wsplug: name the application, such as: wsplug new my-quiz"),
        (["new", "a", "b"], "wsplug: name the application"),
        (["new", "--fold", "x", "y", "z"], "wsplug: "),
        (["new", "Quiz"], "wsplug: 'Quiz' can't be the name"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert str(caught.value.code).startswith(reason)
        assert "\n" not in str(caught.value.code)
