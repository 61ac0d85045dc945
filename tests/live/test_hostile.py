"""
Hostile requests to every path of real servers, with a health check every 50 ms.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.processes import HOST, Process, Server, portOf, serve, waitUntil

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

ROOT = Path(__file__).parents[2]

OWN_SITE = Path(__file__).with_name("ownsite.py")

COUNT = 600

SOON = 0.5
"""
Seconds in which a health check has to be answered.
"""

TIMES = ("--open-timeout=1", "--send-timeout=1", "--close-timeout=1")

TOKEN = "abcdefghijklmnopqrstuvwxyz012345"

# Those of the server's own, and those of others.
PATHS = (
    "/",
    "/large.bin",
    "/nothing/there",
    "/%ff",
    "/-/health",
    "/-/health/live",
    "/-/metrics",
    "/-/wsplug.js",
    "/push/",
    "/push/publish?channel=a",
    "/bot/commands.json",
    "/chat/room",
    "/ownsite/takes",
    "/ownsite/form?a=b",
    "/ownsite/files/large.bin",
    "/echo/",
    "*",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "index.html").write_text("<p>", "ascii")
    (pages / "large.bin").write_bytes(bytes(3_000_000))
    (tmp_path / "pages.py").write_text(
        "from wsplug import WebSocketProtocol, application\n"
        "@application('folder', pages='pages')\n"
        "class folder(WebSocketProtocol):\n"
        "    pass\n",
        "ascii",
    )
    return tmp_path


def _waited(*processes: int | str) -> float:
    """
    Give the seconds that processes have waited for a processor (Linux only): others
    work on the machine.
    """
    files = [Path(f"/proc/{each}/schedstat") for each in processes]
    return sum(int(each.read_text("ascii").split()[1]) for each in files) / 1e9


def _check(port: int, path: str, server: int) -> float:
    """
    Ask for a server's health.

    @return: the seconds that the answer took, but for those in which the server or this
        process waited for a processor.
    """
    waited = _waited(server, "self")
    began = time.monotonic()
    with socket.create_connection((HOST, port), 60) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode("ascii"))
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
    return time.monotonic() - began - (_waited(server, "self") - waited)


def _attack(
    process: Process, port: int, health: str, paths: Sequence[str]
) -> dict[str, int]:
    """
    Have requests sent, and see that health checks are answered meanwhile.

    @return: the answers by status.
    """
    command = [sys.executable, "-m", "tests.live.hostile", str(port), str(COUNT)]
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    with Process(
        [*command, *paths], process.folder, environment=environment
    ) as attacker:
        while not attacker.ended:
            assert _check(port, health, process.pid) < SOON
            time.sleep(0.05)
        done = attacker.finish()
    assert done.status == 0, done.err
    lines = [line.split(" ") for line in done.out.splitlines()]
    answers = {status: int(number) for status, number in lines}
    assert sum(answers.values()) == COUNT
    assert "500" not in answers
    lost = sum(answers.get(name, 0) for name in ("lost", "nothing"))
    assert lost < COUNT / 2, answers
    return answers


def _files(process: int) -> list[str]:
    """
    List the files that a process has open, also those that have no name any more.
    """
    links = [os.readlink(each) for each in Path(f"/proc/{process}/fd").iterdir()]
    # At its start, the server reads its own modules, to compare their digests.
    return sorted(
        each for each in links if each.startswith("/") and "/wsplug/" not in each
    )


def _judgeLog(log: str, seconds: float) -> None:
    """
    See that there is no traceback, and no more than an address may have.
    """
    assert "Traceback" not in log
    assert "Unhandled" not in log
    lines = log.splitlines()
    assert len(lines) < 100 + 12 * (seconds + 5)
    assert max(map(len, lines)) < 600


def test_many_bodies(server: Server) -> None:
    """
    Bodies of a hundred clients at once are in no file.
    """
    bodies = (("/ownsite/takes", 200_000), ("/push/publish?channel=a", 60_000))
    before = _files(server.pid)
    with ExitStack() as stack:
        for number in range(100):
            path, size = bodies[number % 2]
            head = (
                f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n"
                f"Authorization: Bearer {TOKEN}\r\nExpect: 100-continue\r\n\r\n"
            )
            client = stack.enter_context(
                socket.create_connection((HOST, server.port), 60)
            )
            client.sendall(head.encode("ascii"))
            assert client.recv(4096).startswith(b"HTTP/1.1 100 ")
            client.sendall(bytes(20_000))
        assert _files(server.pid) == before


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with serve(
        folder,
        *("--app=pages.py:path=/", "--app=echo", "--app=bot", "--app=chat"),
        f"--app={OWN_SITE}",
        f"--app=push:token={TOKEN}",
        *("--exempt=none", "--max-address-handshake-rate=unlimited", *TIMES),
    ) as server:
        yield server


def test_every_path(server: Server) -> None:
    """
    Whatever is sent to the paths of a server, those that it answers itself and those
    of others, health checks are answered within half a second, nobody sees a 500, there
    is no traceback, the log stays small, no file stays open, and the server ends when
    it is told to.
    """
    began = time.monotonic()
    before = _files(server.pid)
    answers = _attack(server, server.port, "/-/health/live", PATHS)
    assert {"200", "206", "400", "404", "405", "408", "413", "501"} <= set(answers)
    waitUntil(lambda: _files(server.pid) == before, "all files are closed")
    seconds = time.monotonic() - began
    assert server.stop(15) == 0
    _judgeLog(server.log + server.err, seconds)


def test_own_site(folder: Path) -> None:
    """
    So it is with a site that isn't wsplug's, on the same factory.
    """
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    command = [sys.executable, str(OWN_SITE), "pages"]
    with Process(command, folder, environment=environment) as process:
        waitUntil(lambda: "listening on" in process.out, "it listens")
        (line,) = [each for each in process.out.splitlines() if "listening" in each]
        port = portOf(line)
        paths = ("/", "/large.bin", "/nothing", "/takes", "/form?a=b", "*")
        began = time.monotonic()
        answers = _attack(process, port, "/takes", paths)
        assert {"200", "206", "400", "404", "408", "413", "501"} <= set(answers)
        seconds = time.monotonic() - began
        assert process.stop(15) == 0
        _judgeLog(process.out + process.err, seconds)
