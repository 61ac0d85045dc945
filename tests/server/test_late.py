"""Input on a connection whose peer was told that it is closing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.server.http.test_pages import Page
from tests.server.kit import App, frame, handshake
from wsplug import Settings
from wsplug.codec import FIN, OP_CLOSE, pack_close
from wsplug.guard.proxies import ProxySettings
from wsplug.testing import MemoryServer, MemoryTransport

KB = 1000

Begin = Callable[..., tuple[MemoryServer, MemoryTransport]]


def _violates(**settings: float) -> tuple[MemoryServer, MemoryTransport]:
    server = MemoryServer(App(), settings=Settings(**settings))  # type: ignore[arg-type]
    transport = server.connectTransport()
    transport.put(handshake() + b"\xff\xff")
    server.run()
    return server, transport


def _isRefused(**settings: float) -> tuple[MemoryServer, MemoryTransport]:
    server = MemoryServer(App(), settings=Settings(**settings))  # type: ignore[arg-type]
    transport = server.connectTransport()
    transport.put(b"nonsense\r\n\r\n")
    server.run()
    return server, transport


def _sendsTooMuch(**settings: float) -> tuple[MemoryServer, MemoryTransport]:
    server = MemoryServer(App(), settings=Settings(**settings))  # type: ignore[arg-type]
    transport = server.connectTransport()
    transport.put(handshake() + b"\x82\xff" + (10**12).to_bytes(8, "big") + bytes(4))
    server.run()
    return server, transport


def _uploadsTooMuch(**settings: float) -> tuple[MemoryServer, MemoryTransport]:
    server = MemoryServer(App(pages=Page()), settings=Settings(**settings))  # type: ignore[arg-type]
    transport = server.connectTransport()
    transport.put(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n")
    server.run()
    return server, transport


def _hasNoHeader(**settings: float) -> tuple[MemoryServer, MemoryTransport]:
    server = MemoryServer(
        App(),
        settings=Settings(**settings),  # type: ignore[arg-type]
        proxies=ProxySettings(("192.0.2.0/24",), protocol=True),
    )
    transport = server.connectTransport()
    transport.put(b"nonsense\r\n\r\n")
    server.run()
    return server, transport


BEGINNINGS = [_violates, _isRefused, _hasNoHeader]


def flood(
    server: MemoryServer,
    transport: MemoryTransport,
    most: int,
    piece: bytes = bytes(16 * KB),
) -> int:
    """
    Send until nothing is read any more, and return how much was.
    """
    size = 0
    while transport.reading and not transport.lost and size < most:
        transport.put(piece)
        size += len(piece)
        server.run()
    return size


@pytest.mark.parametrize("begin", BEGINNINGS)
def test_goes_on_sending(begin: Begin) -> None:
    """If the peer goes on sending, two MiB are read, so that it can notice the end.
    Then reading stops, and the connection ends."""
    server, transport = begin()
    assert transport.take()
    assert 2000 * KB < flood(server, transport, 20_000 * KB) < 2200 * KB
    assert not transport.lost
    transport.put(bytes(2000 * KB))
    server.advance(4)
    assert not transport.lost
    server.advance(1.5)
    assert transport.aborted
    assert len(server.factory.deadlines) == 0
    assert server.factory.opening == len(server.factory.connections) == 0


@pytest.mark.parametrize("begin", [_sendsTooMuch, _uploadsTooMuch])
def test_goes_on_with_what_is_too_large(begin: Begin) -> None:
    """A peer whose message or body is too large may be unable to read why before it has
    sent all of it: some megabytes are read, but not hundreds."""
    server, transport = begin()
    answer = transport.take()
    assert b"\x03\xf1" in answer or b" 413 " in answer
    assert 16_000 * KB < flood(server, transport, 100_000 * KB) < 18_000 * KB
    server.advance(5.5)
    assert transport.aborted


def test_goes_on_with_a_body_at_a_stop() -> None:
    """A client whose body is arriving when the server stops may send megabytes more,
    and gets the answer."""
    server = MemoryServer(App(pages=Page()))
    transport = server.connectTransport()
    transport.put(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nhello")
    server.run()
    server.factory.closeConnections()
    server.advance(1.25)
    assert b" 503 " in transport.take()
    assert 16_000 * KB < flood(server, transport, 100_000 * KB) < 18_000 * KB
    server.advance(5.5)
    assert transport.aborted


@pytest.mark.parametrize("begin", BEGINNINGS)
def test_without_a_time(begin: Begin) -> None:
    """Without a close timeout, the connection ends when the peer has sent as much."""
    server, transport = begin(close_timeout=0)
    transport.take()
    assert 2000 * KB < flood(server, transport, 20_000 * KB) < 2200 * KB
    assert transport.lost
    assert server.factory.opening == len(server.factory.connections) == 0


@pytest.mark.parametrize("begin", [_violates, _isRefused])
def test_is_done_with_sending(begin: Begin) -> None:
    """If the peer finishes sending before that, the connection closes as usual."""
    server, transport = begin()
    transport.put(bytes(200 * KB))
    server.run()
    assert transport.reading
    transport.shut()
    server.run()
    assert transport.lost
    assert not transport.aborted


@pytest.mark.parametrize("isDone", [True, False])
def test_sends_on_before_its_close_frame(isDone: bool) -> None:
    """A peer that was sent a close frame may send some megabytes before its own; they
    are limited, too."""
    app = App()
    server = MemoryServer(app)
    transport = server.connectTransport()
    transport.put(handshake())
    server.run()
    (recorder,) = app.recorders
    recorder.transport.loseConnection()
    server.run()
    piece = frame(bytes(100 * KB), FIN | 0x2)
    if isDone:
        assert flood(server, transport, 15_000 * KB, piece) >= 15_000 * KB
        transport.put(frame(pack_close(1000), FIN | OP_CLOSE))
        transport.take()
        server.run()
        assert recorder.closed.clean
    else:
        assert flood(server, transport, 50_000 * KB, piece) < 19_000 * KB
        server.advance(5.5)
        assert transport.aborted
        assert recorder.closed.code == 1000
        assert recorder.closed.setting == "close-timeout"
