"""
Sockets that were listened on before this process was there: systemd's, by Twisted's
endpoint C{systemd:}.

Twisted takes them over as they are, but for UNIX sockets: there it changes the file's
mode (which only its owner may), and removes the file at the end, though the socket
isn't ours. So these have a port of their own here.
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
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug.errors import InvalidOption

__all__ = ["UNIXListener", "explainSystemd", "takeOver"]

_ACCEPTS: Final = 100
"""
Connections that are taken at a time.
"""

_FULL: Final = 1.0
"""
Seconds for which none is, when no descriptor is left.
"""


def explainSystemd(error: BaseException) -> str:
    """
    Say what is wrong about an endpoint C{systemd:...} that could not be made.
    """
    if isinstance(error, (IndexError, KeyError)):
        return (
            "no such socket was handed over (LISTEN_FDS, LISTEN_FDNAMES): it takes a "
            ".socket unit that belongs to the service"
        )
    if isinstance(error, AttributeError):
        return "its domain is INET, INET6 or UNIX"
    return str(error)


def takeOver(endpoint: IStreamServerEndpoint, reactor: Any) -> IStreamServerEndpoint:
    """
    Give an endpoint that listens on its inherited socket as it should, if it has one.

    @raise InvalidOption: its socket isn't what the endpoint's string says, or doesn't
        listen.
    """
    if not isinstance(endpoint, AdoptedStreamServerEndpoint):
        return endpoint
    try:
        with socket.socket(fileno=os.dup(endpoint.fileno)) as listener:
            family, kind = listener.family, listener.type
            listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise InvalidOption(
            f"descriptor {endpoint.fileno} is no socket: {error.strerror}"
        ) from None
    if family != endpoint.addressFamily:
        word = family.name.removeprefix("AF_")
        raise InvalidOption(f"the socket is of another domain: domain={word}")
    if kind != socket.SOCK_STREAM or not listens:
        raise InvalidOption(
            "the socket doesn't listen for connections: it takes ListenStream= and no "
            "Accept=yes in the .socket unit"
        )
    if family == socket.AF_UNIX:
        return _UNIXEndpoint(reactor, endpoint.fileno)
    return endpoint


@implementer(IStreamServerEndpoint)
class _UNIXEndpoint:
    """
    Where a UNIX socket that is somebody else's is to be listened on.
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
    A UNIX socket that is somebody else's, listened on.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, listener: socket.socket, factory: IProtocolFactory
    ) -> None:
        """
        @param listener: one that listens; it is closed at the end, which leaves its
            file and those who wait in its queue to whoever has it too.
        """
        super().__init__(reactor)
        listener.setblocking(False)
        self._reactor = reactor
        self._listener = listener
        self._factory = factory

    def startListening(self) -> None:
        self._factory.doStart()
        self.connected = 1
        self.startReading()  # type: ignore[no-untyped-call]

    def stopListening(self) -> Deferred[None]:
        """
        @return: fires with C{None}: it is closed already.
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
        Take those who wait.
        """
        for _ in range(_ACCEPTS):
            try:
                accepted, _ = self._listener.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS):
                    self._log.warn("can't take a connection: {error}", error=error)
                    self._rest()
                return
            with accepted:
                accepted.setblocking(False)
                self._reactor.adoptStreamConnection(
                    accepted.fileno(), socket.AF_UNIX, self._factory
                )

    def _rest(self) -> None:
        self.stopReading()  # type: ignore[no-untyped-call]
        self._reactor.callLater(_FULL, self._goOn)

    def _goOn(self) -> None:
        if self.connected:
            self.startReading()  # type: ignore[no-untyped-call]
