"""Stopping: the draining of all connections, and the service (DESIGN section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from twisted.application.service import MultiService
from twisted.internet.address import HostnameAddress, IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.task import Clock
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from tests.server.kit import (
    HOST,
    App,
    Logs,
    Recorder,
    frame,
    handshake,
    parseResponse,
    raw,
    serve,
)
from wsplug import ConnectionClosed, Mount, Settings, Side, WebSocketService
from wsplug.errors import InvalidOption, StartupError
from wsplug.testing import MemoryServer, MemoryTransport

# Closing all connections


def fired(deferred: Deferred[Any]) -> bool:
    """Return whether a Deferred has fired, with None, as it must."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results in ([], [None])
    return bool(results)


def test_close_all() -> None:
    """All connections get 1001 and a reason. When they have closed, the applications
    are stopped."""
    server = serve()
    clients = [server.connect() for _ in range(5)]
    done = server.stop()
    assert all(each.closed == (1001, "the server is stopping") for each in clients)
    assert fired(done)
    assert isinstance(server.application, App)
    assert server.application.calls == ["start", "stop"]
    assert not server.clock.getDelayedCalls()


def test_close_none() -> None:
    """Without connections, closing is done at once."""
    server = serve()
    assert fired(server.factory.closeConnections())
    assert not server.clock.getDelayedCalls()


def test_close_in_batches() -> None:
    """Many connections are closed in batches: others are served in between, and the
    clients don't all reconnect at the same moment."""
    server = serve(max_connections=5000)
    clients = [server.connect() for _ in range(1200)]
    for client in clients:
        client.stopReading()
    closed = [id(each) for each in server.factory.connections if each.bufferedAmount]
    assert closed == []
    done = server.factory.closeConnections("maintenance")

    def told() -> int:
        server.clock.advance(0)
        return sum(1 for each in clients if each.transport._out)

    # Of 3 seconds for 5000 connections, 0.72 in batches of 84, each 0.05 on average.
    counts = [told()]
    while counts[-1] < 1200:
        # Finely: each batch is seen up to a step late, and their pauses are random.
        server.clock.advance(0.005)
        counts.append(told())
    sizes = {later - earlier for earlier, later in pairwise(counts)}
    assert sizes <= {0, 84, 1200 % 84}
    assert 0.5 < 0.005 * len(counts) < 1
    for client in clients:
        client.startReading()
    assert all(each.closed == (1001, "maintenance") for each in clients)
    assert fired(done)


def test_served_until_told() -> None:
    """A connection is served as usual until its turn to close."""
    server = serve(max_connections=5000)
    clients = [server.connect() for _ in range(501)]
    app = server.application
    assert isinstance(app, App)
    server.factory.closeConnections()
    waiting = [each for each in clients if each.closed is None]
    for client in waiting:
        client.sendBytes(frame(b"x"))
    server.advance(1)
    assert all(client.closed for client in clients)


def test_stop_timeout() -> None:
    """A client that doesn't answer is aborted at the stop timeout."""
    recorder = Recorder()
    server = serve(recorder, close_timeout=0, stop_timeout=10)
    client = server.connect()
    client.stopReading()
    other = raw(server, b"GET / HTTP")  # a handshake that goes on for ever
    done = server.stop()
    server.advance(9.875)
    assert not client.transport.lost
    assert not fired(done)
    server.advance(0.25)
    assert client.transport.aborted
    assert other.lost
    assert recorder.closed.setting == "stop-timeout"
    assert not server.clock.getDelayedCalls()


def test_stop_timeout_off() -> None:
    """Without a stop timeout, the stop waits for the last connection."""
    server = serve(close_timeout=0, stop_timeout=0)
    client = server.connect()
    client.stopReading()
    done = server.stop()
    server.advance(100)
    assert not fired(done)
    client.startReading()
    assert not server.factory.connections


def test_handshakes_meanwhile(logs: Logs) -> None:
    """While the server stops, a new connection gets 503 with Retry-After, and the stop
    waits until it has closed."""
    server = serve()
    client = server.connect()
    client.stopReading()
    done = server.stop()
    late = raw(server, handshake())
    response = parseResponse(late.take())
    assert (response.status, response.body) == (503, b"the server is stopping\n")
    assert response.all("retry-after") == ["5"]
    assert len(logs.events("refused: 503")) == 1
    client.startReading()
    assert not fired(done)
    late.shut()
    server.run()
    assert late.lost


def test_handshakes_under_way() -> None:
    """An unfinished handshake gets 503, and the application's answer is cancelled."""
    cancelled: list[object] = []
    answer: Deferred[Recorder] = Deferred(cancelled.append)
    server = MemoryServer(App(lambda _: answer))
    waiting = raw(server, handshake())
    begun = raw(server, handshake()[:20])
    silent = server.connectTransport()
    done = server.stop()
    assert cancelled == [answer]
    for transport in (waiting, begun, silent):
        response = parseResponse(transport.take())
        assert (response.status, response.all("retry-after")) == (503, ["5"])
        transport.shut()
    server.run()
    assert fired(done)
    assert not server.clock.getDelayedCalls()


def test_page_in_progress() -> None:
    """A page in progress is finished first; idle connections are closed at once."""
    later: list[Request] = []

    class Slow(Resource):
        isLeaf = True

        def render_GET(self, request: Request) -> int:
            later.append(request)
            return NOT_DONE_YET

    server = serve()
    site = Site(Slow(), reactor=server.clock)  # type: ignore[no-untyped-call]
    server.factory.site = site
    page = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    transport = raw(server, page + handshake())
    done = server.stop()
    server.advance(3)
    assert not transport.lost
    later[0].write(b"page")
    later[0].finish()
    server.run()
    assert b"page" in transport.take()
    server.run()
    assert transport.lost
    assert fired(done)
    app = server.application
    assert isinstance(app, App)
    assert app.requests == []


CHUNKED = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello"
SIZED = "Content-Length: 100\r\n\r\nhello"


@pytest.mark.parametrize("body", [CHUNKED, SIZED], ids=["chunked", "sized"])
def test_unfinished_body(body: str) -> None:
    """A request with an incomplete body has a second to complete, not the time of a
    page in progress. Then its client gets 503, which it can read while it still
    sends."""
    server = serve(close_timeout=2, stop_timeout=10)
    server.factory.site = Site(Resource(), reactor=server.clock)
    transport = raw(server, f"POST / HTTP/1.1\r\nHost: {HOST}\r\n{body}".encode())
    done = server.stop()
    server.advance(0.875)
    assert transport.take() == b""
    server.advance(0.375)
    response = parseResponse(transport.take())
    assert (response.status, response.body) == (503, b"the server is stopping\n")
    transport.put(b"x" * 200_000)
    transport.step()
    assert not transport.lost
    server.advance(2.25)
    assert transport.lost
    assert fired(done)


@pytest.mark.parametrize(
    "rest", [b"", b"5\r\nagain\r\n0\r\n\r\n"], ids=["late", "whole"]
)
def test_body_on_its_way(rest: bytes) -> None:
    """If another process already listens, the rest of a body has the short time that
    requests have."""
    server = serve()
    server.factory.site = Site(Resource(), reactor=server.clock)
    post = f"POST / HTTP/1.1\r\nHost: {HOST}\r\n{CHUNKED}\r\n".encode()
    transport = raw(server, post)
    done = server.factory.closeConnections(patience=1.5)
    server.advance(1)
    assert transport.take() == b""
    if rest:
        transport.put(rest)
        transport.step()
    else:
        server.advance(1)
    # Such a site has no page for it.
    assert parseResponse(transport.take()).status == (404 if rest else 503)
    transport.shut()
    transport.step()
    server.run()
    assert fired(done)


def test_close_twice() -> None:
    """Closing a second time is an error."""
    server = serve()
    server.factory.closeConnections()
    with pytest.raises(RuntimeError, match="already"):
        server.factory.closeConnections()


# The service


@implementer(IListeningPort)
class Port:
    """A port that doesn't listen."""

    def __init__(self, calls: list[str], wait: Deferred[None] | None = None) -> None:
        self.calls = calls
        self.wait = wait

    def startListening(self) -> None:
        raise NotImplementedError

    def stopListening(self) -> Deferred[None] | None:
        self.calls.append("port")
        return self.wait

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.2", 9000)


@implementer(IStreamServerEndpoint)
class Endpoint:
    """An endpoint that listens, or fails, when the test says so."""

    def __init__(self, result: Any = None) -> None:
        self.calls: list[str] = []
        self.result = result if result is not None else Port(self.calls)
        self.factories: list[Any] = []

    def listen(self, protocolFactory: Any) -> Any:
        self.factories.append(protocolFactory)
        if isinstance(self.result, Deferred):
            return self.result
        if isinstance(self.result, Exception):
            return fail(self.result)
        return succeed(self.result)

    def connect(self, data: bytes) -> MemoryTransport:
        """Connect a client that sends bytes."""
        address = IPv4Address("TCP", "192.0.2.1", 50000)
        transport = MemoryTransport(address, address)
        transport.attach(self.factories[0].buildProtocol(address))
        transport.put(data)
        transport.step()
        return transport


class Starting(App):
    """An application that takes time to start and stop."""

    def __init__(self, name: str, calls: list[str], start: Any = None) -> None:
        super().__init__()
        self.name = name
        self.log = calls
        self.start = start
        self.stop: Any = None

    def startApplication(self) -> Any:
        self.log.append(f"start {self.name}")
        if isinstance(self.start, BaseException):
            raise self.start
        return self.start

    def stopApplication(self) -> Any:
        self.log.append(f"stop {self.name}")
        if isinstance(self.stop, BaseException):
            raise self.stop
        return self.stop


def makeService(
    applications: Sequence[App], endpoints: Sequence[Any], **settings: Any
) -> WebSocketService:
    mounts = [
        Mount(f"/{number}", application, f"app{number}")
        for number, application in enumerate(applications)
    ]
    return WebSocketService(
        mounts, endpoints, reactor=Clock(), settings=Settings(**settings)
    )


def test_service(logs: Logs) -> None:
    """The service listens, serves, and stops: first the ports, then the connections,
    then the applications, the last one first."""
    calls: list[str] = []
    apps = [Starting("a", calls), Starting("b", calls)]
    endpoint = Endpoint()
    endpoint.result.calls = calls
    service = makeService(apps, [endpoint])
    service.privilegedStartService()
    assert len(endpoint.factories) == 1
    assert calls == []
    service.startService()
    assert len(endpoint.factories) == 1
    assert calls == ["start a", "start b"]
    assert logs.lines("listening") == ["listening on 192.0.2.2:9000"]
    transport = endpoint.connect(handshake("GET /1 HTTP/1.1"))
    assert parseResponse(transport.take()).status == 101
    recorder = apps[1].recorders[0]
    recorder.answers["lost"] = lambda _: calls.append("lost")
    stopping = service.stopService()
    assert calls[2:] == ["port"]
    assert logs.lines("closing") == ["closing 1 connections"]
    assert not fired(stopping)
    transport.abortConnection()
    assert calls[2:] == ["port", "lost", "stop b", "stop a"]
    assert service.ports == []
    closed: ConnectionClosed = recorder.closed
    assert (closed.code, closed.side) == (1001, Side.SERVER)


def test_listening_elsewhere(logs: Logs) -> None:
    """An endpoint of a plugin has the usual name in the log, which says that its
    clients may be exempt from all limits."""

    class OnionPort(Port):
        def getHost(self) -> Any:
            return HostnameAddress(b"abc.onion", 80)

    service = makeService([App()], [Endpoint(OnionPort([])), Endpoint()])
    service.startService()
    assert logs.lines("listening") == [
        "listening on abc.onion:80",
        "listening on 192.0.2.2:9000",
    ]
    (warning,) = logs.events("may have one address")
    assert warning["setting"] == "exempt"
    assert warning["address"] == "abc.onion:80"
    service.stopService()


def test_service_without_privileges() -> None:
    """startService listens, too, if privilegedStartService wasn't called."""
    endpoints = [Endpoint(), Endpoint()]
    service = makeService([App()], endpoints)
    service.startService()
    assert [len(each.factories) for each in endpoints] == [1, 1]
    assert len(service.ports) == 2
    assert fired(service.stopService())
    assert [each.calls for each in endpoints] == [["port"], ["port"]]


def test_start_after_stop() -> None:
    """A service that was stopped refuses to start again."""
    calls: list[str] = []
    service = makeService([Starting("a", calls)], [Endpoint()])
    service.startService()
    assert fired(service.stopService())
    for start in (service.privilegedStartService, service.startService):
        with pytest.raises(StartupError, match="stopped can't be started again"):
            start()
    assert not service.running
    assert calls == ["start a", "stop a"]


def test_stop_while_the_broker_opens() -> None:
    """Stopping waits for a broker that is still opening, and then stops it."""
    opening: Deferred[None] = Deferred()
    calls: list[str] = []

    class Slow:
        def start(self) -> Deferred[None]:
            return opening

        def stop(self) -> Deferred[None]:
            calls.append("broker stopped")
            return succeed(None)

    service = makeService([App()], [Endpoint()])
    service._broker = Slow()  # type: ignore[assignment]
    service.startService()
    stopping = service.stopService()
    assert not fired(stopping)
    opening.callback(None)
    assert fired(stopping)
    assert calls == ["broker stopped"]


def test_stop_while_applications_start(logs: Logs) -> None:
    """Stopping waits for applications that are still starting, and stops each once it
    has started. One that fails then is logged, and not waited for."""
    calls: list[str] = []
    apps = [Starting(name, calls) for name in "abc"]
    apps[1].start, apps[2].start = Deferred(), Deferred()
    service = makeService(apps, [Endpoint()])
    service.startService()
    stopping = service.stopService()
    assert calls == ["start a", "start b", "start c", "stop a"]
    apps[1].start.callback(None)
    assert calls[4:] == ["stop b"]
    assert not fired(stopping)
    apps[2].start.errback(ZeroDivisionError())
    assert fired(stopping)
    assert calls[5:] == []
    (failure,) = logs.failures()
    assert failure.check(ZeroDivisionError)
    assert nothingLeft(service)


@pytest.mark.parametrize("ignores", [False, True], ids=["cancelled", "ignored"])
def test_stop_while_an_application_starts_for_ever(logs: Logs, ignores: bool) -> None:
    """Stopping waits no longer than the stop timeout for an application to start, logs
    its name, and cancels it."""
    cancelled: list[str] = []
    never: Deferred[None] = Deferred()

    async def start() -> None:
        try:
            await Deferred()
        finally:
            cancelled.append("start")
            if ignores:
                await never

    app = App()
    app.startApplication = start  # type: ignore[method-assign]
    service = makeService([app], [Endpoint()], stop_timeout=3.0)
    service.startService()
    stopping = service.stopService()
    advance(service, 2.5)
    assert (fired(stopping), cancelled) == (False, [])
    advance(service, 0.75)
    assert (fired(stopping), cancelled) == (True, ["start"])
    assert logs.lines("app0") == [
        "app0 is still starting after 3 seconds; the server ends without it"
    ]
    assert nothingLeft(service)


@pytest.mark.parametrize("late", [False, True], ids=["in time", "never"])
def test_stop_before_the_broker_has_started(logs: Logs, late: bool) -> None:
    """An application that waits for the broker isn't started any more. A broker that
    takes too long is waited for no longer than the stop timeout."""
    opening: Deferred[None] = Deferred()
    calls: list[str] = []

    class Slow:
        def start(self) -> Deferred[None]:
            return opening

        def stop(self) -> Deferred[None]:
            calls.append("broker stopped")
            return succeed(None)

    service = makeService([Starting("a", calls)], [Endpoint()], stop_timeout=3.0)
    service._broker = Slow()  # type: ignore[assignment]
    service.startService()
    stopping = service.stopService()
    if late:
        advance(service, 3.25)
        assert logs.lines("the broker is still starting") != []
    else:
        opening.callback(None)
    assert fired(stopping)
    assert calls == ([] if late else ["broker stopped"])
    assert nothingLeft(service)


@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
def test_broker_that_fails_somehow(logs: Logs, late: bool) -> None:
    """Whatever a broker's start fails with, the caller gets the error, or the service
    stops and logs it."""
    opening: Deferred[None] = Deferred()

    class Broken:
        def start(self) -> Deferred[None]:
            return opening if late else fail(LookupError("unknown encoding"))

    service = makeService([], [Endpoint()])
    service._broker = Broken()  # type: ignore[assignment]
    if late:
        service.startService()
        opening.errback(LookupError("unknown encoding"))
        assert not service.running
    else:
        with pytest.raises(StartupError, match="starting failed: unknown encoding"):
            service.startService()
    (failure,) = logs.failures()
    assert failure.check(LookupError)
    assert nothingLeft(service)


def advance(service: WebSocketService, seconds: float) -> None:
    """Let time pass."""
    clock: Any = service.factory.clock
    clock.pump([0.125] * int(seconds * 8))


def nothingLeft(service: WebSocketService) -> bool:
    """Return whether no delayed call is left."""
    clock: Any = service.factory.clock
    return not clock.getDelayedCalls()


def test_service_in_a_tree() -> None:
    """The service works in a service tree like any other."""
    parent = MultiService()
    calls: list[str] = []
    service = makeService([Starting("a", calls)], [Endpoint()])
    service.setServiceParent(parent)  # type: ignore[no-untyped-call]
    parent.startService()
    assert service.running
    parent.stopService()
    assert calls == ["start a", "stop a"]


def test_stop_waits_for_ports() -> None:
    """Connections are closed after the ports."""
    wait: Deferred[None] = Deferred()
    calls: list[str] = []
    service = makeService([Starting("a", calls)], [Endpoint(Port(calls, wait))])
    service.startService()
    stopping = service.stopService()
    assert calls == ["start a", "port"]
    wait.callback(None)
    assert fired(stopping)
    assert calls == ["start a", "port", "stop a"]


def test_stop_of_an_application_for_ever(logs: Logs) -> None:
    """An application's stop has the stop timeout, and then is cancelled; the log names
    the application. The next one is stopped, too."""
    calls: list[str] = []
    apps = [Starting(name, calls) for name in "ab"]
    cancelled: list[object] = []
    apps[1].stop = Deferred(cancelled.append)
    service = makeService(apps, [Endpoint()], stop_timeout=3.0)
    service.startService()
    stopping = service.stopService()
    advance(service, 2.5)
    assert (calls[2:], cancelled, fired(stopping)) == (["stop b"], [], False)
    advance(service, 0.75)
    assert (calls[3:], len(cancelled), fired(stopping)) == (["stop a"], 1, True)
    assert logs.lines("app1 is still") == [
        "app1 is still stopping after 3 seconds; the server ends without it"
    ]
    assert logs.failures() == []
    assert nothingLeft(service)


def test_late_failure(logs: Logs) -> None:
    """If a stop fails after its time, or when it is cancelled, the failure is
    logged."""
    app = Starting("a", [])
    app.stop = Deferred(lambda stop: stop.errback(ZeroDivisionError()))
    service = makeService([app], [Endpoint()], stop_timeout=3.0)
    service.startService()
    stopping = service.stopService()
    advance(service, 3.25)
    assert fired(stopping)
    (failure,) = logs.failures()
    assert failure.check(ZeroDivisionError)


class Stuck:
    """A broker that stops when the test says so."""

    def __init__(self) -> None:
        self.stopped: Deferred[None] = Deferred()

    def start(self) -> None:
        """It has."""

    def stop(self) -> Deferred[None]:
        return self.stopped


@pytest.mark.parametrize("timeout", [0.0, 3.0], ids=["off", "on"])
@pytest.mark.parametrize("what", ["port", "client", "start", "stop", "broker"])
def test_hurry(what: str, timeout: float, logs: Logs) -> None:
    """A second signal ends all waits at once, and later ones have at most a second,
    with and without a stop timeout."""
    app = Starting("a", [])
    port: Any = Port([], Deferred() if what == "port" else None)
    endpoint = Endpoint(port)
    service = makeService([app], [endpoint], stop_timeout=timeout, close_timeout=0)
    broker = Stuck()
    service._broker = broker  # type: ignore[assignment]
    if what == "start":
        app.start = Deferred()
    else:
        app.stop = Deferred()
    service.startService()
    transport = None
    if what == "client":
        transport = endpoint.connect(handshake())  # it never answers
    stopping = service.stopService()
    if what == "broker":
        app.stop.callback(None)
    advance(service, 2)
    assert not fired(stopping)
    service.hurry()
    assert transport is None or transport.lost
    advance(service, 2.5)
    assert fired(stopping)
    assert nothingLeft(service)
    named = {
        "port": [],  # it has begun to close, which is enough
        "start": ["app0 is still starting"],
        "stop": ["app0 is still stopping"],
        "broker": ["the broker is still stopping"],
        "client": [],
    }
    ends = "; the server ends without it"
    assert [line for line in logs.lines(" is still ") if " after " not in line] == [
        line + ends for line in named[what]
    ]
    service.hurry()  # it is of no other effect


def test_port_for_ever(logs: Logs) -> None:
    """A port that never closes is waited for no longer than the stop timeout."""
    service = makeService([], [Endpoint(Port([], Deferred()))], stop_timeout=3.0)
    service.startService()
    stopping = service.stopService()
    advance(service, 3.25)
    assert fired(stopping)
    assert logs.lines("the port") == [
        "the port 192.0.2.2:9000 is still closing after 3 seconds; the server ends "
        "without it"
    ]


def test_stop_twice() -> None:
    """A second stop does nothing, whether the first is done or not, and neither does
    the stop of a service that never ran."""
    calls: list[str] = []
    app = Starting("a", calls)
    app.stop = Deferred()
    service = makeService([app], [Endpoint()])
    assert fired(service.stopService())
    service.startService()
    first = service.stopService()
    second = service.stopService()
    assert not fired(first)
    app.stop.callback(None)
    assert fired(first)
    assert fired(second)
    assert fired(service.stopService())
    assert calls == ["start a", "stop a"]


def test_stop_of_a_failing_application(logs: Logs) -> None:
    """If an application fails to stop, that is logged, and the others are stopped."""
    calls: list[str] = []
    apps = [Starting("a", calls), Starting("b", calls), Starting("c", calls)]
    apps[1].stop = KeyError("b")
    apps[2].stop = fail(SystemExit("c"))
    service = makeService(apps, [Endpoint()])
    service.startService()
    assert fired(service.stopService())
    assert calls[3:] == ["stop c", "stop b", "stop a"]
    assert len(logs.failures()) == 2
    assert logs.lines("failed while stopping") == [
        "app2 failed while stopping",
        "app1 failed while stopping",
    ]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            CannotListenError("", 80, OSError(98, "Address already in use")),
            "can't listen on the port: Address already in use",
        ),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (ValueError("no such\nthing"), "no such thing"),
        (RuntimeError(), "RuntimeError"),
    ],
)
@pytest.mark.parametrize("privileged", [True, False])
def test_listen_fails(error: Exception, words: str, privileged: bool) -> None:
    """If listening fails, the error is Twisted's, and a StartupError in one line."""
    service = makeService([App()], [("the port", Endpoint(error))])
    start = service.privilegedStartService if privileged else service.startService
    with pytest.raises(CannotListenError) as caught:
        start()
    assert isinstance(caught.value, StartupError)
    raised: Any = caught.value
    assert words in str(raised)
    assert "\n" not in str(raised)
    assert raised.code == str(raised)
    given: Any = error
    assert raised.socketError is getattr(given, "socketError", error)
    assert raised.port == getattr(given, "port", None)


def test_listen_fails_later(logs: Logs) -> None:
    """If an endpoint fails later, that is logged in one line, and the service stops."""
    listening: Deferred[Any] = Deferred()
    calls: list[str] = []
    other = Endpoint()
    service = makeService(
        [Starting("a", calls)], [other, ("the port", Endpoint(listening))]
    )
    service.startService()
    listening.errback(CannotListenError("", 80, OSError(98, "Address in use")))
    assert logs.lines("can't") == ["can't listen on the port: Address in use"]
    assert not service.running
    assert other.calls == ["port"]
    assert calls == ["start a", "stop a"]


@pytest.mark.parametrize("kind", [OSError, SystemExit, GeneratorExit])
@pytest.mark.parametrize("how", ["raise", "Deferred"])
def test_application_does_not_start(
    how: str, kind: type[BaseException], logs: Logs
) -> None:
    """If an application fails at once, the error is a StartupError with its text, and
    the log has the traceback."""
    error: Any = kind("no database")
    calls: list[str] = []
    start = error if how == "raise" else fail(error)
    service = makeService([Starting("a", calls, start)], [Endpoint()])
    with pytest.raises(StartupError) as caught:
        service.startService()
    assert str(caught.value) == "the application app0 did not start: no database"
    (failure,) = logs.failures()
    assert failure.check(kind)


def test_application_does_not_start_later(logs: Logs) -> None:
    """If an application fails later, that is logged, and the service and the other
    applications stop."""
    calls: list[str] = []
    start: Deferred[None] = Deferred()
    apps = [Starting("a", calls), Starting("b", calls, start)]
    endpoint = Endpoint()
    service = makeService(apps, [endpoint])
    service.startService()
    start.errback(OSError("no\ndatabase"))
    logs.failures()
    assert not service.running
    assert calls == ["start a", "start b", "stop a"]
    assert endpoint.calls == ["port"]
    (line,) = logs.lines("the application app1 did not start: no")
    assert "\n" not in line


def test_nobody_is_served_before_all_have_started() -> None:
    """Requests that arrive while an application starts wait, without reading more from
    their connections. They are served when all applications have started."""
    start: Deferred[None] = Deferred()
    calls: list[str] = []
    apps = [Starting("a", calls), Starting("b", calls, start)]
    endpoint = Endpoint()
    service = makeService(apps, [endpoint])
    service.startService()
    transports = [endpoint.connect(handshake("GET /0 HTTP/1.1")) for _ in range(3)]
    for transport in transports:
        assert not transport.reading
        assert transport.take() == b""
    assert apps[0].requests == []
    start.callback(None)
    for transport in transports:
        assert transport.reading
        assert parseResponse(transport.take()).status == 101
    later = endpoint.connect(handshake("GET /0 HTTP/1.1"))
    assert parseResponse(later.take()).status == 101


def test_stop_while_starting() -> None:
    """If the service stops before all applications have started, those that had are
    stopped, and the others once they have."""
    start: Deferred[None] = Deferred()
    calls: list[str] = []
    apps = [Starting("a", calls), Starting("b", calls, start)]
    endpoint = Endpoint()
    service = makeService(apps, [endpoint])
    service.startService()
    held = endpoint.connect(handshake("GET /0 HTTP/1.1"))
    stopping = service.stopService()
    held.step()
    assert parseResponse(held.take()).status == 503
    held.shut()
    held.step()
    assert calls == ["start a", "start b", "stop a"]
    assert not fired(stopping)
    start.callback(None)
    assert calls[3:] == ["stop b"]
    assert fired(stopping)


def test_coroutines() -> None:
    """startApplication and stopApplication may be coroutines (DESIGN section 2)."""
    calls: list[str] = []

    class Coroutines(App):
        async def startApplication(self) -> None:
            calls.append("start")

        async def stopApplication(self) -> None:
            calls.append("stop")

    service = makeService([Coroutines()], [Endpoint()])
    service.startService()
    assert fired(service.stopService())
    assert calls == ["start", "stop"]


def test_same_path() -> None:
    """Two applications at one path are a configuration error."""
    mounts = [Mount("/a", App(), "one"), Mount("/a/", App(), "two")]
    with pytest.raises(InvalidOption, match="one and two are both mounted at /a"):
        WebSocketService(mounts, [], reactor=Clock())
