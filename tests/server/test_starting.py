"""A factory starts and stops its applications (wsplug.server.applications)."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.server.kit import App, Logs, parseResponse, raw
from wsplug import Access, Mount, WebSocketFactory
from wsplug.errors import HandshakeRefused, StartupError
from wsplug.testing import MemoryServer


class Slow(App):
    """An application that takes time to start and to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.started: Deferred[None] = Deferred()
        self.stopped: Deferred[None] = Deferred()

    def startApplication(self) -> Any:
        super().startApplication()
        return self.started

    def stopApplication(self) -> Any:
        super().stopApplication()
        return self.stopped


class Bad(App):
    """An application that doesn't start."""

    def startApplication(self) -> Any:
        super().startApplication()
        raise RuntimeError("no database")


def make(*apps: Any) -> tuple[MemoryServer, Any]:
    """A server that hasn't started, and its factory."""
    server = MemoryServer(App())
    mounts = [Mount("/" + str(n or ""), app) for n, app in enumerate(apps)]
    factory = WebSocketFactory(
        mounts, clock=server.clock, access=Access(exempt=("192.0.2.1",))
    )
    server.factory = server._port = factory
    return server, factory


@pytest.mark.parametrize("origin", ["null", "*"])
def test_null(origin: str, logs: Logs) -> None:
    """
    The log says once that every page can have the origin null, where that is allowed.
    """
    mounts = [Mount("/", App())]
    access = Access((origin,))
    factory: Any = WebSocketFactory(mounts, clock=Clock(), access=access)
    factory.doStart()
    factory.doStart()
    count = 1 if origin == "null" else 0
    assert len(logs.lines("--origin null lets every page connect")) == count


def test_start_and_stop() -> None:
    """Applications start with the first port and stop with the last one, once each, and
    start again with the next port."""
    one, two = App(), App()
    _, factory = make(one, two)
    assert one.calls == []
    factory.doStart()
    factory.doStart()
    assert (one.calls, two.calls) == (["start"], ["start"])
    factory.doStop()
    assert one.calls == ["start"]
    factory.doStop()
    assert (one.calls, two.calls) == (["start", "stop"], ["start", "stop"])
    factory.doStart()
    assert one.calls == ["start", "stop", "start"]


def test_others_start_them() -> None:
    """With startsApplications=False, the factory doesn't start them."""
    app = App()
    clock = MemoryServer(App()).clock
    factory: Any = WebSocketFactory(
        [Mount("/", app)], clock=clock, startsApplications=False
    )
    fired: list[None] = []
    factory.doStart()
    factory.doStop()
    factory.whenStopped().addCallback(fired.append)
    assert app.calls == []
    assert fired == [None]


def test_nobody_is_served_before() -> None:
    """Clients that connect before the applications have started wait."""
    app = Slow()
    server, factory = make(app)
    factory.doStart()
    client = server.connect()
    assert not client.opened
    assert app.recorders == []
    app.started.callback(None)
    server.run()
    assert client.opened


def test_requests_before_are_counted() -> None:
    """What they send meanwhile counts towards max-incomplete-total."""
    app = Slow()
    server, factory = make(app)
    factory.doStart()
    data = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n"
    transport = raw(server, data + b"x" * 9000)
    assert factory.incompleteMessages.used == len(data) + 9000
    app.started.callback(None)
    server.run()
    assert parseResponse(transport.take()).status == 426
    assert factory.incompleteMessages.used == 0


def test_stop_waits_for_connections() -> None:
    """The applications run until the last connection has closed, although no port
    listens. Then they stop, and whenStopped fires."""
    app = Slow()
    server, factory = make(app)
    app.started.callback(None)
    factory.doStart()
    client, other = server.connect(), server.connect()
    stopped: list[None] = []
    factory.doStop()
    factory.whenStopped().addCallback(stopped.append)
    client.drop()
    server.advance(1)
    other.send("still there?")
    assert app.recorders[1].got("text") == ["still there?"]
    assert app.calls == ["start"]
    factory.closeConnections()
    server.advance(1)
    assert other.closed is not None
    assert app.calls == ["start", "stop"]
    assert stopped == []
    app.stopped.callback(None)
    assert stopped == [None]


def test_listening_again_once_all_were_closed() -> None:
    """If a port listens after all connections were closed and the applications have
    stopped, clients are served, and their connections can be closed again."""
    app = App()
    server, factory = make(app)
    for number in range(1, 3):
        factory.doStart()
        client = server.connect()
        client.send("hello")
        assert app.recorders[-1].got("text") == ["hello"]
        factory.doStop()
        closed = factory.closeConnections()
        server.advance(30)
        assert closed.called
        assert client.closed is not None
        assert app.calls == ["start", "stop"] * number


def test_listening_again_in_time() -> None:
    """If another port listens while connections are left, the applications keep
    running."""
    app = App()
    server, factory = make(app)
    factory.doStart()
    client = server.connect()
    factory.doStop()
    factory.doStart()
    client.drop()
    server.advance(1)
    assert app.calls == ["start"]


def test_stop_while_starting() -> None:
    """If the port closes while the applications start, they stop once they have
    started."""
    app = Slow()
    _, factory = make(app)
    factory.doStart()
    factory.doStop()
    assert app.calls == ["start"]
    app.started.callback(None)
    assert app.calls == ["start", "stop"]
    factory.doStart()
    assert app.calls == ["start", "stop"]
    app.started = Deferred()
    app.stopped.callback(None)
    assert app.calls == ["start", "stop", "start"]


def test_failing_at_once(logs: Logs) -> None:
    """If an application fails at once, listening raises the error. The others stop
    again, and the next attempt may succeed."""
    good, bad = App(), Bad()
    _, factory = make(good, bad)
    message = "the application 1 did not start: no database"
    with pytest.raises(StartupError, match=message):
        factory.doStart()
    assert good.calls == ["start", "stop"]
    assert factory.numPorts == 0
    assert logs.lines(message) == [message]
    assert len(logs.failures()) == 1
    bad.startApplication = lambda: None  # type: ignore[method-assign]
    factory.doStart()
    assert good.calls == ["start", "stop", "start"]


def test_failing_later(logs: Logs) -> None:
    """If an application fails later, that is logged, and all clients get 503: those
    that wait, and new ones."""
    app = Slow()
    server, factory = make(app)
    factory.doStart()
    client = server.connect()
    app.started.errback(RuntimeError("no database"))
    server.run()
    assert client.refused is not None
    assert client.refused.status == 503
    with pytest.raises(HandshakeRefused, match="503 the server did not start"):
        server.connect()
    assert logs.lines("the application / did not start: no database")
    assert len(logs.failures()) == 1


def test_changed_pages(logs: Logs) -> None:
    """Members that an application changes in its start are checked when it has
    started."""

    class Changing(App):
        def startApplication(self) -> None:
            self.pages = "no/such"

    _, factory = make(Changing())
    with pytest.raises(StartupError, match="pages is 'no/such', which does not exist"):
        factory.doStart()
    assert logs.failures() == []
