"""
What the kernel knows about a peer's progress.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import ISSLTransport
from zope.interface import directlyProvides

from wsplug.testing import MemoryTransport
from wsplug.transport.progress import Progress, progressOf

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")


class Plain:
    """
    A minimal plain transport.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def getHandle(self) -> Any:
        return self._handle


class OverTLS:
    """
    A transport whose handle isn't a socket, like that of Twisted's TLS.
    """

    def __init__(self, below: Plain) -> None:
        self.transport = below
        directlyProvides(self, ISSLTransport)  # as much of it as is asked

    def getHandle(self) -> Any:
        return object()


@contextmanager
def _tcp() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
        with ours, theirs:
            yield ours, theirs


@contextmanager
def _unix() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def _fill(ours: socket.socket) -> int:
    """
    Send as much as the kernel accepts.
    """
    ours.setblocking(False)
    size = 0
    while True:
        try:
            size += ours.send(bytes(10_000))
        except BlockingIOError:
            return size


def _wait(ask: Callable[[], Progress | None], taken: int) -> Progress:
    """
    Wait for the peer's acknowledgement.
    """
    deadline = time.monotonic() + 10
    while True:
        progress = ask()
        assert progress is not None
        if progress.taken >= taken:
            return progress
        assert time.monotonic() < deadline


@pytest.mark.parametrize("wrap", [Plain, lambda handle: OverTLS(Plain(handle))])
def test_tcp(wrap: Callable[[Any], Any]) -> None:
    """
    Over TCP, with or without TLS, the number of acknowledged bytes is exact, and later
    output doesn't change it.
    """
    with _tcp() as (ours, theirs):
        transport = wrap(ours)
        assert progressOf(transport) == (0, 0)
        size = _fill(ours)
        before = progressOf(transport)
        assert before is not None
        assert before.left > 0
        assert before.taken + before.left == size
        for _ in range(size // 2 // 10_000):
            theirs.recv(10_000, socket.MSG_WAITALL)
        after = _wait(lambda: progressOf(transport), before.taken + 100_000)
        assert after.taken + after.left == size
        more = _fill(ours)
        last = _wait(lambda: progressOf(transport), after.taken)
        assert last.taken + last.left == size + more


def test_unix() -> None:
    """
    Over a UNIX socket, progress is what the peer itself has read.
    """
    with _unix() as (ours, theirs):
        assert progressOf(Plain(ours)) == (0, 0)
        _fill(ours)
        before = progressOf(Plain(ours))
        assert before is not None
        theirs.recv(50_000, socket.MSG_WAITALL)
        after = progressOf(Plain(ours))
        assert after is not None
        assert after.taken > before.taken
        assert after.left < before.left


def test_nobody_knows() -> None:
    """
    If the transport has no socket, or a closed one, the progress is unknown.
    """
    address = IPv4Address("TCP", "192.0.2.1", 50000)
    assert progressOf(MemoryTransport(address, address)) is None
    assert progressOf(OverTLS(Plain(None))) is None
    assert progressOf(None) is None
    with _unix() as (ours, _):
        transport = Plain(ours)
    assert progressOf(transport) is None
