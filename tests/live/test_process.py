"""
Programs behind WebSockets: real ones, in real process groups, and their ends.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import socket
import ssl
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect, unix_connect

from tests.conftest import missing
from tests.live.certificates import makeCertificate
from tests.processes import HOST, PATIENCE, Server, runTwistd, serve, upgrade, waitUntil

pytestmark = [
    pytest.mark.costly,
    pytest.mark.skipif(
        sys.platform != "linux", reason="what is left of programs is read from /proc"
    ),
]

STUBBORN = """
import signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
print("here", flush=True)
while True:
    time.sleep(60)
"""

Script = Callable[[str, str], str]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """
    Writes a Python program, and gives the command that runs it.
    """

    def write(name: str, code: str) -> str:
        path = tmp_path / name
        path.write_text(code, "utf-8")
        return f"{sys.executable} -u {path}"

    return write


def app(command: str, **options: object) -> str:
    """
    Give what serves a program.
    """
    words = [f"{name.replace('_', '-')}={value}" for name, value in options.items()]
    escaped = command.replace("\\", "\\\\").replace(":", "\\:")
    return ":".join(["--app=process", f"command={escaped}", *words])


def reach(
    server: Server, path: str = "/", headers: Mapping[str, str] | None = None
) -> ClientConnection:
    """
    Connect.
    """
    url = f"ws://{HOST}:{server.port}{path}"
    return connect(url, open_timeout=PATIENCE, additional_headers=headers)


def closed(connection: ClientConnection) -> tuple[int, str]:
    """
    Read until the end, and give the close code and the reason.
    """
    try:
        while True:
            connection.recv(PATIENCE)
    except ConnectionClosed:
        return connection.close_code or 0, connection.close_reason or ""


def children(pid: int) -> set[int]:
    """
    Give the processes that a server has started, and those that these have, zombies
    too.
    """
    found: set[int] = set()
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path("/proc", entry, "stat").read_text("ascii", "replace")
            except OSError:
                continue
            parents[int(entry)] = int(stat.rpartition(")")[2].split()[1])
    more = {pid}
    while more:
        more = {child for child, parent in parents.items() if parent in more}
        found |= more
    return found


def isThere(pid: int) -> bool:
    """
    Tell whether a process runs; a zombie doesn't.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def idle(server: Server) -> None:
    """
    Wait until a server runs no program: only the guard is there.
    """
    waitUntil(lambda: len(children(server.pid)) == 1, "the guard alone is there")


def inPipe(pid: int) -> int:
    """
    Give how many bytes wait for a process to be read.
    """
    with open(f"/proc/{pid}/fd/0", "rb", buffering=0) as stdin:
        count = bytearray(4)
        fcntl.ioctl(stdin, termios.FIONREAD, count)
        return int.from_bytes(count, sys.byteorder)


@pytest.fixture(autouse=True)
def checked(tmp_path: Path) -> Iterator[None]:
    """
    No server logs a traceback.
    """
    yield
    for path in (*tmp_path.glob("stdout-*"), *tmp_path.glob("stderr-*")):
        text = path.read_text("utf-8", "replace")
        assert "Traceback" not in text
        assert "Unhandled" not in text


@pytest.fixture(params=["setsid", "python"])
def launched(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """
    A PATH with and without C{setsid}.
    """
    name: str = request.param
    if name == "python":
        folder = tmp_path / "bin"
        folder.mkdir()
        for each in ("sh", "cat", "sleep"):
            found = shutil.which(each)
            assert found is not None
            (folder / each).symlink_to(found)
        monkeypatch.setenv("PATH", str(folder))
    elif shutil.which("setsid") is None:
        missing("setsid (util-linux)")
    return name


def test_conversation(tmp_path: Path, launched: str) -> None:
    """
    With C{setsid} and without it, lines go to a program and come back; it leads a
    process group, and is gone when its client is.
    """
    with serve(tmp_path, app("cat")) as server:
        idle(server)
        before = children(server.pid)
        with reach(server) as connection:
            connection.send("hello\n<script>")
            assert connection.recv(PATIENCE) == "hello"
            assert connection.recv(PATIENCE) == "<script>"
            connection.send(b"with\xffout an end\n")
            assert connection.recv(PATIENCE) == "with\ufffdout an end"
            (pid,) = children(server.pid) - before
            assert os.getpgid(pid) == pid
            assert os.getsid(pid) == pid
        waitUntil(lambda: children(server.pid) == before, "it is gone")
        assert server.stop() == 0


def test_last_words(tmp_path: Path, script: Script) -> None:
    """
    All that a program prints before its end comes before the close, however much.
    """
    command = script(
        "prints.py",
        "import sys\n"
        "for n in range(20000): print(n, 'x' * 100)\n"
        "sys.stdout.write('no end')\n"
        "sys.exit(3)\n",
    )
    with serve(tmp_path, app(command)) as server, reach(server) as connection:
        lines = [str(connection.recv(PATIENCE)) for _ in range(20001)]
        assert [line.split()[0] for line in lines[:-1]] == [
            str(n) for n in range(20000)
        ]
        assert lines[-1] == "no end"
        assert closed(connection) == (1011, "the program ended with status 3")


def test_ends(tmp_path: Path, script: Script) -> None:
    """
    Programs that end by themselves: at once without reading, and by a signal.
    """
    segfault = script("segfault.py", "import os\nos.kill(os.getpid(), 11)\n")
    with serve(
        tmp_path,
        app("true") + ":path=/true",
        app("false") + ":path=/false",
        app(segfault) + ":path=/segfault",
    ) as server:
        for path, expected in (
            ("/true", (1000, "the program has ended")),
            ("/false", (1011, "the program ended with status 1")),
            ("/segfault", (1011, "the program was ended by SIGSEGV")),
        ):
            with reach(server, path) as connection:
                with suppress(ConnectionClosed):
                    connection.send("x" * 100_000)
                assert closed(connection) == expected


def test_environment(tmp_path: Path, script: Script) -> None:
    """
    A program has the request in its environment, and of the server's nothing but what
    is named.
    """
    command = script(
        "env.py",
        "import os\n"
        "for name in sorted(os.environ): print(name + '=' + os.environ[name])\n",
    )
    with (
        serve(
            tmp_path,
            app(command, env="PATH,GIVEN") + ":path=/env",
            environment={"GIVEN": "1", "SECRET": "2", "HTTP_PROXY": "http://evil"},
        ) as server,
        reach(
            server,
            "/env/a%20b?x=1&y=%2F",
            headers={
                "Proxy": "http://evil",
                "Authorization": "Basic c2VjcmV0",
                "Cookie": "id=7",
                "X-Two": "words",
                "X_Two": "spoofed",
            },
        ) as connection,
    ):
        variables = dict(line.split("=", 1) for line in read(connection))
        assert variables.pop("PATH") == os.environ["PATH"]
        assert variables.pop("GIVEN") == "1"
        assert variables.pop("REMOTE_PORT").isdigit()
        variables.pop("LC_CTYPE", None)  # Python's own doing
        headers = {name for name in variables if name.startswith("HTTP_")}
        assert {"HTTP_COOKIE", "HTTP_HOST", "HTTP_X_TWO"} <= headers
        assert not {"HTTP_PROXY", "HTTP_AUTHORIZATION"} & headers
        assert variables["HTTP_X_TWO"] == "words"
        assert {name: variables[name] for name in variables if name not in headers} == {
            "GATEWAY_INTERFACE": "CGI/1.1",
            "PATH_INFO": "/a b",
            "QUERY_STRING": "x=1&y=%2F",
            "REMOTE_ADDR": HOST,
            "REQUEST_METHOD": "GET",
            "REQUEST_URI": "/env/a%20b?x=1&y=%2F",
            "SCRIPT_NAME": "/env",
            "SERVER_NAME": HOST,
            "SERVER_PORT": str(server.port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_SOFTWARE": variables["SERVER_SOFTWARE"],
        }


def read(connection: ClientConnection) -> list[str]:
    """
    Read all lines until the end.
    """
    lines = []
    with suppress(ConnectionClosed):
        while True:
            lines.append(str(connection.recv(PATIENCE)))
    return lines


def test_environment_of_transports(tmp_path: Path) -> None:
    """
    Over TLS a program knows that, over a UNIX socket there is no address; and it has no
    file of the server's open.
    """
    certificate, key = makeCertificate(tmp_path, HOST)
    path = tmp_path / "socket"
    listen = (
        f"ssl:0:interface={HOST}:privateKey={key}:certKey={certificate}",
        f"unix:{path}",
    )
    trust = ssl.create_default_context(cafile=str(certificate))
    code = (
        "echo $HTTPS-$REMOTE_ADDR-$REMOTE_PORT-$SERVER_NAME-$SERVER_PORT;"
        "echo /proc/self/fd/*"
    )
    with serve(tmp_path, app(code, shell="yes"), listen=listen) as server:
        url = f"wss://{HOST}:{server.port}/"
        with connect(url, ssl=trust, open_timeout=PATIENCE) as connection:
            line, files = read(connection)
            assert re.fullmatch(rf"on-{HOST}-[0-9]+-{HOST}-{server.port}", line)
            numbers = {int(name.rpartition("/")[2]) for name in files.split()}
            assert {0, 1, 2} <= numbers
            # The shell's own, for the folder that it looks into.
            assert len(numbers) <= 4
        with unix_connect(str(path), "ws://there/") as connection:
            assert read(connection)[0] == "---there-80"


def test_shell_and_directory(tmp_path: Path) -> None:
    """
    With shell=yes the command is the shell's; it works in the directory that is named.
    """
    folder = tmp_path / "work"
    folder.mkdir()
    command = app("pwd; echo $((1+1)); exit 4", shell="yes", directory=folder)
    with serve(tmp_path, command) as server, reach(server) as connection:
        assert connection.recv(PATIENCE) == str(folder)
        assert connection.recv(PATIENCE) == "2"
        assert closed(connection) == (1011, "the program ended with status 4")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["close", "quit", "drop"])
def test_stubborn_family(
    tmp_path: Path, script: Script, how: str, launched: str
) -> None:
    """
    A program that ignores the end of its input and SIGTERM, and its children that do
    too, are gone after the deadlines, whichever way the client leaves.
    """
    stubborn = script("stubborn.py", STUBBORN)
    command = app(f"{stubborn} & {stubborn}; wait", shell="yes", grace=0.2)
    with serve(tmp_path, command) as server:
        with reach(server) as connection:
            connection.recv(PATIENCE)
            connection.recv(PATIENCE)
            assert len(children(server.pid)) == 4
            if how == "quit":
                connection.send("quit")
                code, reason = closed(connection)
                assert (code, reason) == (1000, "the program was ended")
            elif how == "drop":
                connection.socket.shutdown(socket.SHUT_RDWR)
        idle(server)
        assert server.stop() == 0


def test_server_ends(tmp_path: Path, script: Script, launched: str) -> None:
    """
    SIGTERM for the server: it ends stubborn programs first, with their children, and
    leaves nobody.
    """
    stubborn = script("stubborn.py", STUBBORN)
    command = app(f"{stubborn} & {stubborn}; wait", shell="yes", grace=0.3)
    with serve(tmp_path, command) as server, reach(server) as connection:
        connection.recv(PATIENCE)
        connection.recv(PATIENCE)
        family = children(server.pid)
        assert len(family) == 4
        assert server.stop() == 0
        waitUntil(lambda: not any(map(isThere, family)), "they are gone", 10)


@pytest.mark.slow
def test_last_input(tmp_path: Path) -> None:
    """
    What was sent before the server's end is still read, and the end of the input behind
    it, by a program that takes its time.
    """
    command = "echo here; sleep 1; wc -c > count"
    with (
        serve(tmp_path, app(command, shell="yes", grace=30)) as server,
        reach(server) as connection,
    ):
        connection.recv(PATIENCE)
        connection.send(b"x" * 300_000)
        pid = max(children(server.pid))
        waitUntil(lambda: inPipe(pid) == 65536, "the server has it")
        assert server.stop() == 0
        assert (tmp_path / "count").read_text("ascii").strip() == "300000"


@pytest.mark.slow
def test_server_is_killed(tmp_path: Path, script: Script, launched: str) -> None:
    """
    SIGKILL for the server: the guard ends what is left, stubborn as it may be.
    """
    stubborn = script("stubborn.py", STUBBORN)
    command = app(f"{stubborn} & {stubborn}; wait", shell="yes", grace=0.3)
    with serve(tmp_path, command) as server, reach(server) as connection:
        connection.recv(PATIENCE)
        connection.recv(PATIENCE)
        family = children(server.pid)
        assert len(family) == 4
        server.signal(signal.SIGKILL)
        server.wait()
        waitUntil(lambda: not any(map(isThere, family)), "they are gone", 10)


@pytest.mark.slow
def test_guard_is_replaced(tmp_path: Path) -> None:
    """
    A guard that was killed is replaced, and the new one knows the programs.
    """
    with serve(tmp_path, app("sleep 1000", grace=0.3)) as server, reach(server):
        waitUntil(lambda: len(children(server.pid)) == 2, "guard and program are there")
        guard, program = sorted(children(server.pid))
        os.kill(guard, signal.SIGKILL)
        server.waitForLog("the guard process has ended")
        waitUntil(lambda: len(children(server.pid)) == 2, "there is a new one")
        family = children(server.pid)
        assert guard not in family
        assert program in family
        server.signal(signal.SIGKILL)
        server.wait()
        waitUntil(lambda: not any(map(isThere, family)), "they are gone")


@pytest.mark.slow
def test_daemon_holds_output(tmp_path: Path, script: Script) -> None:
    """
    A program that leaves a daemon with its output open, in a session of its own,
    doesn't keep its connection, nor any descriptor: not by what it prints, and not by
    what it doesn't read.
    """
    daemon = script(
        "daemon.py",
        "import os, sys\n"
        "if os.fork():\n"
        "    sys.exit(0)\n"
        "os.setsid()\n"
        "print(os.getpid(), flush=True)\n"
        "import time; time.sleep(1000)\n",
    )
    with serve(tmp_path, app(daemon, grace=0.5)) as server:
        idle(server)
        before = server.descriptors()
        with reach(server) as connection:
            pid = int(connection.recv(PATIENCE))
            try:
                connection.send("x" * 300_000)
                assert closed(connection) == (1000, "the program has ended")
                idle(server)
                waitUntil(lambda: server.descriptors() <= before, "all is closed")
                assert isThere(pid)
            finally:
                os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_background_child(tmp_path: Path) -> None:
    """
    What a program leaves behind in its process group ends when it does, even where it
    has no file of it open.
    """
    command = app(
        "sleep 1000 </dev/null >/dev/null 2>&1 & echo $!", shell="yes", grace=5
    )
    with serve(tmp_path, command) as server, reach(server) as connection:
        pid = int(connection.recv(PATIENCE))
        assert closed(connection) == (1000, "the program has ended")
        waitUntil(lambda: not isThere(pid), "it is gone", 3)


def test_churn(tmp_path: Path) -> None:
    """
    A hundred clients that come and go at once leave no process, no zombie and no
    descriptor.
    """
    with serve(tmp_path, app("cat", max_programs=200)) as server:
        idle(server)
        with reach(server) as connection:
            connection.send("warm")
            connection.recv(PATIENCE)
        idle(server)
        waitUntil(lambda: "cat" in server.log, "it has logged")
        before = server.descriptors()
        for number in range(100):
            client = upgrade(server.port)
            if number % 2:
                client.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                )
            client.close()
        idle(server)
        waitUntil(lambda: server.descriptors() <= before, "all is closed")
        assert server.stop() == 0


@pytest.mark.slow
def test_endless_output(tmp_path: Path) -> None:
    """
    A program that prints without end to a client that doesn't read has to wait, and the
    server's memory stays flat.
    """
    command = "yes " + "x" * 1000
    with serve(tmp_path, app(command, grace=0.2), "--send-timeout=off") as server:
        warm = upgrade(server.port)
        warm.recv(1 << 20)
        warm.close()
        idle(server)
        before = server.memory()
        client = upgrade(server.port)
        pid = max(children(server.pid))

        def waits() -> bool:
            used = _cpu(pid)
            time.sleep(0.2)
            return _cpu(pid) == used

        try:
            waitUntil(waits, "the program waits")
            assert server.memory() - before < 8 * 1024 * 1024
            # It goes on when the client reads.
            received = 0
            while received < 50_000_000:
                received += len(client.recv(1 << 20))
            assert server.memory() - before < 8 * 1024 * 1024
        finally:
            client.close()
        idle(server)


def _cpu(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.slow
def test_flood_of_input(tmp_path: Path) -> None:
    """
    A client that sends to a program that doesn't read is not read from, and the
    server's memory stays flat.
    """
    with serve(tmp_path, app("sleep 1000", grace=0.2)) as server:
        idle(server)
        client = upgrade(server.port)
        client.setblocking(False)
        before = server.memory()
        frame = b"\x82\xfe\xff\xff\0\0\0\0" + b"x" * 65535
        sent, last = 0, time.monotonic()
        rest = frame
        while time.monotonic() - last < 0.5:
            assert sent < 50_000_000
            try:
                count = client.send(rest)
            except BlockingIOError:
                time.sleep(0.01)
                continue
            rest, sent, last = rest[count:] or frame, sent + count, time.monotonic()
        assert server.memory() - before < 8 * 1024 * 1024
        client.close()
        assert server.stop() == 0


def test_too_many(tmp_path: Path) -> None:
    """
    One program too many is refused with 503, when to come back, and why.
    """
    with serve(tmp_path, app("cat", max_programs=1)) as server, reach(server):
        with pytest.raises(InvalidStatus) as refused:
            reach(server)
        response = refused.value.response
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "5"
        assert b"1 programs are running, the maximum" in (response.body or b"")


@pytest.mark.slow
def test_stderr(tmp_path: Path) -> None:
    """
    Standard error goes to the log, escaped and no faster than is good for it; or to the
    client.
    """
    with serve(
        tmp_path,
        app("printf 'bad\\033[31m\\n' >&2; yes >&2", shell="yes", grace=0.2)
        + ":path=/log",
        app("echo wrong >&2", shell="yes", stderr="client") + ":path=/client",
    ) as server:
        with reach(server, "/log"):
            server.waitForLog("bad\\x1b[31m")
            size = len(server.log)
            time.sleep(0.3)
            assert len(server.log) - size < 20_000
        with reach(server, "/client") as connection:
            assert connection.recv(PATIENCE) == "wrong"


@pytest.mark.everyday
def test_shared(tmp_path: Path) -> None:
    """
    A program that all share: what one sends all get, and who comes late gets the last.
    """
    with (
        serve(tmp_path, app("cat", mode="shared", backlog=2)) as server,
        reach(server) as one,
        reach(server) as two,
    ):
        for line in ("a", "b", "c"):
            one.send(line)
            assert one.recv(PATIENCE) == two.recv(PATIENCE) == line
        with reach(server) as late:
            assert [late.recv(PATIENCE), late.recv(PATIENCE)] == ["b", "c"]
            late.send("quit")
            assert closed(late) == (1000, "")
        one.send("still there")
        assert two.recv(PATIENCE) == "still there"
        assert server.stop() == 0


def test_shared_slow_client(tmp_path: Path, script: Script) -> None:
    """
    A client that doesn't read is closed with 1013, and holds up neither the program nor
    the others; the server's memory stays flat.
    """
    command = script(
        "prints.py",
        "import sys\n"
        "for line in sys.stdin:\n"
        "    for n in range(100): print('x' * 10000)\n"
        "    print('done')\n",
    )
    with serve(tmp_path, app(command, mode="shared")) as server:
        slow = upgrade(server.port)
        with reach(server) as fast:

            def ask() -> None:
                fast.send("more")
                while fast.recv(PATIENCE) != "done":
                    pass

            ask()
            before = server.memory()
            for _ in range(20):  # more than the system has room for
                ask()
            assert server.memory() - before < 8 * 1024 * 1024
        last = b""
        while data := slow.recv(1 << 20):
            last = (last + data)[-200:]
            if b"\x03\xf5does not read" in last:
                break
        assert b"\x03\xf5does not read" in last
        slow.close()


@pytest.mark.slow
def test_shared_restarts(tmp_path: Path) -> None:
    """
    A shared program that fails is started again; until then clients are refused with
    the time to come back.
    """
    with serve(
        tmp_path, app("read line; exit 3", shell="yes", mode="shared")
    ) as server:
        with reach(server) as connection:
            connection.send("x")
            assert closed(connection) == (
                1012,
                "the program ended with status 3; it will be restarted",
            )
        with pytest.raises(InvalidStatus) as refused:
            reach(server)
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] in ("1", "2")

        def isBack() -> bool:
            try:
                with reach(server):
                    return True
            except InvalidStatus:
                return False

        waitUntil(isBack, "it has started again")


def test_rooms(tmp_path: Path) -> None:
    """
    Each room has a program, which ends when the last client has left.
    """
    command = app("echo in $PATH_INFO; cat", shell="yes", mode="room", linger="off")
    with serve(tmp_path, command) as server:
        with reach(server, "/red") as one, reach(server, "/red") as two:
            assert one.recv(PATIENCE) == two.recv(PATIENCE) == "in /red"
            with reach(server, "/blue") as other:
                assert other.recv(PATIENCE) == "in /blue"
                one.send("hello")
                assert one.recv(PATIENCE) == two.recv(PATIENCE) == "hello"
                other.send("alone")
                assert other.recv(PATIENCE) == "alone"
        idle(server)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("process", "the option 'command' is missing"),
        ("process:command=no-such-program", "no program 'no-such-program' on PATH"),
        ("process:command=./file", "isn't executable"),
        ("process:command=cat:grace=never", "grace takes a time in seconds"),
    ],
)
def test_mistakes(tmp_path: Path, description: str, message: str) -> None:
    """
    A mistake in the options is one line that says so, and no server.
    """
    (tmp_path / "file").write_text("", "utf-8")
    finished = runTwistd(tmp_path, "-n", "wsplug", f"--app={description}")
    assert finished.status == 1
    assert message in finished.err
    assert "Traceback" not in finished.err + finished.out
