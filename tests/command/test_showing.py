"""What the command shows about itself."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

import twisted
import wsplug
from tests.processes import TCP, Finished, Process, runTwistd, serve
from wsplug.assembly.configuration import OPTIONS
from wsplug.command import main

WSPLUG = str(Path(sys.executable).with_name("wsplug"))

SHOUT = """
from typing import Annotated

from wsplug import application


@application("shout", help="Repeat every text in capitals.")
async def shout(socket, *, times: Annotated[int, "how often"] = 1):
    async for message in socket:
        await socket.send(message.upper() * times)
"""


@pytest.fixture
def dropIns(tmp_path: Path) -> Path:
    """
    A folder with an application, and one that doesn't load, as drop-ins.
    """
    folder = tmp_path / "third"
    plugins = folder / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (folder / "shouting.py").write_text(SHOUT, "utf-8")
    (plugins / "shouting_dropin.py").write_text("from shouting import shout\n", "utf-8")
    return folder


def checkQuiet(finished: Finished) -> None:
    """Check that the command ended without an error."""
    assert finished.status == 0
    assert finished.err == ""


def test_commands(tmp_path: Path) -> None:
    """
    "twistd --help" has the command.
    """
    finished = runTwistd(tmp_path, "--help")
    checkQuiet(finished)
    assert re.search(r"^ +wsplug +A pluggable WebSocket server\.$", finished.out, re.M)


def test_help(tmp_path: Path) -> None:
    """
    "--help" has each option, with its default.
    """
    finished = runTwistd(tmp_path, "wsplug", "--help")
    checkQuiet(finished)
    # Lines also break behind hyphens.
    words = " ".join(finished.out.split()).replace("- ", "-")
    for option in OPTIONS:
        end = "" if option.flag else "="
        line = f"--{option.name}{end} {option.line}"
        assert line.replace("- ", "-") in words
    for name in ("config=", "list-apps", "version"):
        assert f"--{name}" in words
    assert max(map(len, finished.out.splitlines())) <= 80


def test_version(tmp_path: Path) -> None:
    """ "--version" shows all relevant versions in one line."""
    finished = runTwistd(tmp_path, "wsplug", "--version")
    checkQuiet(finished)
    assert finished.out.startswith(f"wsplug {wsplug.__version__} ")
    assert f"Twisted {twisted.__version__}" in finished.out
    assert finished.out.count("\n") == 1


def test_applications(tmp_path: Path) -> None:
    """ "--list-apps" shows the bundled applications and their options."""
    finished = runTwistd(tmp_path, "wsplug", "--list-apps")
    checkQuiet(finished)
    assert "echo: Send every message back.\n" in finished.out
    assert re.search(r"^ +path: ", finished.out, re.M)
    assert re.search(r"^ +compression: ", finished.out, re.M)
    assert "do not load" not in finished.out


def test_dropIn(tmp_path: Path, dropIns: Path) -> None:
    """A drop-in in a twisted/plugins folder on the path is listed with its options."""
    environment = {"PYTHONPATH": str(dropIns)}
    finished = runTwistd(tmp_path, "wsplug", "--list-apps", environment=environment)
    checkQuiet(finished)
    assert "shout: Repeat every text in capitals.\n" in finished.out
    assert "times: how often [1]\n" in finished.out
    assert "echo: " in finished.out


def test_dropInServed(tmp_path: Path, dropIns: Path) -> None:
    """
    It is served by its name.
    """
    from websockets.sync.client import connect

    environment = {"PYTHONPATH": str(dropIns)}
    with (
        serve(tmp_path, "--app=shout:times=2", environment=environment) as server,
        connect(f"ws://127.0.0.1:{server.port}") as client,
    ):
        client.send("aha")
        assert client.recv(60) == "AHAAHA"


def test_working_folder(dropIns: Path) -> None:
    """C{twistd wsplug}, C{wsplug} and C{python -m wsplug} find the drop-ins of the
    working directory.
    """
    finished = runTwistd(dropIns, "wsplug", "--list-apps")
    checkQuiet(finished)
    module = [sys.executable, "-m", "wsplug", "--list-apps"]
    for command in ([WSPLUG, "--list-apps"], module):
        with Process(command, dropIns) as process:
            other = process.finish()
        assert (other.status, other.err) == (0, "")
        for each in (finished, other):
            assert "shout: Repeat every text in capitals.\n" in each.out


def test_module(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    C{python -m wsplug} is the command C{wsplug}.
    """
    for words in (["--version"], ["--list-apps"], ["nothing"]):
        results = []
        monkeypatch.setattr(sys, "argv", ["wsplug", *words])
        for run in (main, lambda: runpy.run_module("wsplug", run_name="__main__")):
            with pytest.raises(SystemExit) as caught:
                run()
            results.append((caught.value.code, capsys.readouterr().out))
        assert results[0] == results[1]
        assert (results[0][0] == 0) == (words != ["nothing"])


def test_brokenDropIns(tmp_path: Path, dropIns: Path) -> None:
    """Drop-ins that don't load, or break their contract, are named with the reason,
    and don't affect anything else.
    """
    plugins = dropIns / "twisted" / "plugins"
    (plugins / "missing_dropin.py").write_text("import not_there\n", "utf-8")
    (plugins / "broken_dropin.py").write_text(
        """
from twisted.plugin import IPlugin
from zope.interface import implementer
from wsplug.interfaces import IWebSocketApplicationPlugin

@implementer(IPlugin, IWebSocketApplicationPlugin)
class Half:
    name = "half"
    help = "It has no makeApplication."
    options = ()

half = Half()
""",
        "utf-8",
    )
    environment = {"PYTHONPATH": str(dropIns)}
    finished = runTwistd(tmp_path, "wsplug", "--list-apps", environment=environment)
    assert finished.status == 0
    works, _, broken = finished.out.partition("These do not load:\n")
    assert "shout: " in works
    assert "echo: " in works
    lines = broken.splitlines()
    assert len(lines) == 2
    assert any("makeApplication" in line for line in lines)
    reason = "missing_dropin.py: ModuleNotFoundError: No module named 'not_there'"
    assert any(reason in line for line in lines)

    # Twisted itself looks for its commands first, and logs one traceback for the file.
    assert finished.err.count("Unhandled Error") == 1
    command = [WSPLUG, "--list-apps"]
    with Process(command, tmp_path, environment=environment) as process:
        quiet = process.finish()
    assert (quiet.status, quiet.err) == (0, "")
    assert re.sub("0x[0-9a-f]+", "", quiet.out) == re.sub(
        "0x[0-9a-f]+", "", finished.out
    )

    command = ["-n", "--pidfile=", "wsplug", f"--listen={TCP}"]
    finished = runTwistd(tmp_path, *command, "--app=half", environment=environment)
    assert finished.status == 1
    assert "wsplug: the application half is broken: " in finished.err
    # An unknown name also reports that a drop-in did not load.
    finished = runTwistd(tmp_path, *command, "--app=shoot", environment=environment)
    assert finished.status == 1
    line = finished.err.splitlines()[-1]
    assert line.startswith("wsplug: no application 'shoot'; did you mean 'shout'?")
    assert "does not load; see --list-apps" in line
