"""Whatever an application raises, in any of its methods, only its own connection ends,
and nothing of that remains (DESIGN section 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail

from tests.auth.kit import ORIGIN, Login, bearer, checkedBy
from tests.server.kit import App, Logs, Producer, Recorder, frame
from wsplug import ConnectionClosed, HandshakeRefused, Settings, Side
from wsplug.codec import FIN, OP_BINARY, OP_PONG
from wsplug.interfaces import IBearerToken
from wsplug.testing import MemoryServer

ERRORS = [
    LookupError,
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    CancelledError,
    asyncio.CancelledError,
]


def raises(error: type[BaseException]) -> Callable[..., Any]:
    def method(*_: object) -> Any:
        raise error("secret")

    return method


def coroutine(error: type[BaseException]) -> Callable[..., Any]:
    async def method(*_: object) -> Any:
        raise error("secret")

    return method


def deferred(error: type[BaseException]) -> Callable[..., Any]:
    return lambda *_: fail(error("secret"))


def later(error: type[BaseException]) -> Callable[..., Any]:
    """
    Delay until the test lets time pass.
    """

    def method(*_: object) -> Any:
        waiting: Deferred[None] = Deferred()
        LATER.append(lambda: waiting.errback(error("secret")))
        return waiting

    return method


LATER: list[Callable[[], object]] = []

HOW = [raises, coroutine, deferred, later]


def happen(server: MemoryServer) -> None:
    """
    Let the delayed calls happen.
    """
    while LATER:
        LATER.pop()()
    server.run()


def refused(server: MemoryServer, **options: Any) -> HandshakeRefused:
    """
    Connect, and be refused, perhaps after the delayed calls.
    """
    try:
        client = server.connect(**options)
    except HandshakeRefused as refusal:
        return refusal
    happen(server)
    assert client.refused is not None
    return client.refused


def check(server: MemoryServer, logs: Logs, *kinds: type[BaseException]) -> None:
    """
    One traceback of one of the given kinds was logged, others are still served, and
    nothing of the failed connection remains, so that the server ends at once.
    """
    failures = logs.failures()
    assert len(failures) == bool(kinds)
    for failure in failures:
        assert failure.check(*kinds), failure
    app: Any = server.application
    app.build = None
    other = server.connect(avatar=object())
    other.send("still here")
    assert app.recorders[-1].got("text") == ["still here"]
    other.close()
    server.advance(10)
    factory = server.factory
    assert not factory.connections
    assert factory.opening == 0
    assert not factory.roster.sessions
    assert not any(each.connections for each in factory.admission._accounts.values())
    assert len(factory.deadlines) == 0
    assert len(factory.context.scheduler) == 0
    assert factory.statistics.stalled == set()
    assert factory.sendBuffers.used == factory.incompleteMessages.used == 0
    assert server.stop().called
    assert not server.clock.getDelayedCalls()


def make(**options: Any) -> tuple[MemoryServer, App]:
    app = App()
    return MemoryServer(app, exempt=(), **options), app


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("error", ERRORS)
def test_buildProtocol(
    error: type[BaseException], how: Callable[..., Any], logs: Logs
) -> None:
    """The client gets 500."""
    server, app = make()
    app.build = how(error)
    refusal = refused(server)
    assert (refusal.status, refusal.reason) == (500, "the application failed")
    check(server, logs, error)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("error", ERRORS)
def test_buildProtocol_behind_a_token(
    error: type[BaseException], how: Callable[..., Any], logs: Logs
) -> None:
    """If the client has logged in with a message, the connection is open already: it is
    closed with 1011."""
    login = Login(IBearerToken)
    server, app = make(portal=checkedBy(login))
    app.build = how(error)
    client = server.connect(origin=ORIGIN)
    client.send('{"type": "auth", "token": "sesame"}')
    happen(server)
    assert client.closed == (1011, "internal error")
    assert login.logouts == [b"ann"]
    check(server, logs, error)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("started", b""),
        ("finished", b""),
        ("text", frame(b"a")),
        ("bytes", frame(b"a", FIN | OP_BINARY)),
        ("pong", frame(b"a", FIN | OP_PONG)),
    ],
)
def test_methods(
    name: str,
    data: bytes,
    error: type[BaseException],
    how: Callable[..., Any],
    logs: Logs,
) -> None:
    """The connection is closed with 1011, and connectionLost is called as usual."""
    server, app = make()
    recorder = Recorder(**{name: how(error)})
    app.build = lambda _: recorder
    client = server.connect()
    client.sendBytes(data + frame(b"behind it"))
    happen(server)
    assert client.closed == (1011, "internal error")
    closed: ConnectionClosed = recorder.closed
    assert (closed.code, closed.side) == (1011, Side.APPLICATION)
    check(server, logs, error)


@pytest.mark.parametrize("error", ERRORS)
def test_noticeReceived(error: type[BaseException], logs: Logs) -> None:
    """Likewise if it fails at an operator's notice; the operator gets no error."""
    server, app = make()
    recorder: Any = Recorder()
    recorder.noticeReceived = raises(error)
    app.build = lambda _: recorder
    client = server.connect()
    (connection,) = server.factory.connections
    assert connection.notify("soon")
    server.run()
    assert client.closed == (1011, "internal error")
    check(server, logs, error)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("error", ERRORS)
def test_connectionLost(
    error: type[BaseException], how: Callable[..., Any], logs: Logs
) -> None:
    """Nothing is left to close, and what it cancels isn't logged."""
    server, app = make()
    app.build = lambda _: Recorder(lost=how(error))
    server.connect().close()
    happen(server)
    check(server, logs, *() if error is CancelledError else (error,))


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", ["pauseProducing", "resumeProducing", "stopProducing"])
def test_producers(name: str, error: type[BaseException], logs: Logs) -> None:
    """An application's producer counts as a part of it."""
    server, app = make(settings=Settings(max_send_buffer=1 << 24))
    producer = Producer()
    setattr(producer, name, raises(error))
    app.build = lambda _: Recorder(started=lambda it: it.attachProducer(producer))
    client = server.connect()
    (connection,) = server.factory.connections
    connection.sendBytesMessage(bytes(1 << 20))
    server.run()
    if name == "stopProducing":
        connection.loseConnection()
    server.run()
    expected = (1000, "") if name == "stopProducing" else (1011, "internal error")
    assert client.closed == expected
    isQuiet = name == "stopProducing" and error is CancelledError
    check(server, logs, *() if isQuiet else (error,))


@pytest.mark.parametrize("when", ["lost", "late", "stop"])
@pytest.mark.parametrize("error", ERRORS)
def test_cancellers(error: type[BaseException], when: str, logs: Logs) -> None:
    """A canceller that raises delays nothing: neither a lost client, nor a late answer,
    nor the server's stop."""
    server, app = make()
    app.build = lambda _: Deferred(raises(error))
    assert not server.connect().opened
    (opening,) = server.factory.roster.opening
    if when == "lost":
        opening.transport.abortConnection()
    elif when == "late":
        server.advance(11)
    else:
        assert server.stop() is not None
        server.advance(10)
        assert not server.factory.opening
        (failure,) = logs.failures()
        assert failure.check(error)
        return
    check(server, logs, error)


@pytest.mark.parametrize("error", ERRORS)
def test_pages(error: type[BaseException], logs: Logs) -> None:
    """A request for its pages gets 500."""

    class Failing(App):
        @property
        def pages(self) -> Any:
            if self.fails:
                raise error("secret")
            return None

        @pages.setter
        def pages(self, _: object) -> None:
            self.fails = False

    app = Failing()
    server = MemoryServer(app, exempt=())
    app.fails = True
    assert server.request("GET", "/").status == 500
    app.fails = False
    check(server, logs, error)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("error", ERRORS)
def test_checkers(
    error: type[BaseException], how: Callable[..., Any], logs: Logs
) -> None:
    """A checker that fails logs nobody in, and the attempt doesn't count as a failed
    login."""
    login: Any = Login(IBearerToken)
    login.requestAvatarId = how(error)
    settings = Settings(max_auth_failures=1)
    server, _ = make(portal=checkedBy(login), settings=settings)
    for _ in range(2):
        assert refused(server, headers=[bearer("sesame")]).status == 500
        assert len(logs.failures()) == 1
    login.requestAvatarId = lambda _: b"ann"
    assert server.connect(headers=[bearer("sesame")]).opened
