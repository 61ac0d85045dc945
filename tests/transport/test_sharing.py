"""
A port that several processes share: which process gets the connections when one gives
way.
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
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock

from tests.processes import HOST, waitUntil
from wsplug.errors import InvalidOption
from wsplug.transport import sharing
from wsplug.transport.ports import closePort
from wsplug.transport.sharing import SharedPort, SharingReactor

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux steers")


class Adopted:
    """
    A listening port.
    """

    def __init__(self, fd: int, family: int) -> None:
        self.socket = socket.fromfd(fd, family, socket.SOCK_STREAM)
        self.taken: list[socket.socket] = []

    def fileno(self) -> int:
        return self.socket.fileno()

    def count(self) -> int:
        """
        Accept all waiting connections.
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


class Reactor(Clock):
    """
    A reactor that only adopts ports, and has a clock.
    """

    seen = "the reactor's own"

    def adoptStreamPort(self, fd: int, family: int, factory: Any) -> Adopted:
        return Adopted(fd, family)


@pytest.fixture
def clock() -> Reactor:
    """
    The reactor's clock.
    """
    return Reactor()


@pytest.fixture(params=[HOST, "::1"])
def ports(request: Any, clock: Reactor) -> Iterator[list[SharedPort]]:
    """
    Three ports that share an address.
    """
    reactor = SharingReactor(clock)
    made = [reactor.listenTCP(0, Factory(), 256, request.param)]
    number = made[0].getHost().port
    made += [reactor.listenTCP(number, Factory(), 256, request.param) for _ in range(2)]
    yield made
    for port in made:
        port.stopListening()


def knock(port: SharedPort, times: int = 40) -> list[socket.socket]:
    host = port.getHost()
    return [socket.create_connection((host.host, host.port), 5) for _ in range(times)]


def begin(port: SharedPort, times: int) -> list[socket.socket]:
    """
    Start to connect, without waiting.
    """
    host = port.getHost()
    clients = []
    for _ in range(times):
        family = socket.AF_INET6 if ":" in host.host else socket.AF_INET
        client = socket.socket(family)
        client.setblocking(False)
        client.connect_ex((host.host, host.port))
        clients.append(client)
    return clients


def share(ports: list[SharedPort], total: int) -> list[int]:
    """
    Accept connections until the expected number is reached. A client's connect returns
    before the system has put the connection into the server's queue.
    """
    counts = [0] * len(ports)

    def areThere() -> bool:
        for index, port in enumerate(ports):
            counts[index] += port.port.count()
        return sum(counts) >= total

    waitUntil(areThere, f"{total} connections are there")
    return counts


def isConnected(client: socket.socket) -> bool:
    return bool(select.select([], [client], [], 0)[1]) and not client.getsockopt(
        socket.SOL_SOCKET, socket.SO_ERROR
    )


def end(clients: list[socket.socket]) -> None:
    for client in clients:
        client.close()


def test_listens_when_told(ports: list[SharedPort]) -> None:
    """
    A port binds its address at once, but clients can connect only when it listens. Then
    the ports share the connections.
    """
    first, second, _ = ports
    with pytest.raises(ConnectionRefusedError):
        knock(first, 1)
    assert first.fileno() == -1
    first.startListening()
    clients = knock(first)
    assert share([first], 40) == [40]
    second.startListening()
    second.startListening()
    clients += knock(first, 100)
    counts = share([first, second], 100)
    assert sum(counts) == 100
    assert min(counts) > 0
    end(clients)


@linux
def test_give_way(ports: list[SharedPort], clock: Reactor) -> None:
    """
    When one of two gives way, all connections go to the other, without a second
    attempt. One that joins later gets its share: the group keeps no program.
    """
    first, second, third = ports
    first.startListening()
    second.startListening()
    first.giveWay(1.5)
    clients = knock(first)
    assert share([first, second], 40) == [0, 40]
    clock.advance(1.5)
    clients += knock(first)
    assert share([first, second], 40) == [0, 40]
    first.stopListening()
    clients += knock(second)
    assert share([second], 40) == [40]
    third.startListening()
    clients += knock(second, 100)
    counts = share([second, third], 100)
    assert sum(counts) == 100
    assert min(counts) > 20
    end(clients)


def test_closed_at_once(ports: list[SharedPort], clock: Reactor) -> None:
    """
    Cancelling closes a port that gives way at once, with an empty queue.
    """
    first, second, _ = ports
    first.startListening()
    clients = knock(first, 1)
    waitUntil(lambda: bool(select.select([first.fileno()], [], [], 0)[0]), "it came")
    taken: list[int] = []
    first.port.doRead = lambda: taken.append(first.port.count())
    closed: list[None] = []
    closing = closePort(first, clock, False, 1.5)
    closing.addCallback(closed.append)
    clock.advance(0.1)
    assert not closed
    closing.cancel()
    assert closed == [None]
    assert taken == [1]
    second.startListening()
    clients += knock(second, 1)
    assert share([second], 1) == [1]
    end(clients)


@linux
def test_killed_while_giving_way(
    ports: list[SharedPort], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    One of two gives way and is killed before it removes its program from the group. A
    third that joins removes it, so that both get their shares.
    """
    first, second, third = ports
    first.startListening()
    second.startListening()
    first.giveWay(1.5)
    with monkeypatch.context() as patched:
        patched.setattr(sharing, "_SO_DETACH_REUSEPORT_BPF", 9999)
        first.stopListening()
    third.startListening()
    clients = knock(second, 100)
    counts = share([second, third], 100)
    assert min(counts) > 20
    end(clients)


@linux
def test_give_way_to_several(ports: list[SharedPort], clock: Reactor) -> None:
    """
    When one of three gives way, all that listen share the connections, before and after
    it has closed. In its last moment it accepts none, and those clients reach another
    one.
    """
    for port in ports:
        port.startListening()
    first, second, third = ports
    first.giveWay(1.5)
    clients = knock(first, 120)
    counts = share(ports, 120)
    assert sum(counts) == 120
    assert min(counts) > 15
    clock.advance(0.7)
    waiting = begin(first, 60)
    assert first.port.count() == 0
    first.stopListening()
    waitUntil(lambda: all(map(isConnected, waiting)), "all are connected")
    share([second, third], 60)
    clients += knock(second, 120)
    counts = share([second, third], 120)
    assert sum(counts) == 120
    assert min(counts) > 30
    end(clients + waiting)


@linux
def test_without_steering(
    ports: list[SharedPort], clock: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If the kernel doesn't support the program, clients of the port that gives way get
    through with their second packet, after it has closed.
    """
    monkeypatch.setattr(sharing, "_SO_ATTACH_REUSEPORT_CBPF", 9999)
    first, second, _ = ports
    first.startListening()
    second.startListening()
    first.giveWay(1.5)
    clock.advance(1)
    clients = begin(first, 30)
    assert first.port.count() == 0
    first.stopListening()
    waitUntil(lambda: all(map(isConnected, clients)), "all are connected")
    assert share([second], 30) == [30]
    end(clients)


@linux
def test_alone(ports: list[SharedPort], clock: Reactor) -> None:
    """
    If no other process shares the port, it accepts connections to the end.
    """
    first, *_ = ports
    first.giveWay(1.5)  # not even listening yet: nothing to do
    assert not clock.getDelayedCalls()
    first.startListening()
    first.giveWay(1.5)
    clock.advance(1.5)
    clients = knock(first)
    assert share([first], 40) == [40]
    end(clients)


def test_not_shared_by_the_other() -> None:
    """
    An address that another socket uses without sharing is in use.
    """
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListenError) as caught:
            SharedPort(Reactor(), port, Factory(), 9, HOST)
    assert "in use" in str(caught.value.socketError)


def test_all_interfaces() -> None:
    """
    Without an interface, and on all of IPv6, the port has the address that the log
    shows.
    """
    for interface, shown in (("", "0.0.0.0"), ("::", "::")):
        port = SharedPort(Reactor(), 0, Factory(), 9, interface)
        assert port.getHost().host == shown
        port.stopListening()


def test_everything_else() -> None:
    """
    The sharing reactor delegates everything else to the real one.
    """
    assert SharingReactor(Reactor()).seen == "the reactor's own"


def test_system_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    On a system that can't share ports, an error says so.
    """
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    with pytest.raises(InvalidOption, match="this system can't share ports"):
        SharingReactor(MemoryReactorClock())
