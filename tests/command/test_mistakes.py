"""A user's mistake results in one line that describes it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import HOST, TWISTD, Finished, Process, runTwistd, waitUntil

FILES = {
    "syntax.py": "x = 1\ndef (\n",
    "raises.py": "x = 1\nraise RuntimeError('no\\nway')\n",
    "empty.py": "x = 1\n",
    "two.py": (
        "from wsplug import WebSocketProtocol, application\n"
        "one = application('one')(type('one', (WebSocketProtocol,), {}))\n"
        "two = application('two')(type('two', (WebSocketProtocol,), {}))\n"
    ),
    "needs.py": "import nothing_of_that_name\n",
    "starts.py": """
from twisted.internet.task import deferLater
from zope.interface import implementer

from wsplug.interfaces import IWebSocketApplication


@implementer(IWebSocketApplication)
class Fails:
    subprotocols = ()
    pages = None

    def buildProtocol(self, request):
        return None

    def startApplication(self):
        raise RuntimeError("no database")

    def stopApplication(self):
        print("stopped, but never started")


class FailsLater(Fails):
    async def startApplication(self):
        from twisted.internet import reactor
        await deferLater(reactor, 0.1)
        raise RuntimeError("no database")


atOnce = Fails()
later = FailsLater()
""",
    "syntax.toml": 'port = 9000\napp = "echo\n',
    "unknown.toml": 'prot = 9000\napp = "echo"\n',
    "value.toml": 'port = "x"\napp = "echo"\n',
    "list.toml": 'max-message-size = [1]\napp = "echo"\n',
    "option.toml": '[[app]]\nuse = "echo"\nnothere = 1\n',
    "path.toml": '[[app]]\nuse = "echo"\npath = "x"\n',
    "nameless.toml": '[[app]]\nname = "echo"\n',
    "table.toml": "[server]\nport = 1\n",
    "binary.toml": "\0\n",
}
"""
The files in the working directory.
"""

ECHO = "--app=echo"

MISTAKES: dict[str, tuple[list[str], list[str]]] = {
    # Applications
    "no application": ([], ["no application to serve", "--app NAME", "--list-apps"]),
    "application": (["--app=ech"], ["'ech'", "did you mean 'echo'?"]),
    "another application": (["--app=zzz"], ["'zzz'", "available:", "echo"]),
    "no name": (["--app="], ["name is missing"]),
    "option": (["--app=echo:colour=red"], ["--app echo:", "'colour'"]),
    "option without value": (["--app=echo:a=b:c"], ["key=value", "option 2", r"\:"]),
    "option twice": (["--app=echo:path=/a:path=/b"], ["options 1 and 2", "same name"]),
    "mount option": (["--app=echo:compression=maybe"], ["yes or no", "'maybe'"]),
    "path": (["--app=echo:path=x"], ["path", "'x'"]),
    "same path": ([ECHO, ECHO], ["/echo", "path="]),
    "same path, said": (
        ["--app=echo:path=/a", "--app=echo:path=/a/"],
        ["mounted at /a;"],
    ),
    "attribute of a plugin": (["--app=echo:loud"], ["no module 'echo'"]),
    "missing file": (["--app=there/is/none.py"], ["no file 'there/is/none.py'"]),
    "syntax": (["--app=syntax.py"], ["syntax.py", "invalid syntax", "line 2"]),
    "raising file": (["--app=raises.py"], ["RuntimeError: no way", "line 2"]),
    "empty file": (["--app=empty.py"], ["empty.py has no application"]),
    "several in a file": (["--app=two.py"], ["two.py:one or two.py:two"]),
    "none of that name in a file": (
        ["--app=two.py:six"],
        ["two.py has no 'six'; it has 'one' and 'two'"],
    ),
    "imports what is missing": (["--app=needs.py"], ["'nothing_of_that_name'"]),
    "module": (["--app=there.is.none:x"], ["no module 'there'"]),
    "module's attribute": (["--app=os:nothing"], ["os has no 'nothing'"]),
    "not an application": (["--app=os:path"], ["os:path is not an application"]),
    "module that needs another": (["--app=needs:x"], ["'nothing_of_that_name'"]),
    # Options
    "port": ([ECHO, "--port=x"], ["port takes", "65535", "'x'"]),
    "high port": ([ECHO, "--port=65536"], ["port takes", "65535", "'65536'"]),
    "size": ([ECHO, "--max-message-size=lots"], ["max-message-size", "'lots'"]),
    "time": ([ECHO, "--ping-interval=0"], ["ping-interval takes", "'off'", "'0'"]),
    "origin": ([ECHO, "--origin=example.org"], ["origin:", "'example.org'"]),
    "unknown option": ([ECHO, "--prot=1"], ["--prot"]),
    "option's value": ([ECHO, "--port"], ["--port"]),
    "argument": ([ECHO, "extra"], ["unexpected argument 'extra'", "--app"]),
    # Authentication
    "auth": ([ECHO, "--auth=fil:x"], ["auth: there is no 'fil'", "'file'"]),
    "passwords": ([ECHO, "--auth=file:none"], ["auth file:", "none: No such file"]),
    "tokens": ([ECHO, "--auth=token:none"], ["auth token:", "none: No such file"]),
    "signed tokens": ([ECHO, "--auth=jwt:key=none"], ["auth jwt:", "'algorithm'"]),
    "cookie": ([ECHO, "--auth-cookie=a"], ["auth-cookie goes with auth"]),
    # Listening
    "listen": ([ECHO, "--listen=carrier:pigeon"], ["'carrier:pigeon'", "'carrier'"]),
    "listen's port": ([ECHO, "--listen=tcp:x"], ["'tcp:x'"]),
    "interface": (
        [ECHO, "--listen=tcp:0", f"--interface={HOST}"],
        ["interface goes with port"],
    ),
    "certificate": (
        [ECHO, "--listen=ssl:0:privateKey=none.pem"],
        ["No such file", "none.pem"],
    ),
    "port in use": ([ECHO, "--port=PORT", f"--interface={HOST}"], ["in use", "PORT"]),
    "endpoint in use": (
        [ECHO, f"--listen=tcp:PORT:interface={HOST}"],
        [f"tcp:PORT:interface={HOST}", "in use"],
    ),
    "second endpoint in use": (
        [
            ECHO,
            f"--listen=tcp:0:interface={HOST}",
            f"--listen=tcp:PORT:interface={HOST}",
        ],
        ["in use"],
    ),
    "interface that isn't here": (
        [ECHO, "--port=0", "--interface=203.0.113.5"],
        ["203.0.113.5"],
    ),
    "folder of the socket": (
        [ECHO, "--listen=unix:there/is/none"],
        ["unix:there/is/none", "No such file"],
    ),
    # The configuration file
    "missing configuration": (["--config=none.toml"], ["none.toml", "No such file"]),
    "configuration's syntax": (["--config=syntax.toml"], ["syntax.toml", "line 2"]),
    "not even text": (["--config=binary.toml"], ["binary.toml is not TOML"]),
    "a folder": (["--config=."], ["can't read ."]),
    "unknown key": (["--config=unknown.toml"], ["'prot'", "did you mean 'port'?"]),
    "unknown table": (["--config=table.toml"], ["table.toml", "table 'server'"]),
    "value": (["--config=value.toml"], ["value.toml: port takes", "'x'"]),
    "list": (["--config=list.toml"], ["list.toml: max-message-size"]),
    "application's option": (["--config=option.toml"], ["echo", "'nothere'"]),
    "application's path": (["--config=path.toml"], ["echo", "path", "'x'"]),
    "application's name": (["--config=nameless.toml"], ["table 1", "'use'"]),
}
"""By name: the arguments, and what the line contains. PORT is a port in use."""


def write(folder: Path) -> None:
    """Create the working directory."""
    for name, content in FILES.items():
        (folder / name).write_text(content, "utf-8")


@pytest.fixture(scope="module")
def taken() -> Iterator[int]:
    """
    A port that is in use.
    """
    with socket.create_server((HOST, 0)) as listener:
        yield listener.getsockname()[1]


class Preloaded:
    """
    Runs C{twistd} many times: see C{preloaded.py}.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.command.preloaded"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, folder: Path, *arguments: str) -> Finished:
        """Run it once in a folder."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps([str(folder), arguments]) + "\n")
        stdin.flush()
        watch = threading.Timer(60, self._process.kill)
        watch.start()
        status = stdout.readline()
        watch.cancel()
        assert status, "it doesn't end"
        out, err = (folder / name for name in ("stdout", "stderr"))
        return Finished(int(status), out.read_text("utf-8"), err.read_text("utf-8"))

    def end(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def preloaded() -> Iterator[Preloaded]:
    """
    A fast C{twistd}.
    """
    process = Preloaded()
    yield process
    process.end()


def checkLine(finished: Finished, *parts: str) -> None:
    """Check that the command ended with status 1 and one line on standard error,
    without a traceback.
    """
    assert finished.err.startswith("wsplug: "), finished
    assert finished.err.count("\n") == 1, finished
    assert finished.err.endswith("\n"), finished
    for part in parts:
        assert part in finished.err
    assert finished.status == 1


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name: str, preloaded: Preloaded, taken: int, tmp_path: Path) -> None:
    """
    Each mistake is one line on standard error that begins with "wsplug: " and says
    what is wrong, and exit status 1.
    """
    write(tmp_path)
    arguments, parts = (
        [word.replace("PORT", str(taken)) for word in words] for words in MISTAKES[name]
    )
    finished = preloaded.run(tmp_path, "-n", "--pidfile=", "wsplug", *arguments)
    checkLine(finished, *parts)
    assert "Traceback" not in finished.out + finished.err


@pytest.mark.parametrize("name", ["atOnce", "later"])
def test_startFails(name: str, tmp_path: Path) -> None:
    """If an application fails to start, at once or later, the server ends with one
    line. The traceback, which is the application's, is only in the log. An application
    that never started isn't stopped.
    """
    write(tmp_path)
    listen = f"--listen=tcp:0:interface={HOST}"
    app = f"--app=starts.py:{name}"
    finished = runTwistd(tmp_path, "-n", "--pidfile=", "wsplug", app, listen)
    checkLine(finished, f"the application {name} did not start: no database")
    assert finished.out.count("Traceback") == 1
    assert "never started" not in finished.out


def test_privilegedPort(tmp_path: Path) -> None:
    """A port below 1024 that the user may not use is one line, too."""
    limit = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if sys.platform != "linux" or int(limit.read_text("ascii")) < 1024:
        pytest.skip("anybody may listen on any port here")
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("without setpriv it isn't known who may")
    # Without this capability, root has no more rights than other users.
    without = "-net_bind_service"
    command = [
        *(setpriv, f"--bounding-set={without}", f"--inh-caps={without}"),
        *(TWISTD, "-n", "--pidfile=", "wsplug"),
        *(ECHO, "--port=81", f"--interface={HOST}"),
    ]
    with Process(command, tmp_path) as process:
        finished = process.finish()
    if "Operation not permitted" in finished.err:
        command = command[3:]  # setpriv itself needs rights; this user has none anyway
        with Process(command, tmp_path) as process:
            finished = process.finish()
    checkLine(finished, "port 81", "Permission denied")


def test_daemonLine(tmp_path: Path) -> None:
    """A mistake in the arguments is reported before the process becomes a daemon:
    the same line, and neither pidfile nor log.
    """
    finished = runTwistd(
        tmp_path, "--pidfile=pid", "--logfile=log", "wsplug", "--app=ech"
    )
    checkLine(finished, "'ech'")
    assert not (tmp_path / "pid").exists()
    assert not (tmp_path / "log").exists()


def test_daemonCantListen(tmp_path: Path, taken: int) -> None:
    """A daemon that can't listen reports it to the process that started it by
    Twisted's means: exit status 1 and a message. The reason is in its log, and its
    pidfile is removed.
    """
    finished = runTwistd(
        tmp_path,
        "--pidfile=pid",
        "--logfile=log",
        "wsplug",
        ECHO,
        f"--listen=tcp:{taken}:interface={HOST}",
    )
    assert finished.status == 1
    reason = f"can't listen on tcp:{taken}:interface={HOST}: Address already in use"
    assert reason in finished.err
    assert "Traceback" not in finished.out + finished.err
    assert not (tmp_path / "pid").exists()
    log = tmp_path / "log"
    # The process that started it hears of it before.
    waitUntil(lambda: reason in log.read_text("utf-8"), "the reason is in the log")
    assert "Traceback" not in log.read_text("utf-8")
