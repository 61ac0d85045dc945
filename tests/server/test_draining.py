"""Draining: in which order and how fast connections are closed, and which ones are
served meanwhile."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from tests.server.kit import App, Logs, Recorder, frame, handshake, parseResponse, raw
from tests.server.kit import serve as serveApp
from wsplug import Settings, Side
from wsplug.apps.chat.notices import isServerShutdown
from wsplug.errors import ConnectionClosed
from wsplug.server.deadlines import Deadlines
from wsplug.server.draining import Draining
from wsplug.testing import MemoryClient, MemoryServer

PAGE = b"GET / HTTP/1.1\r\nHost: server.example:9000\r\n\r\n"
RESTART = ("the server restarts", 1012)


def fired(deferred: Deferred[Any]) -> bool:
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results in ([], [None])
    return bool(results)


def crowd(count: int, **settings: Any) -> tuple[MemoryServer, list[MemoryClient]]:
    """A server with many clients."""
    server = serveApp(max_connections=20_000, **settings)
    return server, [server.connect() for _ in range(count)]


class Told:
    """A connection that records when it is closed."""

    def __init__(self, order: list[Told]) -> None:
        self.order = order

    def close(self, code: int, reason: str, side: Side) -> None:
        self.order.append(self)


def drain(count: int, **settings: Any) -> tuple[Clock, list[Told], list[Told]]:
    """Start to drain connections in a list, which unlike the factory's set has an
    order. Return the clock, the connections, and those that are closed already."""
    clock = Clock()
    order: list[Told] = []
    connections: Any = {Told(order): None for _ in range(count)}
    draining = Draining(
        connections.keys(),
        set(),
        clock=clock,
        deadlines=Deadlines(clock),
        settings=Settings(**{"stop_timeout": 0.0, **settings}),
        code=1001,
        reason="",
        random=Random(1),
    )
    draining.begin()
    return clock, list(connections), order


def test_a_handful_at_once() -> None:
    """A hundred connections are closed at the same moment."""
    server, clients = crowd(100)
    done = server.factory.closeConnections(*RESTART)
    server.run()
    assert all(each.closed == (1012, "the server restarts") for each in clients)
    assert fired(done)
    assert not server.clock.getDelayedCalls()


@pytest.mark.parametrize(
    ("settings", "low", "high"),
    [
        ({}, 0.55, 0.7),
        ({"drain_time": 30.0}, 5, 7),
        ({"drain_time": 0.0}, 0, 0),
        ({"drain_time": 0.1}, 0, 0),
        ({"drain_time": 3600.0, "stop_timeout": 8.0}, 3.5, 4.5),
        ({"drain_time": 20.0}, 3.5, 4.5),
    ],
    ids=["default", "longer", "off", "short", "over the deadline", "no deadline"],
)
def test_drain_time(settings: dict[str, Any], low: float, high: float) -> None:
    """Draining takes a part of the drain time, in proportion to the number of
    connections, but at most half of the time to the deadline."""
    clock, connections, order = drain(1000, **settings)
    while len(order) < len(connections):
        clock.advance(1 / 128)
    assert low <= clock.seconds() <= high


def test_in_no_order() -> None:
    """Connections aren't closed in the order in which they opened."""
    clock, came, order = drain(1000)
    assert len(order) == 84
    places = [came.index(each) for each in order]
    assert places != sorted(places)
    assert max(places) > 500
    clock.pump([0.125] * 16)
    assert set(order) == set(came)
    assert len(order) == 1000


def test_count_down(logs: Logs) -> None:
    """The log says how many connections are left, and how many seconds; nothing if none
    is left."""
    server, clients = crowd(3, stop_timeout=5.0, close_timeout=0.0)
    for client in clients:
        client.stopReading()
    server.factory.closeConnections()
    server.advance(2.25)
    assert logs.lines("left") == [
        "3 connections are left, with 4 seconds to close",
        "3 connections are left, with 3 seconds to close",
    ]
    clients[0].startReading()
    server.advance(1)
    assert logs.lines("2 connections") == [
        "2 connections are left, with 2 seconds to close"
    ]
    server.advance(3)
    assert not server.factory.connections
    assert not server.clock.getDelayedCalls()


def test_count_without_deadline(logs: Logs) -> None:
    """Without a stop timeout, the log only says how many connections are left."""
    server, clients = crowd(1, stop_timeout=0.0, close_timeout=0.0)
    clients[0].stopReading()
    server.factory.closeConnections()
    server.advance(1.25)
    assert logs.lines("left") == ["1 connections are left"]


def test_untold_at_the_deadline() -> None:
    """A connection that is aborted before its turn has the drain's code, too, and the
    setting that caused it."""
    recorders = [Recorder() for _ in range(200)]
    left = list(recorders)
    server = MemoryServer(App(lambda _: left.pop()), settings=Settings(drain_time=60))
    for _ in range(200):
        server.connect()
    done = server.factory.closeConnections(*RESTART)
    server.factory.abortConnections()
    assert fired(done)
    server.run()
    assert not server.clock.getDelayedCalls()
    for recorder in recorders:
        closed: ConnectionClosed = recorder.closed
        assert (closed.code, closed.reason) == (1012, "the server restarts")
        assert (closed.side, closed.setting) == (Side.SERVER, "stop-timeout")
        assert recorder.failure is not None
        assert isServerShutdown(recorder.failure)


def test_aborted_in_vain(logs: Logs) -> None:
    """A connection that a defect keeps alive even after an abort doesn't keep the
    server from ending, and the log says so."""

    class Stuck(Told):
        closing = SimpleNamespace(abort=lambda *_: None)

    clock = Clock()
    deadlines = Deadlines(clock)
    connections: Any = {Stuck([])}
    draining = Draining(
        connections,
        set(),
        clock=clock,
        deadlines=deadlines,
        settings=Settings(stop_timeout=3.0),
        code=1001,
        reason="",
    )
    done = draining.begin()
    clock.pump([0.25] * 31)
    assert not done.called
    clock.pump([0.25] * 4)
    assert fired(done)
    assert len(logs.lines("1 aborted connections have not closed")) == 1
    assert not clock.getDelayedCalls()


def test_not_done_before_nobody_can_come() -> None:
    """If ports close later, the drain waits for them, and for the connections that
    arrive meanwhile."""
    server = serveApp()
    after: Deferred[None] = Deferred()
    done = server.factory.closeConnections(after=after)
    late = raw(server, handshake())
    assert parseResponse(late.take()).status == 503
    after.callback(None)
    assert not fired(done)
    late.shut()
    server.run()
    assert fired(done)
    assert not server.clock.getDelayedCalls()


def test_patience() -> None:
    """With patience, connections that exist already are served for a moment: before
    their request, within it, and while the application decides."""
    answer: Deferred[Recorder] = Deferred()
    answers: list[Any] = [answer]
    server = MemoryServer(App(lambda _: answers.pop() if answers else Recorder()))
    waiting = raw(server, handshake())
    silent = server.connectTransport()
    begun = raw(server, handshake()[:20])
    done = server.factory.closeConnections(*RESTART, patience=1.5)
    server.advance(1)
    late = raw(server, b"")
    for transport, data in (
        (silent, handshake()),
        (begun, handshake()[20:]),
        (late, handshake()),
    ):
        transport.put(data)
        transport.step()
    answer.callback(Recorder())
    server.run()
    for transport in (waiting, silent, begun, late):
        response = parseResponse(transport.take())
        assert response.status == 101
        assert response.body == b"\x88\x15\x03\xf4the server restarts"
        transport.put(frame(b"\x03\xf4", 0x88))
    server.run()
    assert fired(done)
    assert not server.clock.getDelayedCalls()


def test_patience_ends() -> None:
    """A connection that sends no request in that time gets 503, as does one that
    arrives just before the port closes."""
    server = serveApp()
    transports = [server.connectTransport(), raw(server, handshake()[:20])]
    done = server.factory.closeConnections(*RESTART, patience=1.5)
    server.advance(1.25)
    assert all(each.take() == b"" for each in transports)
    server.advance(0.5)
    for transport in transports:
        response = parseResponse(transport.take())
        assert (response.status, response.body) == (503, b"the server restarts\n")
        assert response.all("retry-after") == ["5"]
        transport.shut()
    server.run()
    assert fired(done)


def test_no_patience_while_held() -> None:
    """Before the applications have started, nothing would serve the connections: they
    get 503 at once."""
    server = serveApp()
    server.factory.awaitStart()
    transport = raw(server, handshake())
    server.factory.closeConnections(patience=1.5)
    server.run()
    assert parseResponse(transport.take()).status == 503


def makePages(render: Any) -> MemoryServer:
    """A server with a page."""

    class Page(Resource):
        isLeaf = True

        def render_GET(self, request: Request) -> Any:
            return render(request)

        render_POST = render_GET

    server = serveApp()
    site = Site(Page(), reactor=server.clock)  # type: ignore[no-untyped-call]
    server.factory.site = site
    return server


def test_page_with_patience() -> None:
    """A page is served as usual, and its response says that the connection closes."""
    server = makePages(lambda _: b"page")
    transport = server.connectTransport()
    done = server.factory.closeConnections(*RESTART, patience=1.5)
    transport.put(PAGE)
    server.run()
    response = parseResponse(transport.take())
    assert (response.status, response.body) == (200, b"page")
    assert response.all("connection") == ["close"]
    server.run()
    assert transport.lost
    assert fired(done)


def test_idle_page_connection() -> None:
    """An idle connection between two pages is closed, with patience, too: clients have
    to expect that (RFC 9112 section 9.3)."""
    server = makePages(lambda _: b"page")
    transport = raw(server, PAGE)
    assert parseResponse(transport.take()).body == b"page"
    done = server.factory.closeConnections(*RESTART, patience=1.5)
    server.run()
    assert transport.lost
    assert fired(done)


def test_second_request_begun() -> None:
    """A connection on which the next request has begun gets an answer."""
    server = makePages(lambda _: b"page")
    transport = raw(server, PAGE + PAGE[:10])
    assert parseResponse(transport.take()).body == b"page"
    server.factory.closeConnections()
    server.run()
    assert parseResponse(transport.take()).status == 503


def test_upload_under_way() -> None:
    """A request whose body is still arriving is read and answered, and then the
    connection ends."""
    later: list[Request] = []

    def render(request: Request) -> Any:
        later.append(request)
        return NOT_DONE_YET

    server = makePages(render)
    head = b"POST / HTTP/1.1\r\nHost: server.example:9000\r\nContent-Length: 4\r\n\r\n"
    transport = raw(server, head + b"ab")
    done = server.factory.closeConnections(*RESTART)
    transport.put(b"cd" + handshake())
    server.run()
    (request,) = later
    content: Any = request.content
    assert content.read() == b"abcd"
    request.finish()
    server.run()
    response = parseResponse(transport.take())
    assert (response.status, response.all("connection")) == (200, ["close"])
    server.run()
    assert transport.lost
    assert fired(done)
