"""The service's readiness, and draining without a stop."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock

from tests.server.kit import App, Logs, handshake, parseResponse
from tests.server.test_stopping import Endpoint, Port, Starting, fired, makeService
from wsplug import Mount, WebSocketService
from wsplug.errors import StartupError
from wsplug.transport.sharing import SharedPort, SharingReactor
from wsplug.twistdservice import TwistdService


def test_ready() -> None:
    """It is ready once it listens everywhere and all applications have started.

    It is no longer ready once draining begins.
    """
    start: Deferred[None] = Deferred()
    listening: Deferred[Any] = Deferred()
    ready: list[bool] = []
    service = makeService(
        [App(), Starting("b", [], start)], [Endpoint(), Endpoint(listening)]
    )
    service.becameReady = lambda: ready.append(service.isReady)  # type: ignore[method-assign]
    assert not service.isReady
    service.startService()
    assert not service.isReady
    start.callback(None)
    assert not service.isReady
    listening.callback(Port([]))
    assert service.isReady
    assert ready == [True]
    drained = service.drain()
    assert not service.isReady
    assert fired(drained)
    assert not service.isReady
    assert fired(service.stopService())


class Hooked(WebSocketService):
    """Records which hooks are called."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.called: list[str] = []
        super().__init__(*arguments, **keywords)

    def becameReady(self) -> None:
        self.called.append("becameReady")

    def startRefused(self, error: StartupError) -> None:
        self.called.append("startRefused")

    def startFailed(self, error: StartupError) -> None:
        self.called.append("startFailed")

    def drainingStarted(self) -> None:
        self.called.append("drainingStarted")


def test_hooks(logs: Logs) -> None:
    """A subclass's hooks are called when it serves, when it drains, and when
    starting fails, at once or later.
    """

    def make(endpoint: Endpoint) -> Hooked:
        return Hooked([Mount("/", App())], [endpoint], reactor=Clock())

    service = make(Endpoint())
    service.startService()
    assert service.called == ["becameReady"]
    assert fired(service.drain())
    assert fired(service.stopService())
    assert service.called == ["becameReady", "drainingStarted"]

    service = make(Endpoint(StartupError("no")))
    with pytest.raises(StartupError):
        service.startService()
    assert service.called == ["startRefused"]

    listening: Deferred[Any] = Deferred()
    service = make(Endpoint(listening))
    service.startService()
    listening.errback(StartupError("late"))
    assert service.called == ["startFailed"]
    assert fired(service.stopService())


def test_hooks_are_enough() -> None:
    """C{twistd}'s service overrides none of the service's private methods."""
    private = {name for name in vars(WebSocketService) if name.startswith("_")}
    own = {name for name in vars(TwistdService) if not name.endswith("__")}
    assert not private & own


@pytest.mark.parametrize(
    ("forGood", "code", "reason"),
    [(False, 1012, b"the server restarts"), (True, 1001, b"the server is stopping")],
)
def test_drain(forGood: bool, code: int, reason: bytes) -> None:
    """The ports close, connections get the code, and new ones get a 503.

    The applications run until the service stops.
    """
    calls: list[str] = []
    app = Starting("a", calls)
    endpoint = Endpoint()
    service = makeService([app], [endpoint])
    service.startService()
    transport = endpoint.connect(handshake("GET /0 HTTP/1.1"))
    assert parseResponse(transport.take()).status == 101
    drained = service.drain(forGood)
    assert endpoint.calls == ["port"]
    again = service.drain()
    assert not fired(drained)
    late = endpoint.connect(handshake("GET /0 HTTP/1.1"))
    assert parseResponse(late.take()).status == 503
    late.abortConnection()
    clock: Any = service.factory.clock
    clock.advance(0)
    assert transport.take()[2:] == code.to_bytes(2, "big") + reason
    transport.abortConnection()
    assert fired(drained)
    assert fired(again)
    assert app.recorders[0].closed.code == code
    assert service.running
    assert calls == ["start a"]
    assert fired(service.stopService())
    assert calls == ["start a", "stop a"]


def test_stop_while_draining() -> None:
    """A stop during draining waits for it, and doesn't start another."""
    calls: list[str] = []
    app = Starting("a", calls)
    endpoint = Endpoint()
    service = makeService([app], [endpoint])
    service.startService()
    transport = endpoint.connect(handshake("GET /0 HTTP/1.1"))
    service.drain()
    stopped = service.stopService()
    assert not fired(stopped)
    transport.abortConnection()
    assert fired(stopped)
    assert app.recorders[0].closed.code == 1012
    assert endpoint.calls == ["port"]


def test_port_that_comes_too_late() -> None:
    """An endpoint that starts listening after the stop is closed at once."""
    listening: Deferred[Any] = Deferred()
    service = makeService([App()], [Endpoint(listening)])
    service.startService()
    assert fired(service.stopService())
    calls: list[str] = []
    listening.callback(Port(calls))
    assert calls == ["port"]


def test_port_that_does_not_close_well(logs: Logs) -> None:
    """A failure while a port closes is logged, and the stop continues."""

    class Broken(Port):
        def stopListening(self) -> None:
            raise OSError("no way")

    service = makeService([App()], [Endpoint(Broken([]))])
    service.startService()
    assert fired(service.stopService())
    (failure,) = logs.failures()
    assert failure.check(OSError)


class Adopting(MemoryReactorClock):
    """An in-memory reactor that adopts ports, as Twisted's do, into its own kind."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.adopted: list[tcp.Port] = []

    def adoptStreamPort(self, fd: int, family: int, factory: Any) -> tcp.Port:
        made: Any = tcp.Port
        port: tcp.Port = made._fromListeningDescriptor(self, fd, family, factory)
        port.startListening()
        self.adopted.append(port)
        return port


def test_shared_port() -> None:
    """With wsplug's own transport, a shared port listens only once all applications
    have started.
    """
    start: Deferred[None] = Deferred()
    reactor = Adopting()
    sharing = SharingReactor(reactor)
    service = WebSocketService(
        [Mount("/", Starting("a", [], start))],
        [TCP4ServerEndpoint(sharing, 0, interface="127.0.0.1")],
        reactor=reactor,
    )
    service.privilegedStartService()
    service.startService()
    assert reactor.adopted == []
    start.callback(None)
    (port,) = reactor.adopted
    assert service.isReady
    assert port.transport is not tcp.Server
    (shared,) = service.ports
    gaveWay: list[float] = []
    assert isinstance(shared, SharedPort)
    shared.giveWay = gaveWay.append  # type: ignore[method-assign,assignment]
    stopped = service.stopService()
    assert gaveWay == [1.5]
    assert service.factory.draining is not None
    assert service.factory.draining.patience == 1.5
    reactor.advance(1.25)
    assert not fired(stopped)
    assert port.connected
    reactor.advance(1)
    assert fired(stopped)
    assert not port.connected


def test_inherited_port() -> None:
    """An inherited socket is served with wsplug's own transport.

    Clients in its queue at the end stay there.
    """
    reactor = Adopting()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = AdoptedStreamServerEndpoint(
            reactor, os.dup(listener.fileno()), socket.AF_INET
        )
        service = WebSocketService([Mount("/", App())], [endpoint], reactor=reactor)
        service.startService()
        (port,) = reactor.adopted
        assert port.transport is not tcp.Server
        with socket.create_connection(listener.getsockname()) as client:
            stopped = service.stopService()
            # A client that was accepted before is still served.
            assert service.factory.draining is not None
            assert service.factory.draining.patience == 1.5
            reactor.advance(1)
            assert fired(stopped)
            assert not port.connected
            accepted, address = listener.accept()
            accepted.close()
            assert address == client.getsockname()


def test_address_taken_meanwhile() -> None:
    """If an address of a shared port can't be listened on in the end, that is a
    StartupError.
    """
    reactor = Adopting()
    sharing = SharingReactor(reactor)
    service = WebSocketService(
        [Mount("/", App())],
        [TCP4ServerEndpoint(sharing, 0, interface="127.0.0.1")],
        reactor=reactor,
    )
    service.privilegedStartService()
    (port,) = service.ports
    host: Any = port.getHost()
    error = CannotListenError("", host.port, OSError(98, "Address already in use"))

    def fail() -> None:
        raise error

    port.startListening = fail  # type: ignore[method-assign]
    with pytest.raises(CannotListenError) as caught:
        service.startService()
    assert isinstance(caught.value, StartupError)
    assert caught.value.port == host.port
    reason = f"can't listen on 127.0.0.1:{host.port}: Address already in use"
    assert str(caught.value) == reason
