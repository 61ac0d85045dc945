"""
Shares one port among several processes (C{SO_REUSEPORT}), so that a new one listens
before the old one stops.

The system distributes the connections among all sockets that listen on the port. When a
socket is closed, the connections in its queue are reset. A process that stops avoids
that in three steps:

    1. If exactly one other socket listens, the process attaches a program to the group
       of sockets that sends all new connections to the other socket: one instruction
       that returns its index (C{SO_ATTACH_REUSEPORT_CBPF}, Linux 4.5). With more
       sockets, the program would send all clients to one of them. So the system
       continues to distribute, and this process serves its share for the moment.
    2. Just before it closes the socket, it attaches a filter to it that drops SYN
       packets. The clients send them again after a second, and reach another process.
    3. Meanwhile, TCP handshakes that had begun end in the queue, and the process serves
       these connections. Then it removes the program from the group, because it would
       affect sockets that join later, and closes the socket with an empty queue.

A process that is killed during these steps leaves its program with the group. The
program would send all clients to a socket that joins. So each process that joins
removes the program that it finds. If another process is about to leave at that moment,
the system distributes the connections among three sockets, and the process that leaves
serves its share for the moment.

A process gets its share of the connections as soon as it listens. So it listens only
when it is ready.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from pathlib import Path
from typing import Any, Final

from twisted.internet.abstract import isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IReadDescriptor,
)
from twisted.logger import Logger
from zope.interface import implementer

from wsplug.errors import InvalidOption

__all__ = ["SharedPort", "SharingReactor"]

_log = Logger(__name__)

# <asm-generic/socket.h>. sparc and parisc have other numbers, and aren't supported.
_SO_ATTACH_FILTER: Final = 26
_SO_ATTACH_REUSEPORT_CBPF: Final = 51
_SO_DETACH_REUSEPORT_BPF: Final = 68

# <linux/filter.h>: return k; load the byte at k; jump if it has a bit of k.
_RETURN: Final = 0x06
_LOAD_BYTE: Final = 0x30
_JUMP_IF_SET: Final = 0x45

_ALL: Final = 0xFFFFFFFF

_FLAGS_OFFSET: Final = 13
_SYN: Final = 0x02

_DROP_SYNS: Final = (
    (_LOAD_BYTE, 0, 0, _FLAGS_OFFSET),
    (_JUMP_IF_SET, 0, 1, _SYN),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, _ALL),
)
"""
A filter that drops SYN packets. It sees a packet from its TCP header on.
"""

_QUIET: Final = 0.9
"""
The seconds for which SYN packets are dropped before a port is closed. That is enough
for handshakes that have begun to end, and less than the second after which a client
repeats its SYN, which then goes to another process.
"""

_LISTENS: Final = "0A"
"""
The listening state in C{/proc/net/tcp}.
"""


class SharingReactor:
    """
    A reactor whose TCP ports can be shared. It delegates everything else to the real
    reactor. Endpoints of any kind can use it.
    """

    def __init__(self, reactor: Any) -> None:
        """
        @raise InvalidOption: the system can't share ports.
        """
        if not hasattr(socket, "SO_REUSEPORT"):
            raise InvalidOption("reuse-port: this system can't share ports")
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> SharedPort:
        """
        Bind an address, without listening yet: see L{SharedPort}.

        @raise CannotListenError: the address can't be bound.
        """
        return SharedPort(self._reactor, port, factory, backlog, interface)

    def listenSSL(
        self,
        port: int,
        factory: Any,
        contextFactory: Any,
        backlog: int = 50,
        interface: str = "",
    ) -> SharedPort:
        """
        Likewise, with TLS on top, as in Twisted.
        """
        from twisted.protocols.tls import TLSMemoryBIOFactory

        below = TLSMemoryBIOFactory(contextFactory, False, factory)
        return self.listenTCP(port, below, backlog, interface)


@implementer(IListeningPort, IReadDescriptor)
class SharedPort:
    """
    A TCP port that other processes of the same user can listen on, too.

    It binds its address at once, but listens only after L{startListening}.

    @ivar port: Twisted's port, once it listens.
    """

    def __init__(
        self,
        reactor: Any,
        port: int,
        factory: IProtocolFactory,
        backlog: int,
        interface: str,
    ) -> None:
        """
        @raise CannotListenError: the address can't be bound.
        """
        self._reactor = reactor
        self._factory = factory
        self._backlog = backlog
        self.port: Any = None
        self._socket: socket.socket | None = _bind(port, interface)
        self._isSteering = False

    def startListening(self) -> None:
        """
        Listen.

        @raise CannotListenError: another process listens without sharing.
        """
        bound = self._socket
        if bound is None or self.port is not None:
            return
        try:
            bound.listen(self._backlog)
        except OSError as error:
            raise CannotListenError("", bound.getsockname()[1], error) from None
        _detach(bound)
        self.port = self._reactor.adoptStreamPort(
            bound.fileno(), bound.family, self._factory
        )

    def stopListening(self) -> Any:
        """
        Close it.

        @return: a Deferred that fires when the port is closed.
        """
        bound, self._socket = self._socket, None
        if bound is not None:
            if self._isSteering:
                _detach(bound)
            bound.close()
        port, self.port = self.port, None
        return succeed(None) if port is None else port.stopListening()

    def getHost(self) -> IPv4Address | IPv6Address:
        assert self._socket is not None
        name = self._socket.getsockname()
        if self._socket.family == socket.AF_INET6:
            return IPv6Address("TCP", *name)
        return IPv4Address("TCP", *name)

    def giveWay(self, patience: float) -> None:
        """
        Direct new connections to the other processes that share the port.

        @param patience: the seconds until this port is closed.
        """
        bound = self._socket
        if bound is None or self.port is None:
            return
        others = _countListening(bound) - 1
        if others == 1:
            # A socket that joins is added at the end of the group: that is the
            # successor.
            program = ((_RETURN, 0, 0, others),)
            self._isSteering = _attach(bound, _SO_ATTACH_REUSEPORT_CBPF, program)
        self._reactor.callLater(max(0.0, patience - _QUIET), self._dropSYNs)

    def _dropSYNs(self) -> None:
        """
        Drop SYN packets, if another process listens: the clients try again and reach
        it.
        """
        bound = self._socket
        if bound is not None and _countListening(bound) > 1:
            _attach(bound, _SO_ATTACH_FILTER, _DROP_SYNS)

    @property
    def factory(self) -> IProtocolFactory:
        """
        What makes the protocols.
        """
        return self._factory

    # As a descriptor

    def fileno(self) -> int:
        return -1 if self.port is None else int(self.port.fileno())

    def doRead(self) -> Any:
        """
        Accept a connection from the queue.
        """
        return self.port.doRead()

    def logPrefix(self) -> str:
        return "wsplug"

    def connectionLost(self, reason: Any) -> None:
        """
        Do nothing: the port itself is closed elsewhere.
        """


def _bind(port: int, interface: str) -> socket.socket:
    family = socket.AF_INET6 if isIPv6Address(interface) else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        address: Any = (interface, port)
        if family == socket.AF_INET6:
            # The address includes the interface's number, if it names an interface.
            flags = socket.AI_NUMERICHOST | socket.AI_PASSIVE
            found = socket.getaddrinfo(interface, port, family, flags=flags)
            address = found[0][4]
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise CannotListenError(interface, port, error) from None
    return bound


def _countListening(listener: socket.socket) -> int:
    """
    Return the number of sockets that listen on the same address as one socket; 0 if it
    isn't known.
    """
    if listener.family == socket.AF_INET6:
        table, size = "/proc/net/tcp6", 16
    else:
        table, size = "/proc/net/tcp", 4
    host, port = listener.getsockname()[:2]
    packed = socket.inet_pton(listener.family, host.partition("%")[0])
    words = struct.unpack(f"={size // 4}I", packed)
    address = "".join(f"{word:08X}" for word in words) + f":{port:04X}"
    count = 0
    try:
        with Path(table).open("r", encoding="utf-8") as lines:
            next(lines)
            for line in lines:
                _, local, _, state = line.split(None, 4)[:4]
                if state != _LISTENS:
                    break  # those that listen come first, and there may be many others
                count += local == address
    except (OSError, StopIteration, ValueError):
        return 0
    return count


def _attach(
    listener: socket.socket, option: int, program: tuple[tuple[int, int, int, int], ...]
) -> bool:
    """
    Attach a program of the classic Berkeley Packet Filter to a socket.

    @return: whether it has.
    """
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    return _set(listener, option, head)


def _detach(listener: socket.socket) -> None:
    """
    Remove the program from a socket's group, no matter which process has attached it.
    """
    _set(listener, _SO_DETACH_REUSEPORT_BPF, struct.pack("@i", 0))


def _set(listener: socket.socket, option: int, value: bytes) -> bool:
    """
    Set a Linux option of a socket.

    @return: whether the system has it.
    """
    if sys.platform != "linux":
        return False
    try:
        listener.setsockopt(socket.SOL_SOCKET, option, value)
    except FileNotFoundError:
        return False  # there is no program to take off
    except OSError as error:
        _log.debug(
            "can't set the socket option {option}: {error}", option=option, error=error
        )
        return False
    return True
