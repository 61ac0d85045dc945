"""
C{wsplug check} and C{wsplug --version}, as a user runs them.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock

import wsplug
from tests.conftest import missing
from tests.daemon.test_twistd import NOBODYS
from tests.processes import HOST, Finished, Process, serve
from wsplug.command import CheckOptions, main
from wsplug.errors import ConfigurationError

WSPLUG = str(Path(sys.executable).with_name("wsplug"))

GOOD = """
port = 0
interface = "127.0.0.1"
listen = ["unix:socket", "systemd:domain=INET:index=0"]
broker = "sqlite:broker"
max-connections = 100

[[app]]
use = "echo"
path = "/one"

[[app]]
use = "chat"
"""

BAD = """
prot = 1
max-headers = "many"
interface = "127.0.0.1"
port = PORT
listen = ["carrier:pigeon", "tcp:0:interface=127.0.0.1"]
broker = "sqlite:no/broker"
app = ["ecko", "missing.py", "echo:x=1", "chat"]
"""


def check(folder: Path, *arguments: str) -> Finished:
    with Process([WSPLUG, "check", *arguments], folder) as process:
        return process.finish()


def test_good(tmp_path: Path) -> None:
    """Each valid part is one line, the status is 0, and nothing is left behind."""
    (tmp_path / "wsplug.toml").write_text(GOOD, "utf-8")
    finished = check(tmp_path, "--config", "wsplug.toml")
    assert finished == (
        0,
        "good: application echo at /one\n"
        "good: application chat at /chat\n"
        "good: broker sqlite:broker\n"
        "good: port 0 of 127.0.0.1\n"
        "good: unix:socket\n"
        "note: systemd:domain=INET:index=0: only systemd has this socket, "
        "so it wasn't tried\n",
        "",
    )
    assert not (tmp_path / "broker").exists()
    assert not (tmp_path / "socket").exists()


def test_log_format(tmp_path: Path) -> None:
    """Any log format is valid for the check; the log itself is twistd's."""
    for name in ("text", "json"):
        options = CheckOptions(MemoryReactorClock())
        options.parseOptions(["--app=echo", "--no-listen", f"--log-format={name}"])
        assert options.errors == []


def test_bad(tmp_path: Path) -> None:
    """All mistakes are reported, one line each, with status 1."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        text = BAD.replace("PORT", str(port))
        (tmp_path / "wsplug.toml").write_text(text, "utf-8")
        finished = check(tmp_path, "--config", "wsplug.toml", "--max-head-size", "x")
    assert finished.status == 1
    parts = [
        "wsplug.toml: unknown key 'prot'; did you mean 'port'?",
        "wsplug.toml: max-headers takes a whole number",
        "max-head-size takes a size",
        "--broker sqlite:no/broker: there is no folder no",
        "no application 'ecko'",
        "no file 'missing.py'",
        "unknown option 'x'",
        "can't listen on 'carrier:pigeon'",
        f"can't listen on port {port} of 127.0.0.1: Address already in use",
    ]
    lines = finished.err.splitlines()
    assert len(lines) == len(parts)
    for part in parts:
        (line,) = [line for line in lines if part in line]
        assert line.startswith("wsplug: ")
    assert "good: tcp:0:interface=127.0.0.1\n" in finished.out
    assert "Traceback" not in finished.out + finished.err


@pytest.mark.slow
def test_beside_a_running_one(tmp_path: Path) -> None:
    """With --no-listen, the configuration of a running server can be checked."""
    with serve(tmp_path) as server:
        where = ["--app=echo", f"--port={server.port}", f"--interface={HOST}"]
        assert check(tmp_path, *where).status == 1
        finished = check(tmp_path, *where, "--no-listen")
        assert finished.status == 0
        assert "(not listened on)\n" in finished.out
        assert "Traceback" not in server.log


@pytest.mark.slow
def test_nothing_given(tmp_path: Path) -> None:
    """Parts that can't be checked before an earlier mistake is corrected are listed,
    too.
    """
    finished = check(tmp_path)
    assert finished.status == 1
    assert "no application to serve" in finished.err
    assert finished.out.startswith("note: more may be wrong")


@pytest.mark.slow
def test_null(tmp_path: Path) -> None:
    """An origin that any page can have causes a note, as in the server's log."""
    finished = check(tmp_path, "--app=echo", "--origin=null", "--no-listen")
    assert finished.status == 0
    assert "note: --origin null lets every page connect" in finished.out


@pytest.mark.slow
def test_descriptors(tmp_path: Path) -> None:
    """Too few descriptors cause a note only, since the server starts anyway."""
    command = ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh", WSPLUG, "check"]
    with Process([*command, "--app=echo", "--port=0"], tmp_path) as process:
        finished = process.finish()
    assert finished.status == 0
    assert "note: max-connections is 192 instead of 10000, " in finished.out


@pytest.mark.slow
def test_enough_descriptors(tmp_path: Path) -> None:
    """A maximum that the process can hold causes no note."""
    command = ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh", WSPLUG, "check"]
    arguments = ["--app=echo", "--port=0", "--max-connections=192"]
    with Process([*command, *arguments], tmp_path) as process:
        finished = process.finish()
    assert finished.status == 0
    assert "note" not in finished.out


@pytest.mark.slow
def test_broker_without_rights(tmp_path: Path) -> None:
    """A folder or file that isn't writable is reported."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.geteuid() != 0:
        missing("root, and setpriv from util-linux")
    (tmp_path / "broker").touch()
    (tmp_path / "broker").chmod(0o444)
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    user = [setpriv, *NOBODYS]
    words = [WSPLUG, "check", "--app=echo", "--port=0", "--broker=sqlite:broker"]
    with Process([*user, *words], tmp_path) as process:
        finished = process.finish()
    assert finished.status == 1
    assert "--broker sqlite:broker: can't write to" in finished.err


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    """--version, --help, and an unknown command."""
    for words, status in ((["--version"], 0), (["--help"], 0), (["-h"], 0)):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == status
        printed = capsys.readouterr().out
        first = f"wsplug {wsplug.__version__} (codec: "
        assert printed.startswith(first if words == ["--version"] else "Usage: wsplug")
    for words in ([], ["serve"]):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert str(caught.value.code).startswith("Usage: wsplug check")


def test_same_options() -> None:
    """It accepts the options of twistd wsplug, and --no-listen."""
    from wsplug.tap import Options

    mine = set(CheckOptions(MemoryReactorClock()).longOpt)
    assert mine == {*Options(MemoryReactorClock()).longOpt, "no-listen"}


def test_fewer_hidden() -> None:
    """An error in the parsing itself is reported with the others."""
    options = CheckOptions(MemoryReactorClock())
    options.parseOptions(["--max-headers=x", "--app=echo", "--origin=nonsense"])
    assert [type(error) for error in options.errors]
    assert all(isinstance(error, ConfigurationError) for error in options.errors)
    assert len(options.errors) == 2
