"""
A port that several processes share: who gets the connections when one gives way.
"""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from tests.processes import HOST, waitUntil
from wsplug.daemon import sharing
from wsplug.daemon.sharing import SharedPort, SharingReactor
from wsplug.errors import InvalidOption

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux steers")


class Adopted:
    """
    What a reactor would listen with.
    """

    def __init__(self, fd: int, family: int) -> None:
        self.socket = socket.fromfd(fd, family, socket.SOCK_STREAM)
        self.taken: list[socket.socket] = []

    def fileno(self) -> int:
        return self.socket.fileno()

    def count(self) -> int:
        """
        Take all that wait.
        """
        count = 0
        while True:
            try:
                self.taken.append(self.socket.accept()[0])
            except BlockingIOError:
                return count
            count += 1

    def stopListening(self) -> None:
        for each in (*self.taken, self.socket):
            each.close()


class Reactor:
    """
    One that only adopts.
    """

    seen = "the reactor's own"

    def adoptStreamPort(self, fd: int, family: int, factory: Any) -> Adopted:
        return Adopted(fd, family)


@pytest.fixture(params=[HOST, "::1"])
def ports(request: Any) -> Iterator[list[SharedPort]]:
    """
    Two that share a port.
    """
    reactor = SharingReactor(Reactor())
    first = reactor.listenTCP(0, Factory(), 128, request.param)
    second = reactor.listenTCP(first.getHost().port, Factory(), 128, request.param)
    made = [first, second]
    yield made
    for port in made:
        port.stopListening()


def knock(port: SharedPort, times: int = 40) -> list[socket.socket]:
    host = port.getHost()
    return [socket.create_connection((host.host, host.port), 5) for _ in range(times)]


def end(clients: list[socket.socket]) -> None:
    for client in clients:
        client.close()


def test_listens_when_told(ports: list[SharedPort]) -> None:
    """
    It has the address from the beginning, but nobody can connect before it listens;
    then the connections are shared out.
    """
    first, second = ports
    with pytest.raises(ConnectionRefusedError):
        knock(first, 1)
    assert first.fileno() == -1
    first.startListening()
    clients = knock(first)
    assert first.port.count() == 40
    second.startListening()
    second.startListening()
    clients += knock(first, 100)
    counts = first.port.count(), second.port.count()
    assert sum(counts) == 100
    assert min(counts) > 0
    end(clients)


@linux
def test_give_way(ports: list[SharedPort]) -> None:
    """
    Once one gives way, all go to the other, and nobody has to try twice.
    """
    first, second = ports
    first.startListening()
    second.startListening()
    first.giveWay()
    clients = knock(first)
    assert (first.port.count(), second.port.count()) == (0, 40)
    first.stopListening()
    clients += knock(second)
    assert second.port.count() == 40
    third = SharedPort(Reactor(), second.getHost().port, Factory(), 9, "127.0.0.1")
    third.stopListening()
    end(clients)


@linux
def test_without_steering(
    ports: list[SharedPort], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where the kernel won't have the program, those who come to the one that gives way
    get through with their second packet, once it is closed.
    """
    monkeypatch.setattr(sharing, "_SO_ATTACH_REUSEPORT_CBPF", 9999)
    first, second = ports
    first.startListening()
    second.startListening()
    first.giveWay()
    host = first.getHost()
    clients = []
    for _ in range(30):
        family = socket.AF_INET6 if ":" in host.host else socket.AF_INET
        client = socket.socket(family)
        client.setblocking(False)
        client.connect_ex((host.host, host.port))
        clients.append(client)
    assert first.port.count() == 0
    first.stopListening()
    waitUntil(
        lambda: len(select.select([], clients, [], 0)[1]) == 30, "all are connected"
    )
    for client in clients:
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert second.port.count() == 30
    end(clients)


@linux
def test_alone(ports: list[SharedPort]) -> None:
    """
    Where nobody shares it, it takes who comes to the end.
    """
    first, _ = ports
    first.giveWay()  # not even listening yet: nothing to do
    first.startListening()
    first.giveWay()
    clients = knock(first)
    assert first.port.count() == 40
    end(clients)


def test_not_shared_by_the_other() -> None:
    """
    An address that somebody has without sharing is in use.
    """
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListenError) as caught:
            SharedPort(Reactor(), port, Factory(), 9, HOST)
    assert "in use" in str(caught.value.socketError)


def test_all_interfaces() -> None:
    """
    Without an interface, and on all of IPv6, with the addresses that the log has.
    """
    for interface, shown in (("", "0.0.0.0"), ("::", "::")):
        port = SharedPort(Reactor(), 0, Factory(), 9, interface)
        assert port.getHost().host == shown
        port.stopListening()


def test_everything_else() -> None:
    """
    The reactor is the one below in all else.
    """
    assert SharingReactor(Reactor()).seen == "the reactor's own"


def test_system_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A system that can't share ports says so.
    """
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    with pytest.raises(InvalidOption, match="this system can't share ports"):
        SharingReactor(MemoryReactorClock())
