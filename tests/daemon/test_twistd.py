"""C{twistd}'s own options: pidfiles, logs, users, and mistakes in them, as a user
sees them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.command.test_mistakes import Preloaded
from tests.conftest import missing
from tests.processes import (
    HOST,
    TCP,
    TWISTD,
    Process,
    checkEcho,
    portOf,
    runTwistd,
    serve,
    upgrade,
    waitUntil,
)

pytestmark = pytest.mark.costly

NOBODY = 65534

NOBODYS = (
    *(f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=+dac_read_search",
)
"""Arguments for setpriv that run a program of root's without privileges.

It may read its own code wherever that is, but nothing else.
"""


def checkLine(finished: tuple[int, str, str], *parts: str) -> None:
    """Check that there is one line on standard error, status 1, and no traceback
    anywhere.
    """
    status, out, err = finished
    assert err.startswith("wsplug: "), finished
    assert err.count("\n") == 1, finished
    for part in parts:
        assert part in err
    assert status == 1
    assert "Traceback" not in out + err


def addressOf(log: Path) -> str:
    (line,) = [
        line for line in log.read_text("utf-8").splitlines() if "listening on" in line
    ]
    return line.rpartition(" ")[2]


@contextmanager
def daemon(folder: Path, *twistd: str, listen: str = TCP) -> Iterator[int]:
    """Start a daemon; its pidfile is C{pid}, its log C{log}.

    @return: its process ID.
    """
    started = runTwistd(
        folder,
        *("--pidfile=pid", "--logfile=log", *twistd),
        *("wsplug", "--app=echo", f"--listen={listen}"),
    )
    assert started == (0, "", "")
    pid = int((folder / "pid").read_text("ascii"))
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        log = folder / "log"
        waitUntil(lambda: "Server Shut Down" in log.read_text("utf-8"), "it ends")


def root() -> None:
    """These tests need root."""
    if os.geteuid() != 0:
        missing("root's rights")


# Pidfiles


@pytest.mark.slow
def test_stale_pidfile(tmp_path: Path) -> None:
    """The process in the pidfile is gone: the daemon starts."""
    with Process([sys.executable, "-c", ""], tmp_path) as gone:
        gone.finish()
    (tmp_path / "pid").write_text(str(gone.pid), "ascii")
    with daemon(tmp_path) as pid:
        assert pid != gone.pid


def test_empty_pidfile(tmp_path: Path) -> None:
    """A full disk or a power failure has left an empty pidfile: the daemon starts."""
    (tmp_path / "pid").write_text("", "ascii")
    with daemon(tmp_path) as pid:
        assert pid


def test_pid_of_something_else(tmp_path: Path) -> None:
    """The process ID now belongs to another program: the daemon starts."""
    with Process(["sleep", "600"], tmp_path) as other:
        (tmp_path / "pid").write_text(f"{other.pid}\n", "ascii")
        with daemon(tmp_path) as pid:
            assert pid != other.pid
        assert not other.ended


@pytest.mark.everyday
def test_second_start(tmp_path: Path) -> None:
    """A running server is named, and left alone."""
    with daemon(tmp_path) as pid:
        log = (tmp_path / "log").read_bytes()
        second = runTwistd(
            tmp_path,
            *("--pidfile=pid", "--logfile=log", "wsplug"),
            *("--app=echo", f"--listen={TCP}"),
        )
        checkLine(second, f"already runs as process {pid} (pid")
        assert (tmp_path / "log").read_bytes() == log
        checkEcho(portOf(addressOf(tmp_path / "log")))


def test_port_of_a_living_one(tmp_path: Path) -> None:
    """With another pidfile, but the same port, the line gives the whole reason."""
    with daemon(tmp_path):
        address = addressOf(tmp_path / "log")
        listen = f"tcp:{portOf(address)}:interface={HOST}"
        second = runTwistd(
            tmp_path,
            *("--pidfile=pid2", "--logfile=log2", "wsplug"),
            *("--app=echo", f"--listen={listen}"),
        )
        checkLine(second, f"can't listen on {listen}: Address already in use")
        waitUntil(lambda: not (tmp_path / "pid2").exists(), "its pidfile is gone")


@pytest.fixture(scope="module")
def preloaded() -> Iterator[Preloaded]:
    """
    A fast C{twistd}.
    """
    process = Preloaded()
    yield process
    process.end()


MISTAKES = {
    "no number": (["--pidfile=words"], "words (--pidfile) has no process ID"),
    "no folder for the pidfile": (["--pidfile=no/pid"], "no folder"),
    "pidfile is a folder": (["--pidfile=folder"], "folder (--pidfile)"),
    "no folder for the log": (["--logfile=no/log"], "for no/log (--logfile)"),
    "log is a folder": (["--logfile=folder"], "folder (--logfile) is a folder"),
    "no rundir": (["--rundir=no"], "there is no folder no (--rundir)"),
    "user without a group": (["--uid=54321"], "no user 54321 (--uid)"),
}


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("daemonizes", [True, False], ids=["daemon", "foreground"])
def test_mistake(
    name: str, daemonizes: bool, preloaded: Preloaded, tmp_path: Path
) -> None:
    """A mistake in twistd's own options is one line, too."""
    if "user" in name:
        root()
    (tmp_path / "words").write_text("a few words", "ascii")
    (tmp_path / "folder").mkdir()
    options, words = MISTAKES[name]
    first = [] if daemonizes else ["-n"]
    usual = [] if "--pidfile" in options[0] else ["--pidfile=pid"]
    finished = preloaded.run(
        tmp_path, *first, *usual, *options, "wsplug", "--app=echo", f"--listen={TCP}"
    )
    checkLine(finished, words)
    assert not (tmp_path / "twistd.log").exists()


def openTo(folder: Path) -> None:
    """Make a folder's contents readable by everyone."""
    for each in (folder, *folder.parents):
        if each == Path(tempfile.gettempdir()):
            break
        each.chmod(0o755)


def asNobody(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run C{twistd} as an unprivileged user."""
    root()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        missing("setpriv, from util-linux")
    openTo(folder)
    command = [setpriv, *NOBODYS, TWISTD, *arguments]
    with Process(command, folder) as process:
        return process.finish()


RIGHTS = {
    "pidfile": (["--pidfile=pid"], "can't write to", "(--pidfile): Permission denied"),
    "log": (
        ["--pidfile=", "--logfile=log"],
        "can't write to",
        "(--logfile): Permission denied",
    ),
    "uid": (["-n", "--pidfile=", "--uid=0"], "only root can start with --uid=0", ""),
    "chroot": (["-n", "--pidfile=", "--chroot=/"], "only root", "--chroot"),
    "port": (
        ["-n", "--pidfile="],
        "can't listen on port 81 of 127.0.0.1: Permission denied; ports below 1024 "
        "need root (twistd --uid drops its privileges) or the capability "
        "CAP_NET_BIND_SERVICE",
        "",
    ),
}


@pytest.mark.parametrize(
    "name",
    [
        name if name == "log" else pytest.param(name, marks=pytest.mark.slow)
        for name in RIGHTS
    ],
)
def test_without_rights(name: str, tmp_path: Path) -> None:
    """If the user lacks a permission, the error says which one, and which option
    needs it.
    """
    limit = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if name == "port" and (not limit.exists() or int(limit.read_text("ascii")) < 82):
        pytest.skip("anybody may listen on any port here")
    options, *parts = RIGHTS[name]
    finished = asNobody(
        tmp_path, *options, "wsplug", "--app=echo", "--port=81", f"--interface={HOST}"
    )
    checkLine(finished, *parts)


# Users


def test_low_port_and_no_rights(tmp_path: Path) -> None:
    """As root, it binds a low port, then switches to another user for good.

    Files created from then on belong to that user, and no other user can read the
    broker's.
    """
    root()
    user = pwd.getpwuid(NOBODY)
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, user.pw_uid, user.pw_gid)
    openTo(tmp_path)
    port = 611
    started = runTwistd(
        tmp_path,
        *("--pidfile=pid", "--logfile=log", f"--uid={user.pw_name}"),
        *(f"--gid={user.pw_gid}", "--umask=027", "wsplug", "--app=echo"),
        *(f"--listen=tcp:{port}:interface={HOST}", f"--broker=sqlite:{data}/broker"),
    )
    assert started == (0, "", "")
    pid = int((tmp_path / "pid").read_text("ascii"))
    try:
        checkEcho(port)
        lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
        (uids,) = [line.split()[1:] for line in lines if line.startswith("Uid:")]
        (gids,) = [line.split()[1:] for line in lines if line.startswith("Gid:")]
        assert uids == [str(user.pw_uid)] * 4
        assert gids == [str(user.pw_gid)] * 4
        status = (data / "broker").stat()
        assert (status.st_uid, status.st_gid) == (user.pw_uid, user.pw_gid)
        assert status.st_mode & 0o777 == 0o600
    finally:
        os.kill(pid, signal.SIGTERM)
        log = tmp_path / "log"
        waitUntil(lambda: "Server Shut Down" in log.read_text("utf-8"), "it ends")


# Logs


@pytest.mark.slow
def test_rotation(tmp_path: Path) -> None:
    """SIGUSR1 starts a new log: the old one gets a number."""
    with daemon(tmp_path) as pid:
        port = portOf(addressOf(tmp_path / "log"))
        os.kill(pid, signal.SIGUSR1)
        waitUntil((tmp_path / "log.1").exists, "it is rotated")
        waitUntil((tmp_path / "log").exists, "there is a new one")
        checkEcho(port)
        waitUntil(
            lambda: "echo: closed" in (tmp_path / "log").read_text("utf-8"),
            "it is written to",
        )
        assert "listening on" in (tmp_path / "log.1").read_text("utf-8")


# The process that starts a daemon

LATER = """
import os
from twisted.internet import reactor, task
from zope.interface import implementer
from wsplug.interfaces import IWebSocketApplication


@implementer(IWebSocketApplication)
class Application:
    pages = None
    subprotocols = ()

    def __init__(self, end):
        self.end = end

    async def startApplication(self):
        while not os.path.exists("go"):
            await task.deferLater(reactor, 0.01)
        self.end()

    def stopApplication(self):
        pass

    def buildProtocol(self, request):
        pass


def fail():
    raise OSError("no database: " + "very long " * 20 + "story")


fails = Application(fail)
dies = Application(lambda: os._exit(3))
starts = Application(lambda: None)
"""


@pytest.mark.parametrize(
    ("app", "line"),
    [
        (
            "fails",
            "wsplug: the application fails did not start: no database: "
            + "very long " * 20
            + "story\n",
        ),
        pytest.param(
            "dies",
            "wsplug: the daemon ended before it was up; its log may say why\n",
            marks=pytest.mark.slow,
        ),
        pytest.param("starts", "", marks=pytest.mark.slow),
    ],
)
def test_waits_for_the_applications(app: str, line: str, tmp_path: Path) -> None:
    """The command that starts a daemon ends when the applications have started, or
    with the error that prevents it.
    """
    (tmp_path / "later.py").write_text(LATER, "utf-8")
    command = [
        *(TWISTD, "--pidfile=pid", "--logfile=log", "wsplug"),
        *(f"--app=later.py:{app}", f"--listen={TCP}"),
    ]
    pidfile = tmp_path / "pid"
    with Process(command, tmp_path) as process:
        log = tmp_path / "log"
        waitUntil(lambda: log.exists() and "codec" in log.read_text(), "it runs")
        pid = int(pidfile.read_text("ascii"))
        assert not process.ended
        (tmp_path / "go").touch()
        finished = process.finish()
    assert finished == (1 if line else 0, "", line)
    if app == "starts":
        os.kill(pid, signal.SIGTERM)
    if app != "dies":
        waitUntil(lambda: not pidfile.exists(), "it has ended")


@pytest.mark.slow
def test_interrupted_while_it_waits(tmp_path: Path) -> None:
    """Ctrl-C ends the waiting command; the daemon goes on."""
    (tmp_path / "later.py").write_text(LATER, "utf-8")
    command = [
        *(TWISTD, "--pidfile=pid", "--logfile=log", "wsplug"),
        *("--app=later.py:starts", f"--listen={TCP}"),
    ]
    with Process(command, tmp_path) as process:
        log = tmp_path / "log"
        waitUntil(lambda: log.exists() and "codec" in log.read_text(), "it runs")
        pid = int((tmp_path / "pid").read_text("ascii"))
        process.signal(signal.SIGINT)
        assert process.wait() == 1
        (tmp_path / "go").touch()
        # It answers once the application has started.
        with socket.create_connection((HOST, portOf(addressOf(log))), 60) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 426"
        os.kill(pid, signal.SIGTERM)
    waitUntil(lambda: not (tmp_path / "pid").exists(), "it has ended")


@pytest.mark.slow
def test_second_interrupt(tmp_path: Path) -> None:
    """In the foreground, a second Ctrl-C ends it at once, without a traceback."""
    arguments = ("--stop-timeout=1h", "--close-timeout=1h")
    with serve(tmp_path, *arguments) as server, upgrade(server.port):
        server.signal(signal.SIGINT)
        server.waitForLog("closing 1 connections")
        server.signal(signal.SIGINT)
        assert server.wait() == -signal.SIGINT
        assert "SIGINT again" in server.log
        assert "Traceback" not in server.log + server.err
