"""
Requests for pages that C{twisted.web} alone would fail at: hostile ranges, dates, paths
and forms (DESIGN section 5).
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from time import process_time
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, LogLevel, globalLogPublisher
from twisted.python.failure import Failure
from twisted.web.error import UnsupportedMethod
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from twisted.web.static import File
from zope.interface import implementer

from tests.server.http.test_pages import get
from tests.server.kit import App, Logs, Response, parseResponse, raw
from wsplug import Settings
from wsplug.folder import Folder
from wsplug.guard.loglimit import LogLimit, isLeftOut
from wsplug.staticfiles import StaticFiles
from wsplug.testing import MemoryServer

SIZE = 300_000

WHOLE = [
    "bytes=0-1,-99999999",
    "bytes=0-1,3-4",
    "bytes=" + ",".join(["0-"] * 100),
    "bytes=-5",
    "bytes=-99999999",
    "bytes=",
    "bytes=,",
    "bytes=-",
    "bytes=5-1",
    "bytes=x-y",
    "bytes=1-2\xff",
    "bytes=" + 15_000 * "x",
    "bytes=" + 1000 * "9" + "-",
    "lines=1-2",
    "bytes 1-2",
    "bytes=1_0-2_0",
    "bytes=+1-2",
    ",",
    "",
]
"""
Ranges that are ignored: the answer is the whole file (RFC 9110 section 14.2).
"""


MAKERS: list[Any] = [
    pytest.param(StaticFiles, id="own"),
    pytest.param(Folder, id="twisted.web"),
]
"""
Resources for a folder: the server's own, and C{twisted.web}'s.
"""


@pytest.fixture(params=MAKERS)
def make(request: Any) -> Any:
    return request.param


@pytest.fixture
def server(tmp_path: Path, make: Any) -> MemoryServer:
    (tmp_path / "file.bin").write_bytes(bytes(range(100)) * (SIZE // 100))
    return MemoryServer(App(pages=make(str(tmp_path))))


def ask(server: MemoryServer, data: bytes) -> Response:
    """Return the only response, and check that the server has no calls left to make."""
    transport = raw(server, data)
    response = transport.take()
    for _ in range(20):
        server.advance(0.01)
        response += transport.take()
    return parseResponse(response)


@pytest.mark.parametrize("value", WHOLE)
def test_ranges_that_are_not_served(
    server: MemoryServer, value: str, logs: Logs
) -> None:
    """The answer is the whole file, once. The log has nothing of the header, and no
    traceback."""
    request = get("/file.bin").replace(
        b"\r\n\r\n", b"\r\nRange: " + value.encode("latin-1") + b"\r\n\r\n"
    )
    response = ask(server, request)
    assert response.status == 200
    assert len(response.body) == SIZE
    assert [line for line in logs.lines() if "GET /file.bin: 200" not in line] == []


@pytest.mark.parametrize(
    ("value", "first", "last"),
    [
        ("bytes=0-1", 0, 1),
        ("bytes=7-", 7, SIZE - 1),
        ("bytes=299999-", 299_999, 299_999),
        (f"bytes=5-{SIZE - 1}", 5, SIZE - 1),
        ("bytes=5-999999999", 5, SIZE - 1),
    ],
)
def test_range(server: MemoryServer, value: str, first: int, last: int) -> None:
    """A single range from a first byte on is served (RFC 9110 section 14.1.2)."""
    response = ask(server, get("/file.bin", "GET", f"Range: {value}"))
    assert response.status == 206
    assert response.all("content-range") == [f"bytes {first}-{last}/{SIZE}"]
    data = bytes(range(100)) * (SIZE // 100)
    assert response.body == data[first : last + 1]


def test_range_behind_the_end(server: MemoryServer) -> None:
    """RFC 9110 section 15.5.17: 416, with the size."""
    response = ask(server, get("/file.bin", "GET", f"Range: bytes={SIZE}-"))
    assert response.status == 416
    assert response.all("content-range") == [f"bytes */{SIZE}"]
    assert response.body == b""


@pytest.mark.parametrize(
    "headers",
    [("Range: bytes=0-1", "Range: bytes=2-3"), ("Range: bytes=0-1", 'If-Range: "x"')],
)
def test_ranges_with_conditions(server: MemoryServer, headers: tuple[str, str]) -> None:
    """Two Range headers are ignored, and so is a range for what may be another version
    (RFC 9110 section 13.1.5)."""
    response = ask(server, get("/file.bin", "GET", *headers))
    assert (response.status, len(response.body)) == (200, SIZE)


@pytest.mark.parametrize("value", [";", "", "x", "Sun, 06 Nov 1994", "0", 9000 * ";"])
def test_date(server: MemoryServer, value: str, logs: Logs) -> None:
    """RFC 9110 section 13.1.3: an invalid date is ignored."""
    response = ask(server, get("/file.bin", "GET", f"If-Modified-Since: {value}"))
    assert (response.status, len(response.body)) == (200, SIZE)
    assert logs.failures() == []


def test_right_date(server: MemoryServer) -> None:
    """With a valid date, the file isn't sent again."""
    date = "Fri, 01 Jan 2100 00:00:00 GMT"
    assert (
        ask(server, get("/file.bin", "GET", f"If-Modified-Since: {date}")).status == 304
    )


@pytest.mark.parametrize("path", ["/%ff", "/%ff/x", "/a%c3", "/%00", "/%ed%a0%80"])
def test_path_that_is_no_text(server: MemoryServer, path: str, logs: Logs) -> None:
    """A path that can't be a file's name is a 404, without a traceback."""
    assert ask(server, get(path)).status == 404
    assert logs.failures() == []


class Failing(Resource):
    """A resource with a bug, which shows at once or later."""

    isLeaf = True

    def __init__(self, later: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.later = later
        self.waiting: list[Any] = []

    def render_GET(self, request: Any) -> int:
        if not self.later:
            raise ZeroDivisionError
        self.waiting.append(request)
        return NOT_DONE_YET


@pytest.mark.parametrize("kind", ["file", "at once", "later"])
def test_failures_of_others_resources(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    """What others' resources log for a request that any client can send counts as lines
    about the client. An example is Twisted's own traceback for a path that isn't valid
    UTF-8."""
    failing = Failing(kind == "later")
    app = App()
    app.pages = File(str(tmp_path)) if kind == "file" else failing
    server = MemoryServer(app, settings=Settings(max_address_log_rate=1), exempt=())
    written: list[Any] = []

    @implementer(ILogObserver)
    def observe(event: Any) -> None:
        if event["log_level"] is LogLevel.critical and not isLeftOut(event):
            written.append(event)

    told: list[str] = []
    globalLogPublisher.addObserver(observe)
    try:
        for _ in range(30):
            transport = raw(server, get("/%ff"))
            if kind == "later":
                failing.waiting.pop().processingFailed(Failure(ZeroDivisionError()))
            server.run()
            assert transport.take().startswith(
                b"HTTP/1.1 404" if kind == "file" else b"HTTP/1.1 500"
            )
        assert 1 <= len(written) <= 10
        monkeypatch.setattr(
            LogLimit,
            "_log",
            SimpleNamespace(info=lambda _, **fields: told.append(fields["what"])),
        )
        server.advance(10)
    finally:
        globalLogPublisher.removeObserver(observe)
    logs.failures()
    (what,) = told
    assert "failed pages" in what
    # Errors outside of a request belong to no client.
    assert not isLeftOut({"log_level": LogLevel.critical})


@pytest.mark.parametrize(
    "value",
    ["close", "Close", "close, TE", "TE, close", "TE,close", "keep-alive,close"],
)
def test_connection_close(server: MemoryServer, value: str) -> None:
    """RFC 9112 section 9.6: the close option may be anywhere in the list."""
    transport = raw(server, get("/nothing", "GET", f"Connection: {value}"))
    server.advance(0)
    assert parseResponse(transport.take()).all("connection") == ["close"]
    assert transport.disconnecting


@pytest.mark.parametrize("name", ["fifo", "out", "outer/secret", "index/", "loop"])
def test_no_file_of_the_folder(tmp_path: Path, name: str, make: Any) -> None:
    """A file that isn't regular is never opened: a FIFO would block the server forever.
    A symbolic link that leads out of the folder isn't followed."""
    folder = tmp_path / "pages"
    (folder / "index").mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.write_text("secret", "ascii")
    os.mkfifo(folder / "fifo")
    (folder / "out").symlink_to(secret)
    (folder / "outer").symlink_to(tmp_path)
    (folder / "index" / "index.html").symlink_to(secret)
    (folder / "loop").symlink_to(folder / "loop")
    server = MemoryServer(App(pages=make(str(folder))))
    for method in ("GET", "HEAD"):
        response = server.request(method, f"/{name}")
        assert response.status == 404
        assert b"secret" not in response.body


def test_hidden_files(tmp_path: Path, make: Any) -> None:
    """Names that begin with a dot aren't served, except C{.well-known} (RFC 8615)."""
    folder = tmp_path / "pages"
    for path in (".env", ".git/config", "a/.hidden/b", ".well-known/security.txt"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("content", "ascii")
    server = MemoryServer(App(pages=make(str(folder))))
    for target in ("/.env", "/.git/config", "/%2egit/config", "/a/.hidden/b", "/.git"):
        assert server.request("GET", target).status == 404
    assert server.request("GET", "/.well-known/security.txt").body == b"content"


def test_links_within_the_folder(tmp_path: Path, make: Any) -> None:
    """Links that stay within the folder are followed, even if the folder itself is
    behind a link. Other links are followed if the resource is configured to."""
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "a").write_text("here", "ascii")
    (folder / "b").symlink_to("a")
    (tmp_path / "secret").write_text("there", "ascii")
    (folder / "out").symlink_to("../secret")
    (tmp_path / "link").symlink_to(folder)
    for path in (folder, tmp_path / "link"):
        server = MemoryServer(App(pages=make(str(path))))
        assert server.request("GET", "/b").body == b"here"
    open_ = make(str(folder))
    open_.followsLinks = True
    assert MemoryServer(App(pages=open_)).request("GET", "/out").body == b"there"


@pytest.mark.parametrize("kind", ["socket", "device", "folder"])
@pytest.mark.parametrize("follows", [False, True])
def test_other_files(tmp_path: Path, kind: str, follows: bool, make: Any) -> None:
    """Sockets and devices aren't opened either, whether or not links are followed."""
    folder = tmp_path / "pages"
    (folder / "folder").mkdir(parents=True)
    (folder / "device").symlink_to("/dev/zero")
    pages = make(str(folder))
    pages.followsLinks = follows
    server = MemoryServer(App(pages=pages))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        for method in ("GET", "HEAD"):
            assert server.request(method, f"/{kind}/").status == 404
            status = 302 if kind == "folder" else 404
            assert server.request(method, f"/{kind}").status == status


@contextmanager
def ending(path: Path) -> Iterator[None]:
    """Give a FIFO its other end, so that a test that blocks on it fails and doesn't
    hang."""
    over = Event()

    def end() -> None:
        while not over.wait(0.02):
            with suppress(OSError):
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))

    thread = Thread(target=end, daemon=True)
    thread.start()
    yield
    over.set()
    thread.join()


def _regular(*_: Any, **__: Any) -> os.stat_result:
    """
    Report any file as regular.
    """
    return os.stat_result((stat.S_IFREG, *([0] * 9)))


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "gone"])
def test_swapped(
    tmp_path: Path, kind: str, make: Any, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    """A file that becomes something else between the check and the opening is a 404.
    The server doesn't block on a FIFO."""
    path = tmp_path / "file"
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        if kind == "fifo":
            os.mkfifo(path)
            stack.enter_context(ending(path))
        elif kind == "socket":
            listening.bind(str(path))
        elif kind == "device":
            path.symlink_to("/dev/zero")
        monkeypatch.setattr(Folder, "_isServed", lambda _: True)
        monkeypatch.setattr(Folder, "exists", lambda _: True)
        monkeypatch.setattr(StaticFiles, "_isWithin", lambda *_: True)
        monkeypatch.setattr("wsplug.staticfiles.os.stat", _regular)
        server = MemoryServer(App(pages=make(str(tmp_path))))
        for method in ("GET", "HEAD"):
            response = server.request(method, "/file")
            assert response.status == 404
            assert "accept-ranges" not in response.headers
    assert logs.failures() == []


def test_unreadable(
    server: MemoryServer, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    """A file that can't be opened for another reason isn't reported as missing."""

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "the disk fails")

    monkeypatch.setattr("wsplug.staticfiles.os.open", fail)
    assert server.request("GET", "/file.bin").status == 500
    (failure,) = logs.failures()
    assert failure.check(OSError)


def test_folder_behind_a_link_that_changes(tmp_path: Path, make: Any) -> None:
    """A folder may be replaced by changing a link to it. Its real path is looked up
    once for each request, and not for each part of the request's path."""
    for name in ("one", "two"):
        (tmp_path / name / "a" / "b" / "c").mkdir(parents=True)
        (tmp_path / name / "a" / "b" / "c" / "file").write_text(name, "ascii")
    link = tmp_path / "link"
    link.symlink_to("one")
    server = MemoryServer(App(pages=make(str(link))))
    assert server.request("GET", "/a/b/c/file").body == b"one"
    link.unlink()
    link.symlink_to("two")
    with patch("os.path.realpath", wraps=os.path.realpath) as realpath:
        assert server.request("GET", "/a/b/c/file").body == b"two"
    assert realpath.call_count == 2


# HEAD


class Stubborn(Resource):
    """Answers C{HEAD} with a body, or not at all."""

    isLeaf = True

    def __init__(self, method: bytes) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.method = method

    def render(self, request: Any) -> bytes:
        if self.method and request.method != self.method:
            raise UnsupportedMethod([self.method])
        return b"content"


@pytest.mark.parametrize(
    ("method", "status"), [(b"", 200), (b"GET", 200), (b"POST", 405)]
)
def test_head_of_another_site(method: bytes, status: int, logs: Logs) -> None:
    """On a site that isn't wsplug's, HEAD is also answered without a body and without a
    line in the log. Twisted would log the request with the tokens in it."""
    server = MemoryServer(App())
    site = Site(Stubborn(method), reactor=server.clock)
    server.factory.site = site
    with patch.object(site, "log"):
        transport = raw(server, get("/?token=secret", "HEAD") + get("/", "HEAD"))
    first, second, *rest = transport.take().split(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 %d " % status)
    assert second.startswith(b"HTTP/1.1 %d " % status)
    assert rest == [b""]
    if status == 200:
        assert b"content-length: 7\r\n" in first.lower() + b"\r\n"
    assert logs.lines() == []
    assert not any("secret" in str(event) for event in logs._events)


# Forms

FORMS = {
    "semicolons": (
        'multipart/form-data; boundary="b"',
        b'--b\r\nContent-Disposition: form-data; a="' + 100_000 * b";" + b"\r\n\r\n",
    ),
    "no boundary": ("multipart/form-data", b"--b\r\n\r\nx\r\n--b--\r\n"),
    "empty boundary": ("multipart/form-data; boundary=", b"--\r\n\r\nx"),
    "boundary that is no text": ("multipart/form-data; boundary=\xff", b"--\xff--"),
    "no headers": ("multipart/form-data; boundary=b", b"--b\r\nx\r\n--b--\r\n"),
    "half a form": ("multipart/form-data; boundary=b", b"--b\r\n"),
    "many fields": ("application/x-www-form-urlencoded", b"a=1&" * 50_000),
    "no text": ("application/x-www-form-urlencoded", b"%ff=\xff&\0=;"),
    "charset": ("application/x-www-form-urlencoded; charset=x-none", b"a=b"),
}


def post(kind: str, body: bytes, path: str = "/") -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: server.example:9000",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Taker(Resource):
    """Accepts bodies, and records what it got."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.args: Any = None
        self.kind: bytes | None = None
        self.body = b""

    def render_POST(self, request: Any) -> bytes:
        self.args, self.body = request.args, request.content.read()
        self.kind = request.getHeader(b"content-type")
        return b"taken"


@pytest.mark.parametrize("name", FORMS)
def test_forms_are_not_parsed(name: str, logs: Logs) -> None:
    """A resource that doesn't ask for a form gets the body as it is, whatever it
    contains. Twisted's parser took more than five seconds for a hundred kilobytes."""
    kind, body = FORMS[name]
    taker = Taker()
    began = process_time()
    response = ask(MemoryServer(App(pages=taker)), post(kind, body, "/?q=1"))
    assert process_time() - began < 1
    assert (response.status, response.body) == (200, b"taken")
    assert taker.args == {b"q": [b"1"]}
    assert taker.kind is not None
    assert taker.body == body
    assert logs.failures() == []


@pytest.mark.parametrize("name", FORMS)
def test_forms_to_pages(name: str, server: MemoryServer, logs: Logs) -> None:
    """Pages answer a POST with 405, whatever its body."""
    response = ask(server, post(*FORMS[name], "/file.bin"))
    assert response.status == 405
    assert logs.failures() == []


MULTIPART = "multipart/form-data; boundary=b"
ENCODED = "application/x-www-form-urlencoded"


def part(head: str, value: bytes = b"x") -> bytes:
    return b"--b\r\n" + head.encode("latin-1") + b"\r\n\r\n" + value + b"\r\n"


NAMED = 'Content-Disposition: form-data; name="%s"'

PARSED: dict[str, tuple[str, bytes, dict[bytes, list[bytes]]]] = {
    "encoded": (
        ENCODED,
        b"a=b&a=c&d=&e&%61+%62=%26",
        {
            b"a": [b"b", b"c"],
            b"d": [b""],
            b"a b": [b"&"],
        },
    ),
    "nothing": (ENCODED, b"&&;", {}),
    "charset": (ENCODED + "; charset=x-none", b"a=b", {b"a": [b"b"]}),
    "parts": (
        MULTIPART,
        b"before\r\n"
        + part(NAMED % "a")
        + part(NAMED % "a", b"\r\n--a\0")
        + part((NAMED % "f") + '; filename="n"\r\nContent-Type: text/plain', b"")
        + part("Content-Disposition: form-data")
        + b"--b--\r\nbehind",
        {b"a": [b"x", b"\r\n--a\0"], b"f": [b""]},
    ),
    "names": (
        'Multipart/Form-Data; charset=utf-8; boundary="b"',
        part(NAMED % 'a\\"b')
        + part(NAMED % "\xc3\xa4;=")
        + part("content-disposition:form-data;name=c")
        + b"--b--",
        {b'a"b': [b"x"], b"\xc3\xa4;=": [b"x"], b"c": [b"x"]},
    ),
    "codings": (
        MULTIPART,
        part((NAMED % "a") + "\r\nContent-Transfer-Encoding: base64", b"eA==")
        + part(
            (NAMED % "b") + "\r\nContent-Transfer-Encoding: Quoted-Printable", b"=78"
        )
        + part((NAMED % "c") + "\r\nContent-Transfer-Encoding: base64", b"x")
        + b"--b--\r\n",
        {b"a": [b"x"], b"b": [b"x"], b"c": [b"x"]},
    ),
    "no part": (MULTIPART, b"--b--\r\n", {}),
    "no form": ("multipart/mixed; boundary=b", part(NAMED % "a") + b"--b--", {}),
}
"""
Forms and their fields.
"""

REFUSED: dict[str, tuple[str, bytes]] = {
    "no boundary": ("multipart/form-data", part(NAMED % "a") + b"--b--"),
    "empty boundary": ("multipart/form-data; boundary=", b"--\r\n\r\nx\r\n----"),
    "long boundary": ("multipart/form-data; boundary=" + 71 * "b", b"x"),
    "no text": ("multipart/form-data; boundary=\xff", b"--secret"),
    "malformed boundary": ('multipart/form-data; boundary="', b"x"),
    "no end": (MULTIPART, part(NAMED % "a")),
    "no part": (MULTIPART, b"secret"),
    "half a part": (MULTIPART, b"--b\r\nsecret: x\r\n--b--"),
    "behind the boundary": (MULTIPART, b"--bsecret\r\n\r\nx\r\n--b--"),
    "no header": (MULTIPART, part("secret") + b"--b--"),
    "folded": (MULTIPART, part("a: b\r\n secret") + b"--b--"),
    "malformed": (MULTIPART, part(NAMED % 'a"secret') + b"--b--"),
    "large head": (MULTIPART, part("a: " + 9000 * "b") + b"--b--"),
    "many parts": (MULTIPART, part("a: b") * 10_001 + b"--b--"),
    "many fields": (ENCODED, b"a=1&" * 10_001),
    "many empty ones": (ENCODED, b"&;" * 5001),
}
"""
Malformed forms.
"""


class Form(Taker):
    parsesForms = True


def _both(taker: Taker) -> list[MemoryServer]:
    """Request a resource on wsplug's site and on a custom one."""
    servers = [MemoryServer(App(pages=taker)), MemoryServer(App())]
    servers[1].factory.site = Site(taker, reactor=servers[1].clock)
    return servers


@pytest.mark.parametrize("name", PARSED)
def test_forms_that_are_wanted(name: str) -> None:
    """A resource that asks for forms gets them. So does one on a site that isn't
    wsplug's, where no setting says so."""
    kind, body, args = PARSED[name]
    for server in _both(form := Form()):
        form.args = None
        assert ask(server, post(kind, body, "/?q=1&a=0")).status == 200
        assert form.args == {b"q": [b"1"], b"a": [b"0"], **args}
        assert form.kind == kind.encode("latin-1")
        assert form.body == body


@pytest.mark.parametrize("name", sorted({*PARSED} - {"nothing", "no part"}))
def test_forms_as_twisted_has_them(name: str) -> None:
    """wsplug's parser and Twisted's give the same fields."""
    kind, body, args = PARSED[name]
    if name == "names":
        body = body.replace(b"\xc3\xa4", b"a")  # Twisted's parser fails at UTF-8
        args = {key.replace(b"\xc3\xa4", b"a"): value for key, value in args.items()}
    taker = Taker()
    clock = Clock()
    channel: Any = Site(taker, reactor=clock).buildProtocol(None)
    transport = StringTransport()
    channel.makeConnection(transport)
    channel.dataReceived(post(kind, body))
    assert b" 200 " in transport.value()
    # Twisted 24 keeps only the last value of each name in multipart forms.
    last = {key: values[-1] for key, values in args.items()}
    assert {key: values[-1] for key, values in taker.args.items()} == last


@pytest.mark.parametrize("name", REFUSED)
def test_wanted_forms_that_are_none(name: str, logs: Logs) -> None:
    """A malformed form is the client's mistake: 400, no traceback, and nothing of the
    form in the log."""
    kind, body = REFUSED[name]
    for server in _both(form := Form()):
        response = ask(server, post(kind, body))
        assert response.status == 400
        assert response.body.startswith(
            (b"a form", b"over ", b"a part", b"a malformed")
        )
    assert form.args is None
    assert logs.failures() == []
    assert len(logs.lines("refused: 400 ")) == 2
    assert not any("secret" in line for line in logs.lines())


def test_log_of_broken_forms(logs: Logs) -> None:
    """The lines about malformed forms are under the log's limit."""
    settings = Settings(max_address_handshake_rate=1000)
    server = MemoryServer(App(pages=Form()), settings=settings, exempt=())
    for _ in range(300):
        transport = raw(server, post(*REFUSED["no boundary"]))
        assert transport.take().startswith(b"HTTP/1.1 400 ")
        transport.shut()
        server.run()
    assert len(logs.lines("400")) == 100


HOSTILE = {
    **{name: form for name, form in FORMS.items() if name != "many fields"},
    **{name: (kind, body) for name, (kind, body, _) in PARSED.items()},
    **REFUSED,
    "fields": (ENCODED, b"a=%41&" * 9_999),
    "ampersands": (ENCODED, b"&" * 100_000),
    "percents": (ENCODED, b"a=" + b"%41" * 33_000),
    "pluses": (ENCODED, b"+=" * 50_000),
    "parts": (MULTIPART, (b"--b\r\n\r\n\r\n" * 9_000) + b"--b--"),
    "named parts": (MULTIPART, part(NAMED % "a") * 1_800 + b"--b--"),
    "parameters": (MULTIPART, part(NAMED % "a" + ";a=b" * 2_000) * 12 + b"--b--"),
    "quotes": (MULTIPART, part(NAMED % ('a";a="' * 1_300)) * 12 + b"--b--"),
    "backslashes": (MULTIPART, part(NAMED % ("\\a" * 4_000)) * 12 + b"--b--"),
    "spaces": (MULTIPART, part(NAMED % "a" + " " * 8_000 + "x") * 12 + b"--b--"),
    "headers": (MULTIPART, part("\r\n".join(["a:"] * 2_000)) * 12 + b"--b--"),
    "halves": ("multipart/form-data; boundary=" + 69 * "-", b"\r\n" + b"-" * 99_000),
    "base64": (
        MULTIPART,
        part((NAMED % "a") + "\r\nContent-Transfer-Encoding: base64", b"e" * 100_000)
        + b"--b--",
    ),
    "nested": (
        MULTIPART,
        part("Content-Type: multipart/mixed; boundary=c", b"--c\r\n\r\n" * 11_000)
        + b"--b--",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_of_forms(name: str, logs: Logs) -> None:
    """No form blocks the server for more than a twentieth of a second for each hundred
    kilobytes, plus as much again for a busy machine."""
    kind, body = HOSTILE[name]
    form = Form()
    data = post(kind, body)
    times = []
    for _ in range(3):
        server = MemoryServer(App(pages=form))
        transport = server.connectTransport()
        transport.put(data)
        began = process_time()
        server.run()
        times.append(process_time() - began)
        assert transport.take().startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))
    assert min(times) < 0.1 * max(1, len(body) / 100_000)
    assert logs.failures() == []


def test_site_that_parses_no_forms() -> None:
    """A site of Twisted 26 can be configured not to parse forms."""
    taker = Taker()
    server = MemoryServer(App())
    try:
        site = Site(taker, reactor=server.clock, parsePOSTFormSubmission=False)
    except TypeError:
        pytest.skip("this Twisted parses them all")
    server.factory.site = site
    assert ask(server, post(ENCODED, b"a=b")).status == 200
    assert taker.args == {}
    assert taker.body == b"a=b"
