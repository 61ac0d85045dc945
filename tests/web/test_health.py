"""
Health checks, and the paths of the server's own resources.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.error import UnsupportedMethod
from twisted.web.resource import Resource

from tests.server.kit import App, Logs, frame, handshake, parseResponse, raw
from tests.web.kit import Telling
from wsplug import HandshakeRefused, Mount, WebSocketService
from wsplug.interfaces import IPlainRequest, IPlainResource
from wsplug.plain import PlainResource, Response
from wsplug.testing import MemoryTransport
from wsplug.web.health import whyNotReady
from wsplug.web.site import makeSite

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text(
    "utf-8"
)


def test_absolute_form() -> None:
    """
    A request in absolute form (RFC 9112 section 3.2.2) is treated like one in origin
    form.
    """
    check = b"GET http://b/-/health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    response = parseResponse(raw(Telling().server, check).take())
    assert (response.status, response.body) == (200, b'{"live": true}\n')


def test_absolute_form_on_a_full_server() -> None:
    """
    This also holds on a full server: any other request is refused there, whatever the
    name of its host.
    """
    server = _full().server
    for target in (
        "http://b/-/health/live",
        "https://-/-/health/live?x",
        "HTTP://b:1/-/health",
    ):
        check = f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode("ascii")
        answer = raw(server, check).take()
        assert b'"live": true' in answer
    for target in ("http://b/", "http://-/health", "http://b/x/-/health", "http://b"):
        page = f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode("ascii")
        assert parseResponse(raw(server, page).take()).status == 503


@pytest.mark.parametrize("target", ["/-/health", "http://server.example/-/health/live"])
def test_handshake_at_the_path_of_a_check(target: str) -> None:
    """
    A handshake is no health check, even if the application at the root serves all
    paths. A full server refuses it, and it waits while the applications start.
    """
    telling = _full()
    server = telling.server
    data = handshake(f"GET {target} HTTP/1.1")
    assert parseResponse(raw(server, data).take()).status == 503
    assert len(telling.factory.connections) == 1
    starting = Telling()
    starting.factory.awaitStart()
    transport = raw(starting.server, data)
    assert transport.take() == b""
    starting.factory.serve()
    starting.server.run()
    assert transport.take().startswith(b"HTTP/1.1 101 ")


def _ask(telling: Telling, path: str) -> tuple[int, Any]:
    response = telling.server.request("GET", path)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    return response.status, json.loads(response.body)


def test_well() -> None:
    """
    A running server is live and ready.
    """
    telling = Telling()
    assert _ask(telling, "/-/health/live") == (200, {"live": True})
    assert _ask(telling, "/-/health/ready") == (200, {"ready": True})
    assert _ask(telling, "/-/health") == (200, {"live": True, "ready": True})
    assert _ask(telling, "/-/health/") == (200, {"live": True, "ready": True})


def test_not_ready() -> None:
    """
    A stopping server is still live, but not ready, and gives the reason.
    """
    telling = Telling()
    telling.isReady = False
    not_ready = {"ready": False, "reason": "stopping"}
    assert _ask(telling, "/-/health/live") == (200, {"live": True})
    assert _ask(telling, "/-/health/ready") == (503, not_ready)
    assert _ask(telling, "/-/health") == (503, {"live": True, **not_ready})


def test_head() -> None:
    """
    HEAD gets the same answer as GET, without the body. Other methods get a 405.
    """
    telling = Telling()
    response = telling.server.request("HEAD", "/-/health/ready")
    assert (response.status, response.body) == (200, b"")
    assert response.headers["cache-control"] == "no-store"
    telling.isReady = False
    assert telling.server.request("HEAD", "/-/health/ready").status == 503
    assert telling.server.request("POST", "/-/health/ready").status == 405


class _GetOnly(Resource):
    """
    Answers C{GET} only, and doesn't know C{HEAD}.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        if request.method != b"GET":
            raise UnsupportedMethod([b"GET"])
        return b"content"


class _PostOnly(Resource):
    isLeaf = True

    def render(self, request: Any) -> bytes:
        raise UnsupportedMethod([b"POST"])


@pytest.mark.parametrize(
    ("pages", "path", "status"),
    [
        (None, "/-/health?token=secret", 200),
        (None, "/-/metrics?token=secret", 200),
        (None, "/?token=secret", 426),
        (None, "/-/nothing?token=secret", 404),
        (_GetOnly(), "/?token=secret", 200),  # type: ignore[no-untyped-call]
        (_PostOnly(), "/?token=secret", 405),  # type: ignore[no-untyped-call]
    ],
)
def test_head_is_quiet(pages: Any, path: str, status: int, logs: Logs) -> None:
    """
    HEAD logs nothing more than GET does: no query, and no line for each request beyond
    the log's limit. The response has no body (RFC 9110 section 9.3.2), and the length
    of that to GET.
    """
    telling = Telling(App(pages=pages)) if pages is not None else Telling()
    data = f"HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    output = raw(telling.server, data.encode("ascii")).take()
    head, _, body = output.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert body == b""
    assert not any("secret" in line for line in logs.lines())
    assert len([line for line in logs.lines() if "HEAD" in line]) <= 1


def test_nothing_else() -> None:
    """
    There is nothing else below the path.
    """
    assert Telling().server.request("GET", "/-/health/nothing").status == 404


def test_no_log(logs: Logs) -> None:
    """
    Health checks come every few seconds and aren't logged. Other requests are logged
    without their query.
    """
    telling = Telling(path="/app")
    telling.server.request("GET", "/-/health")
    telling.server.request("GET", "/-/health/live")
    assert not logs.lines()
    telling.server.request("GET", "/nothing?token=secret")
    (event,) = logs.events()
    assert logs.lines() == ["192.0.2.1:50002 GET /nothing: 404"]
    assert event["status"] == 404


class _Leaf(PlainResource):
    def respond(self, request: IPlainRequest) -> Response:
        return Response(200, [], b"own")


@pytest.mark.parametrize("path", ["/", "/app"])
def test_root_only(path: str) -> None:
    """
    The resources about the server are at the root, whatever is mounted there, and not
    below the applications. The server's files are at both.
    """
    telling = Telling(path=path)
    own: dict[bytes, IPlainResource] = {b"own": _Leaf()}
    server = telling.server
    server.factory.site = makeSite(server.factory.mounts, server.clock, own)
    assert server.request("GET", "/-/own").body == b"own"
    assert server.request("GET", "/-/wsplug.js").status == 200
    assert server.request("GET", "/app/-/own").body != b"own"
    if path == "/app":
        assert server.request("GET", "/app/-/wsplug.js").status == 200
    assert server.request("GET", "/-/nothing").status == 404
    assert server.request("GET", "/-/").status == 404


class _SlowApp(App):
    """
    An application whose start the test completes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.starting: Deferred[None] = Deferred()

    def startApplication(self) -> Any:
        return self.starting


def test_life() -> None:
    """
    A server is ready from when all its applications have started until it is told to
    stop.
    """
    application = _SlowApp()
    service = WebSocketService([Mount("/", application)], [], reactor=Clock())
    assert not service.isReady
    service.startService()
    assert not service.isReady
    assert whyNotReady(service) == "starting"
    application.starting.callback(None)
    assert service.isReady
    assert whyNotReady(service) is None
    service.stopService()
    assert not service.isReady
    assert whyNotReady(service) == "stopping"


def test_while_starting() -> None:
    """
    While the applications start, health checks are answered. Everything else waits,
    whole requests and parts of one, however long the start takes.
    """
    telling = Telling()
    server, factory = telling.server, telling.factory
    factory.awaitStart()
    whole, part, silent, bad = (server.connectTransport() for _ in range(4))
    whole.put(handshake() + frame(b"early"))
    server.run()
    whole.put(frame(b"and more"))
    part.put(handshake()[:50])
    server.advance(60)
    assert _ask(telling, "/-/health/live") == (200, {"live": True})
    not_ready = {"ready": False, "reason": "starting"}
    assert _ask(telling, "/-/health/ready") == (503, not_ready)
    assert isinstance(server.application, App)
    assert server.application.requests == []
    bad.put(b"nonsense\r\n\r\n")
    server.run()
    assert bad.take().startswith(b"HTTP/1.1 400 ")
    factory.serve()
    server.run()
    (recorder,) = server.application.recorders
    assert recorder.got("text") == ["early", "and more"]
    part.put(handshake()[50:])
    server.run()
    assert part.take().startswith(b"HTTP/1.1 101 ")
    server.advance(11)
    assert bad.aborted
    assert silent.take().startswith(b"HTTP/1.1 408 ")
    recorder.transport.abortConnection()
    part.abortConnection()
    server.advance(6)
    assert len(factory.deadlines) == 0


def test_page_behind_a_check() -> None:
    """
    A request after a health check on the same connection waits for the applications.
    """
    telling = Telling()
    server = telling.server
    telling.factory.awaitStart()
    transport = server.connectTransport()
    check = b"GET /-/health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    transport.put(check)
    server.run()
    assert transport.take().startswith(b"HTTP/1.1 200 ")
    transport.put(check + handshake())
    server.run()
    assert transport.take().startswith(b"HTTP/1.1 200 ")
    assert not transport.reading
    telling.factory.serve()
    server.run()
    assert transport.take().startswith(b"HTTP/1.1 101 ")


def test_checks_of_a_full_server() -> None:
    """
    A full server answers health checks. All other requests get a 503.
    """
    telling = Telling(max_connections=1)
    server = telling.server
    server.connect()
    full = {"ready": False, "reason": "full: max-connections"}
    assert _ask(telling, "/-/health/live") == (200, {"live": True})
    assert _ask(telling, "/-/health/ready") == (503, full)
    with pytest.raises(HandshakeRefused, match="503 too many connections"):
        server.connect()
    assert server.request("GET", "/").status == 503
    assert server.request("GET", "/-/metrics").status == 503
    refusal = telling.factory.statistics.refusals[-1]
    assert (refusal.status, refusal.setting) == (503, "max-connections")


def _idle(telling: Telling, address: str, count: int) -> list[MemoryTransport]:
    """
    Open connections that send nothing.
    """
    server = telling.server
    made = [server.connectTransport(address) for _ in range(count)]
    server.run()
    return made


def _left(transports: Iterable[MemoryTransport]) -> int:
    """
    Count the connections to which the server has sent nothing.
    """
    return sum(not each.take() and not each.closedForWriting for each in transports)


def _full() -> Telling:
    telling = Telling(max_connections=1)
    telling.server.connect()
    return telling


def test_room_for_checks() -> None:
    """
    There is as much extra room as the page says, for each address and in total. The
    oldest connections make room with a 503.
    """
    said = r"there are (\d+)\s+connections more .* (\d+) for each"
    room, each = map(int, re.findall(said, PAGE)[0])
    telling = _full()
    first = _idle(telling, "203.0.113.1", each)
    assert _left(first) == each
    first += _idle(telling, "203.0.113.1", 1)
    assert first[0].take().startswith(b"HTTP/1.1 503 ")
    assert first[0].closedForWriting
    assert _left(first) == each
    others = [one for n in range(2, 20) for one in _idle(telling, f"203.0.113.{n}", 3)]
    assert _left(first + others) == room
    assert _left(others[-6:]) == 6


@pytest.mark.parametrize("address", ["203.0.113.1", "203.0.113.9", "2001:db8::1"])
def test_idle_connections_over_a_full_server(address: str) -> None:
    """
    A check is answered at once, from any address, whatever idle connections there are,
    even if more of them arrive while it is on its way.
    """
    telling = _full()
    for number in range(4):
        _idle(telling, f"203.0.113.{number}", 10)
    check = telling.server.connectTransport(address)
    for number in range(4):
        _idle(telling, f"203.0.113.{number}", 7)
    check.put(b"GET /-/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
    telling.server.run()
    assert check.take().startswith(b"HTTP/1.1 200 ")


def test_time_for_a_check() -> None:
    """
    A client in the extra room that sends no complete check gets a 503 after two
    seconds.
    """
    telling = _full()
    silent, slow = _idle(telling, "203.0.113.1", 2)
    for _ in range(8):
        assert silent.take() == slow.take() == b""
        slow.put(b"G")
        telling.server.advance(0.25)
    assert silent.take().startswith(b"HTTP/1.1 503 ")
    assert slow.take().startswith(b"HTTP/1.1 503 ")
    telling.server.advance(6)
    assert silent.lost
    assert slow.lost
    assert len(telling.factory.spare) == 0


@pytest.mark.parametrize(
    "header", ["Content-Length: 9", "Content-Length: 9\r\nExpect: 100-continue"]
)
def test_check_with_a_body(header: str) -> None:
    """
    A check with a body is refused at once. The server doesn't wait for the body, and
    the room is free again.
    """
    telling = _full()
    check = f"GET /-/health/live HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n"
    slow = telling.server.connectTransport("203.0.113.1")
    slow.put(check.encode("ascii"))
    telling.server.run()
    assert parseResponse(slow.take()).status == 413
    assert slow.closedForWriting
    assert len(telling.factory.spare) == 0


def test_one_check_a_connection() -> None:
    """
    A connection in the extra room gets one answer: a full server closes it then.
    """
    telling = Telling(max_connections=1)
    server = telling.server
    server.connect()
    transport = server.connectTransport()
    transport.put(b"GET /-/health/live HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    server.run()
    answer = transport.take()
    server.run()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nconnection: close\r\n" in answer.lower()
    assert transport.lost


def test_full() -> None:
    """
    A full server isn't ready.
    """
    telling = Telling(max_connections=2)
    assert whyNotReady(telling) is None
    client = telling.server.connect()
    telling.server.connect()
    assert whyNotReady(telling) == "full: max-connections"
    client.close()
    assert whyNotReady(telling) is None
