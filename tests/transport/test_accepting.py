"""
Connections that can't be accepted, and what the log says about them.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Port
from twisted.internet.testing import MemoryReactorClock
from twisted.internet.unix import Port as UNIXPort
from twisted.logger import Logger, capturedLogs, formatEvent

from wsplug.transport.accepting import boundAcceptLines

FULL = os.strerror(errno.EMFILE)

TOO_MANY = os.strerror(errno.ENFILE)


class Listener:
    """
    A listening socket whose C{accept} fails, and which has a number of clients if the
    port has released its reserved descriptor for one.
    """

    def __init__(self, error: int, clients: int) -> None:
        self._error = error
        self._clients = clients
        self._isReleased = False
        self.accepted: list[socket.socket] = []

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        if not self._isReleased:
            self._isReleased = True
            raise OSError(self._error, os.strerror(self._error))
        if self._clients == len(self.accepted):
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        ours, theirs = socket.socketpair()
        theirs.close()
        self.accepted.append(ours)
        return ours, ("192.0.2.1", 1000)


@pytest.fixture(params=[Port, UNIXPort])
def port(request: Any, tmp_path: Any) -> Any:
    """
    A port of Twisted, of each kind, whose lines are bounded.
    """
    reactor = MemoryReactorClock()
    factory = Factory.forProtocol(Protocol)
    address = 0 if request.param is Port else str(tmp_path / "socket")
    made = request.param(address, factory, reactor=reactor)
    made.startListening()
    made.socket.close()
    boundAcceptLines(made, reactor)
    return made


def accept(port: Any, error: int, clients: int = 0) -> Listener:
    """
    Have a port accept connections.
    """
    port.socket = listener = Listener(error, clients)
    # Twisted adapts it to the number of clients that it accepted before.
    port.numberAccepts = 100
    port.doRead()
    return listener


def test_no_descriptor(port: Any) -> None:
    """
    When no descriptor is left, Twisted closes the connections that wait, and logs each.
    The log has one line for the first, and every ten seconds how many there were since.
    """
    with capturedLogs() as events:
        for _ in range(100):
            listener = accept(port, errno.EMFILE, 5)
            assert len(listener.accepted) == 5
            assert all(each.fileno() < 0 for each in listener.accepted)
        lines = [formatEvent(event) for event in events]
        assert lines == [f"can't accept a connection: {FULL}"]
        port.reactor.advance(10)
        accept(port, errno.EMFILE, 2)
        port.reactor.advance(9)
        assert len(events) == 2
        port.reactor.advance(1)
        port.reactor.advance(100)
        accept(port, errno.EMFILE, 1)
    assert [formatEvent(event) for event in events] == [
        f"can't accept a connection: {FULL}",
        f"can't accept 499 more connections: {FULL}",
        f"can't accept 2 more connections: {FULL}",
        f"can't accept a connection: {FULL}",
    ]
    assert {event["log_namespace"] for event in events} == {
        "wsplug.transport.accepting.AcceptFailures"
    }


def test_other_errors(port: Any) -> None:
    """
    Likewise if the whole system has too many files open, or no memory.
    """
    with capturedLogs() as events:
        for _ in range(10):
            accept(port, errno.ENFILE)
        accept(port, errno.ENOBUFS)
        port.reactor.advance(10)
    assert [formatEvent(event) for event in events] == [
        f"can't accept a connection: {TOO_MANY}",
        f"can't accept 10 more connections: {os.strerror(errno.ENOBUFS)}",
    ]


def test_other_lines(port: Any) -> None:
    """
    What a port logs about anything else stays as it is.
    """
    with capturedLogs() as events:
        port._logger.info("something else about {address}", address="a")
    (event,) = events
    assert formatEvent(event) == "something else about a"
    assert event["log_namespace"] == Logger(port._logger.namespace).namespace


def test_other_ports() -> None:
    """
    Ports of other kinds aren't changed.
    """
    other: Any = object()
    boundAcceptLines(other, MemoryReactorClock())
