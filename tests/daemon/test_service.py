"""
The service's readiness, and its draining apart from its stop.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.server.kit import App, handshake, parseResponse
from tests.server.test_stopping import Endpoint, Port, Starting, fired, makeService


def test_ready() -> None:
    """
    It is ready once it listens everywhere and all applications have started, and no
    more from the beginning of draining.
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


@pytest.mark.parametrize(
    ("forGood", "code", "reason"),
    [(False, 1012, b"the server restarts"), (True, 1001, b"the server is stopping")],
)
def test_drain(forGood: bool, code: int, reason: bytes) -> None:
    """
    The ports are closed, the connections get the code, and new ones a 503; the
    applications go on until the service stops.
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
    """
    A stop that comes meanwhile waits for the draining, and doesn't begin another.
    """
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
    """
    An endpoint that listens only after the stop is closed at once.
    """
    listening: Deferred[Any] = Deferred()
    service = makeService([App()], [Endpoint(listening)])
    service.startService()
    assert fired(service.stopService())
    calls: list[str] = []
    listening.callback(Port(calls))
    assert calls == ["port"]


def test_port_that_does_not_close_well() -> None:
    """
    What fails at a port's end is logged, and the stop goes on.
    """

    class Broken(Port):
        def stopListening(self) -> None:
            raise OSError("no way")

    from twisted.logger import capturedLogs

    service = makeService([App()], [Endpoint(Broken([]))])
    service.startService()
    with capturedLogs() as events:
        assert fired(service.stopService())
    (failed,) = (event for event in events if "log_failure" in event)
    assert failed["log_failure"].check(OSError)
