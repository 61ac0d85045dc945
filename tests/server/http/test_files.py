"""
Files that the server sends: the effect of conditions and ranges (RFC 9110 sections 13
and 14). No client holds a descriptor besides its connection's.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from twisted.python.filepath import FilePath

from tests.server.http.test_pages import get
from tests.server.kit import App, Logs, Response, parseResponse, raw
from wsplug import Settings
from wsplug.codec import format_date, read_date
from wsplug.folder import Folder
from wsplug.plain import FileBody, PlainResource
from wsplug.plain import Response as Answer
from wsplug.roompages import RoomPages
from wsplug.staticfiles import UNMET, StaticFiles, StoredFile
from wsplug.testing import MemoryServer

SIZE = 250_000

CONTENT = bytes(range(250)) * (SIZE // 250)

AT = 784111777

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"

BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"

AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"


def rooms(folder: str) -> RoomPages:
    return RoomPages(folder, deep=False)


@pytest.fixture(
    params=[
        pytest.param(StaticFiles, id="own"),
        pytest.param(Folder, id="twisted.web"),
        pytest.param(rooms, id="rooms"),
    ]
)
def make(request: Any) -> Any:
    """Make a resource for a folder."""
    return request.param


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A large file, in a folder of pages that also has a small one."""
    folder = tmp_path / "pages"
    folder.mkdir()
    for name, content in {"file": CONTENT, "small": b"0123456789"}.items():
        (folder / name).write_bytes(content)
        os.utime(folder / name, (AT, AT))
    (folder / "index.html").write_bytes(b"index")
    return folder / "file"


@pytest.fixture
def server(path: Path, make: Any) -> MemoryServer:
    return MemoryServer(App(pages=make(str(path.parent))), exempt=())


def ask(
    server: MemoryServer, name: str, *headers: str, method: str = "GET"
) -> Response:
    """Return the only response, on a connection that is kept."""
    transport = raw(server, get(f"/{name}", method, *headers))
    data = b""
    while part := transport.take():
        data += part
        server.run()
    assert not transport.lost
    if method == "HEAD":
        assert data.endswith(b"\r\n\r\n")
        # Its length is that of the response to GET (RFC 9110 section 9.3.2).
        data = data.replace(b"\r\nContent-Length: ", b"\r\nLength: ")
        data = data.replace(b"\r\ncontent-length: ", b"\r\nLength: ")
    return parseResponse(data)


# Conditions


RANGE = "Range: bytes=2-4"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), 200),
        (("If-Match: *",), 200),
        (('If-Match: "x"',), 412),
        (('If-Match: "x"', f"If-Unmodified-Since: {AFTER}"), 412),
        (("If-Match: *", f"If-Unmodified-Since: {BEFORE}"), 200),
        (('If-Match: "x"', "If-None-Match: *"), 412),
        ((f"If-Unmodified-Since: {BEFORE}",), 412),
        ((f"If-Unmodified-Since: {DATE}",), 200),
        ((f"If-Unmodified-Since: {AFTER}",), 200),
        (("If-Unmodified-Since: Mon, 31 Feb 1994 08:49:37 GMT",), 200),
        ((f"If-Unmodified-Since: {BEFORE}", f"If-Modified-Since: {AFTER}"), 412),
        (("If-None-Match: *",), 304),
        (("If-None-Match: *", f"If-Modified-Since: {BEFORE}"), 304),
        (('If-None-Match: "x"', f"If-Modified-Since: {AFTER}"), 200),
        ((f"If-Modified-Since: {BEFORE}",), 200),
        ((f"If-Modified-Since: {DATE}",), 304),
        (("If-Modified-Since: Wed, 31 Feb 2024 08:49:37 GMT",), 200),
        (("If-Modified-Since: Wed, 28 Feb 2024 08:49:69 GMT",), 200),
        (("If-Modified-Since: Wed, 28 Feb 2024 08:49:60 GMT",), 304),
    ],
)
def test_conditions(
    server: MemoryServer, headers: tuple[str, ...], status: int, logs: Logs
) -> None:
    """RFC 9110 section 13.2.2: conditions are evaluated in order, and decide whether
    the file is sent, whole or in part."""
    names, methods = ("small", "file"), ("GET", "HEAD")
    for name, method in product(names, methods):
        size = 10 if name == "small" else SIZE
        response = ask(server, name, *headers, method=method)
        assert response.status == status
        if method == "GET":
            assert len(response.body) == {200: size, 304: 0}.get(status, len(UNMET))
        if status != 412:
            assert response.all("last-modified") == [DATE]
        if status == 304:
            # Section 8.6: it would be that of the whole file.
            assert response.all("content-length") == []
        assert response.all("content-range") == []
        part = ask(server, name, *headers, RANGE, method=method)
        if status == 200 and method == "GET":
            assert (part.status, len(part.body)) == (206, 3)
            assert part.all("content-range") == [f"bytes 2-4/{size}"]
        elif status != 200:
            # Section 14.2: a range is evaluated only where the answer would be 200.
            assert part.status == status
            assert part.all("content-range") == []
    assert logs.failures() == []


@pytest.mark.parametrize(
    ("header", "status"),
    [("If-None-Match: *", 304), ('If-Match: "x"', 412), ("If-Match: *", 416)],
)
def test_conditions_before_ranges(
    server: MemoryServer, header: str, status: int
) -> None:
    """Section 13.2.2: conditions are evaluated before a range that can't be
    satisfied."""
    response = ask(server, "file", header, f"Range: bytes={SIZE}-")
    assert response.status == status


@pytest.mark.parametrize("header", ['If-Match: "x"', "If-None-Match: *"])
def test_conditions_of_nothing(path: Path, header: str) -> None:
    """Section 13.2.1: conditions are ignored where the answer isn't the file."""
    for make in (StaticFiles, Folder):
        server = MemoryServer(App(pages=make(str(path.parent))))
        assert ask(server, "nothing", header).status == 404
        (path.parent / "folder").mkdir(exist_ok=True)
        assert ask(server, "folder", header).status == 302


# Times that no date can express


FAR: list[tuple[float, str]] = [
    (0.0, "Thu, 01 Jan 1970 00:00:00 GMT"),
    (-1.0, "Thu, 01 Jan 1970 00:00:00 GMT"),
    (-(2.0**62), "Thu, 01 Jan 1970 00:00:00 GMT"),
    (2.0**62, ""),
    (2.0**33, ""),
]


@pytest.mark.parametrize(("seconds", "date"), FAR)
def test_far_times(
    server: MemoryServer,
    seconds: float,
    date: str,
    monkeypatch: pytest.MonkeyPatch,
    logs: Logs,
) -> None:
    """A file's time may be anything; its date is valid, and never in the future (RFC
    9110 section 8.8.2.1). A modification in the future counts as one now, and one
    before 1970 as one in 1970."""
    fstat = os.fstat

    def farOff(descriptor: int) -> os.stat_result:
        state = fstat(descriptor)
        return os.stat_result((*state[:8], seconds, *state[9:10]))

    monkeypatch.setattr(os, "fstat", farOff)
    monkeypatch.setattr(FilePath, "getModificationTime", lambda _: seconds)
    began = int(time.time())
    response = ask(server, "small")
    assert (response.status, response.body) == (200, b"0123456789")
    (told,) = response.all("last-modified")
    if date:
        assert told == date
        assert ask(server, "small", f"If-Modified-Since: {told}").status == 304
        since = f"If-Unmodified-Since: {told}"
        assert ask(server, "small", since).status == 200
    else:
        at = read_date([told.encode("ascii")], began)
        assert at is not None
        assert began <= at <= time.time()
        before = format_date(began - 10).decode("ascii")
        assert ask(server, "small", f"If-Modified-Since: {before}").status == 200
        since = f"If-Unmodified-Since: {before}"
        assert ask(server, "small", since).status == 412
    assert logs.failures() == []


# Descriptors


needsProc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")


def countOpen(path: Path) -> int:
    """Count this process's descriptors of a file."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.path.samefile(f"/proc/self/fd/{name}", path)
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
    return count


@needsProc
@pytest.mark.parametrize("header", [None, "Range: bytes=5-"])
def test_no_descriptor(server: MemoryServer, path: Path, header: str | None) -> None:
    """A client that doesn't read a large file, or reads part of it, uses no descriptor
    besides its connection's. It gets the whole file all the same."""
    data = get("/file", "GET", *([] if header is None else [header]))
    clients = [raw(server, data) for _ in range(5)]
    assert countOpen(path) == 0
    assert all(0 < len(each._out) < SIZE for each in clients)
    received = clients[0].take()
    server.run()
    assert countOpen(path) == 0
    while part := clients[0].take():
        received += part
        server.run()
    assert parseResponse(received).body == CONTENT[0 if header is None else 5 :]
    for each in clients:
        each.abortConnection()


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(CONTENT[::-1])
    os.utime(other, (AT, AT))
    other.replace(path)


def rewrite(path: Path) -> None:
    path.write_bytes(CONTENT[::-1])


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, 100_000)


def turnIntoFIFO(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (replace, "the file was changed"),
        (rewrite, "the file was changed"),
        (grow, "the file was changed"),
        (shrink, "the file was changed"),
        (turnIntoFIFO, "not a regular file"),
        (Path.unlink, "No such file or directory"),
    ],
)
def test_changed_meanwhile(
    server: MemoryServer,
    path: Path,
    change: Callable[[Path], object],
    reason: str,
    logs: Logs,
) -> None:
    """All of a response is of one version of the file. If the file is replaced or
    removed during the response, the connection ends before anything else is sent. The
    log has one line and no traceback."""
    transport = raw(server, get("/file"))
    change(path)
    data = b""
    while part := transport.take():
        data += part
        server.run()
    server.advance(0)
    assert transport.aborted
    body = data.partition(b"\r\n\r\n")[2]
    assert len(body) < SIZE
    assert CONTENT.startswith(body)
    (line,) = logs.lines("cut off")
    assert line.endswith(f"could not be read: {reason}")
    assert logs.failures() == []


def test_many_changes(path: Path, make: Any, logs: Logs) -> None:
    """A client that requests a file that changes all the time is under the limit on log
    lines, like other clients."""
    pages = make(str(path.parent))
    settings = Settings(max_address_log_rate=1)
    server = MemoryServer(App(pages=pages), settings=settings, exempt=())
    for number in range(30):
        transport = raw(server, get("/file"))
        os.utime(path, (AT, AT + 1 + number))
        while transport.take():
            server.run()
        server.advance(0)
        assert transport.aborted
    assert 0 < len(logs.lines("cut off")) <= 10
    assert logs.failures() == []


class Broken:
    """An application's file that fails with an unexpected exception."""

    def read(self, size: int) -> bytes:
        raise ZeroDivisionError

    def close(self) -> None:
        pass


class BrokenPages(PlainResource):
    def respond(self, request: Any) -> Answer:
        return Answer(200, [], FileBody(Broken(), 500_000))


def test_bugs_fill_no_log(logs: Logs) -> None:
    """Tracebacks from an application's own file also count towards the limit on log
    lines."""
    settings = Settings(max_address_log_rate=1)
    server = MemoryServer(App(pages=BrokenPages()), settings=settings, exempt=())
    for _ in range(30):
        transport = raw(server, get("/"))
        server.advance(0)
        assert transport.aborted
    assert 0 < len(logs.failures()) <= 10
    assert 0 < len(logs.lines("could not be sent completely")) <= 10


@pytest.mark.parametrize("name", ["small", "file"])
def test_no_descriptor_is_left(
    server: MemoryServer, name: str, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    """If the process has reached its limit of open files, the client is asked to retry.
    The log has no traceback for each request."""

    def fail(*_: Any) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", fail)
        response = ask(server, name)
    assert response.status == 503
    assert response.all("retry-after") == ["1"]
    assert response.all("accept-ranges") == []
    assert logs.failures() == []
    transport = raw(server, get("/file"))
    monkeypatch.setattr(os, "open", fail)
    while transport.take():
        server.run()
    server.advance(0)
    assert transport.aborted
    (line,) = logs.lines("cut off")
    assert line.endswith("could not be read: Too many open files")
    assert logs.failures() == []


def test_stored_file(path: Path) -> None:
    """It reads on from its position, or from the position that it was moved to."""
    file = StoredFile(str(path), os.stat(path), 3)
    assert file.read(2) == CONTENT[3:5]
    assert file.read(2) == CONTENT[5:7]
    file.seek(SIZE - 1)
    assert file.read(2) == CONTENT[-1:]
    assert file.read(2) == b""
    file.close()
