"""
The transport of a TCP connection, which writes directly to the socket.

Twisted's own transport buffers a write, arms the descriptor, waits for the reactor's
next turn, sends, and disarms the descriptor. Here, L{DirectTransport.write} or a
connection's L{wsplug.transport.sendqueue.SendQueue} tries the socket first. The
descriptor is armed only for the bytes that the kernel doesn't accept. While bytes wait
in Twisted's buffer, new ones are queued behind them, so the order is kept.

C{twisted.internet.tcp.Port} documents its C{transport} attribute as the place for a
custom transport class.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.internet import tcp
from twisted.internet.interfaces import IListeningPort
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure

from wsplug.transport.below import belowTLS
from wsplug.transport.epollset import EpollSet
from wsplug.transport.sockets import receive, receive_into, send

if TYPE_CHECKING:
    from wsplug.codec.masking import PayloadBuffer

__all__ = [
    "DirectTransport",
    "Reader",
    "hasEnded",
    "useDirectTransport",
    "watchForEnd",
]

# On systems without POLLRDHUP, only a connection that is closed both ways is noticed.
_ENDED: Final[int] = sum(
    getattr(select, name, 0) for name in ("POLLRDHUP", "POLLHUP", "POLLERR")
)


class Reader(Protocol):
    """
    A protocol into whose memory the bytes of a large message are read.
    """

    def dataReceived(self, data: bytes) -> None:
        """Process the bytes that were read."""

    def getBuffer(self) -> PayloadBuffer | None:
        """
        Return the memory for the next bytes; C{None} if they are for L{dataReceived}.
        """

    def bufferUpdated(self, size: int) -> None:
        """
        Process the bytes that were read into the memory from L{getBuffer}.

        @param size: the number of bytes.
        """


class DirectTransport(tcp.Server):
    """
    A connection whose writes try the socket first.
    """

    _connection: Reader | None = None
    # Whether output waits in Twisted's buffer, or for room in the kernel.
    _waiting = False
    _finishing = False
    _whenEnded: Callable[[], object] | None = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        # Shared texts take less memory than those that Twisted makes for each
        # connection. They are for a log prefix that isn't used here.
        self.logstr = "wsplug"
        self.repstr = "<DirectTransport>"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.client}>"

    def upgrade(self, connection: Reader) -> None:
        """
        Serve a WebSocket from now on: it gets the input, and provides memory for large
        messages.
        """
        settable: Any = self
        settable.protocol = self._connection = connection

    def doRead(self) -> Any:
        """
        Read the available bytes, up to a limit.
        """
        connection = self._connection
        if connection is not None:
            payload = connection.getBuffer()
            if payload is not None:
                return self._readInto(connection, payload)
        try:
            data = receive(self.socket)
        except OSError:
            return CONNECTION_LOST
        if data is None:
            return None
        if not data:
            return CONNECTION_DONE
        self.protocol.dataReceived(data)
        return None

    def _readInto(self, connection: Reader, payload: PayloadBuffer) -> Any:
        try:
            size = receive_into(self.socket, payload)
        except OSError:
            return CONNECTION_LOST
        if size == 0:
            return CONNECTION_DONE
        if size is not None:
            connection.bufferUpdated(size)
        return None

    def write(self, data: bytes) -> None:
        if self.isStraight():
            sent = send(self.socket, data)
            if sent == len(data):
                return
            self._waiting = True
            data = data[sent:]
        super().write(data)  # type: ignore[no-untyped-call]

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.write(b"".join(iovec))

    def waitForRoom(self) -> None:
        """
        Resume the registered producer when the kernel has room again.
        """
        self._waiting = True
        self.producerPaused = True
        self.startWriting()  # type: ignore[no-untyped-call]

    def watchForEnd(self, whenEnded: Callable[[], object]) -> None:
        """
        Notice if the peer ends its output while reading is paused.

        @param whenEnded: called when the peer has ended its output. If the connection
            breaks, C{connectionLost} is called instead.
        """
        watcher: Any = self.reactor
        if isinstance(watcher, EpollSet) and self.connected and not self.disconnecting:
            self._whenEnded = whenEnded
            watcher.addWatcher(self)

    def peerEnded(self) -> None:
        """
        The peer has ended its output.
        """
        whenEnded, self._whenEnded = self._whenEnded, None
        if whenEnded is not None:
            whenEnded()

    def isStraight(self) -> bool:
        """
        Whether output may be written to the socket directly: no earlier output waits,
        and no other layer, such as TLS, is in between.
        """
        return (
            not self._waiting
            and not self.disconnecting
            and not self.TLS
            and bool(self.connected)
        )

    def connectionLost(self, reason: Failure) -> None:
        self._connection = self._whenEnded = None
        super().connectionLost(reason)

    def stopWriting(self) -> None:
        """
        All waiting output has been sent.
        """
        self._waiting = False
        super().stopWriting()  # type: ignore[no-untyped-call]

    def loseConnection(self, *arguments: Any) -> None:
        """
        End the connection once all output has been sent. If none waits, the descriptor
        isn't armed.
        """
        watcher: Any = self.reactor
        if (
            self.isStraight()
            and self.producer is None
            and isinstance(watcher, EpollSet)
        ):
            self.disconnecting = self._finishing = True
            self.stopReading()  # type: ignore[no-untyped-call]
            watcher.finish(self)
        else:
            super().loseConnection(*arguments)  # type: ignore[no-untyped-call]

    def abortConnection(self) -> None:
        self._finishing = False
        super().abortConnection()  # type: ignore[no-untyped-call]
        self._waiting = True  # what is written now is Twisted's to throw away

    def isFinishing(self) -> bool:
        """
        Whether C{loseConnection} has still to be completed. The connection may have
        been aborted or lost meanwhile.
        """
        return self._finishing and bool(self.connected)

    def loseWriteConnection(self) -> None:
        self._waiting = True
        super().loseWriteConnection()  # type: ignore[no-untyped-call]


def watchForEnd(transport: Any, whenEnded: Callable[[], object]) -> None:
    """
    Notice if the peer of a connection ends its output while reading is paused. This
    works for connections in the epoll set, with or without TLS.

    @param whenEnded: see L{DirectTransport.watchForEnd}.
    """
    below = belowTLS(transport)
    if isinstance(below, DirectTransport):
        below.watchForEnd(whenEnded)


def hasEnded(transport: Any) -> bool:
    """
    Return whether the peer of a connection has ended its output, without reading from
    it. This works for any socket, with or without TLS, if the system supports it.
    """
    handle = getattr(belowTLS(transport), "getHandle", None)
    if handle is None or not hasattr(select, "poll"):
        return False
    try:
        fd: int = handle().fileno()
    except (OSError, AttributeError):
        return False
    if fd < 0:
        return False
    poll = select.poll()
    poll.register(fd, _ENDED)
    return any(events & _ENDED for _, events in poll.poll(0))


def useDirectTransport(port: IListeningPort, epollSet: EpollSet | None) -> None:
    """
    Make a port's connections use L{DirectTransport}, if they are TCP connections, with
    or without TLS. Others, such as UNIX sockets, aren't changed.

    @param port: a new port.
    @param epollSet: watches the connections; C{None} for the port's own reactor.
    """
    if not isinstance(port, tcp.Port) or port.transport is not tcp.Server:
        return

    def make(
        socket: Any, protocol: Any, peer: Any, port: Any, number: int, reactor: Any
    ) -> DirectTransport:
        watcher = reactor if epollSet is None else epollSet
        return DirectTransport(socket, protocol, peer, port, number, watcher)

    settable: Any = port
    settable.transport = make
