"""
Inherited sockets: systemd listens on them before this process starts, and passes them
on through Twisted's endpoint C{systemd:}.

Twisted adopts TCP sockets unchanged. Of a UNIX socket it changes the file's mode, which
only the owner may do, and removes the file at the end, although systemd owns the
socket. So UNIX sockets have their own port class here.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, Final

from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.main import CONNECTION_DONE
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug.errors import InvalidOption
from wsplug.transport.accepting import AcceptFailures

__all__ = ["UNIXListener", "explainSystemd", "needsSystemd", "takeOver"]

_ACCEPTS: Final = 100
"""
Connections that are accepted in one turn of the reactor.
"""

_FULL: Final = 1.0
"""
Seconds that accepting pauses when no descriptor is left.
"""


def needsSystemd(description: str) -> bool:
    """
    Return whether an endpoint string names a socket that systemd passes on, also where
    other endpoints wrap it.
    """
    return "systemd:" in description


def explainSystemd(error: BaseException) -> str:
    """
    Explain why an endpoint C{systemd:...} could not be created.
    """
    if isinstance(error, (IndexError, KeyError)):
        return (
            "systemd passed no such socket (LISTEN_FDS, LISTEN_FDNAMES): the service "
            "needs a .socket unit"
        )
    if isinstance(error, AttributeError):
        return "the domain has to be INET, INET6 or UNIX"
    return str(error)


def takeOver(endpoint: IStreamServerEndpoint, reactor: Any) -> IStreamServerEndpoint:
    """
    Replace an endpoint whose socket is an inherited UNIX socket. Others are returned
    unchanged.

    @raise InvalidOption: the inherited socket doesn't match the endpoint's string, or
        doesn't listen.
    """
    if not isinstance(endpoint, AdoptedStreamServerEndpoint):
        return endpoint
    try:
        with socket.socket(fileno=os.dup(endpoint.fileno)) as listener:
            family, kind = listener.family, listener.type
            listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise InvalidOption(
            f"descriptor {endpoint.fileno} isn't a socket: {error.strerror}"
        ) from None
    if family != endpoint.addressFamily:
        word = family.name.removeprefix("AF_")
        raise InvalidOption(f"the socket has another domain: domain={word}")
    if kind != socket.SOCK_STREAM or not listens:
        raise InvalidOption(
            "the socket doesn't listen for connections: the .socket unit needs "
            "ListenStream=, and no Accept=yes"
        )
    if family == socket.AF_UNIX:
        return _UNIXEndpoint(reactor, endpoint.fileno)
    return endpoint


@implementer(IStreamServerEndpoint)
class _UNIXEndpoint:
    """
    The endpoint of an inherited UNIX socket.
    """

    def __init__(self, reactor: Any, fd: int) -> None:
        self._reactor = reactor
        self._fd = fd

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        fd, self._fd = self._fd, -1
        try:
            listener = socket.socket(fileno=fd)
        except OSError:
            return fail()
        port = UNIXListener(self._reactor, listener, protocolFactory)
        port.startListening()
        return succeed(port)


@implementer(IListeningPort)
class UNIXListener(FileDescriptor):
    """
    The port of an inherited UNIX socket.
    """

    def __init__(
        self, reactor: Any, listener: socket.socket, factory: IProtocolFactory
    ) -> None:
        """
        @param listener: the listening socket. The port closes it at the end. Its file
            and its queue stay for the process that owns the socket.
        """
        super().__init__(reactor)
        listener.setblocking(False)
        self._reactor = reactor
        self._listener = listener
        self._factory = factory
        self._failures = AcceptFailures(reactor)

    def startListening(self) -> None:
        self._factory.doStart()
        self.connected = 1
        self.startReading()  # type: ignore[no-untyped-call]

    def stopListening(self) -> Deferred[None]:
        """
        @return: has fired with C{None}: the port closes at once.
        """
        if self.connected:
            self.connectionLost(Failure(CONNECTION_DONE))
        return succeed(None)

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        self.connected = 0
        self._listener.close()
        self._factory.doStop()

    def getHost(self) -> UNIXAddress:
        return UNIXAddress(self._listener.getsockname())

    def fileno(self) -> int:
        return self._listener.fileno()

    def logPrefix(self) -> str:
        return "wsplug"

    def doRead(self) -> None:
        """
        Accept the connections in the queue.
        """
        for _ in range(_ACCEPTS):
            try:
                accepted, _ = self._listener.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS):
                    self._failures.add(error.strerror or str(error))
                    self._rest()
                return
            with accepted:
                accepted.setblocking(False)
                self._reactor.adoptStreamConnection(
                    accepted.fileno(), socket.AF_UNIX, self._factory
                )

    def _rest(self) -> None:
        self.stopReading()  # type: ignore[no-untyped-call]
        self._reactor.callLater(_FULL, self._resume)

    def _resume(self) -> None:
        if self.connected:
            self.startReading()  # type: ignore[no-untyped-call]
