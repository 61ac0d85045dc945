"""
How a TCP connection ends, and what the application and the log learn about it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress, ISSLTransport, ITCPTransport
from twisted.logger import Logger

from wsplug.errors import ConnectionClosed, HandshakeRefused
from wsplug.guard.loglimit import LogLimit
from wsplug.networks import nameOfAddress
from wsplug.server.quicklog import logInfo
from wsplug.transport.below import belowTLS
from wsplug.transport.direct import watchForEnd

__all__ = [
    "LATE_LARGE_SIZE",
    "LATE_SIZE",
    "CleanlyClosed",
    "LateInput",
    "UncleanlyClosed",
    "endIdle",
    "endWriting",
    "logClosing",
    "logRefusal",
]

_log = Logger(__name__)

LATE_SIZE: Final = 2 * 1024 * 1024
"""
The maximum number of bytes to read and discard from a peer after closing.
"""

LATE_LARGE_SIZE: Final = 16 * 1024 * 1024
"""
Likewise, after a message or body that was too large: many clients don't see the answer
until they have sent it all. As much may also be on its way in front of a close frame.
"""


class CleanlyClosed(ConnectionClosed, ConnectionDone):
    """
    The closing handshake was complete; C{reason.check(ConnectionDone)} finds it.
    """

    __str__ = ConnectionClosed.__str__


class UncleanlyClosed(ConnectionClosed, ConnectionLost):
    """
    The connection ended without a complete closing handshake;
    C{reason.check(ConnectionLost)} finds it.
    """

    __str__ = ConnectionClosed.__str__


def endWriting(transport: Any) -> None:
    """
    End a connection on which the peer may still be sending, in a way that the peer can
    read the last output. If a socket is closed while it has unread bytes, the kernel
    sends a reset, and the peer discards what it hasn't read yet.

    A TCP or UNIX connection is closed for writing only. The caller reads and discards
    what arrives, up to the limit of L{LateInput}, and aborts after a timeout. TLS
    connections can't be half closed, but Twisted itself reads on until the peer's
    C{close_notify}.
    """
    if ITCPTransport.providedBy(transport) and not ISSLTransport.providedBy(transport):
        transport.loseWriteConnection()
    else:
        transport.loseConnection()


class LateInput:
    """
    Limits the input of a connection that is closing. It is read so that the peer can
    finish sending and then read why. Over the limit, reading stops, which stops the
    peer, until the close timeout ends.
    """

    __slots__ = ("_size", "_transport")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._size = 0

    def take(
        self,
        size: int,
        isTimed: bool,
        whenOver: Callable[[], object],
        limit: int = LATE_SIZE,
    ) -> None:
        """
        Count input.

        @param size: the bytes that have arrived.
        @param isTimed: whether the close timeout has started.
        @param whenOver: called at once if C{isTimed} is false; otherwise when the peer
            ends the connection after reading has stopped, if that can be detected.
        @param limit: the maximum number of bytes in total.
        """
        self._size += size
        if self._size <= limit:
            return
        if not isTimed:
            whenOver()
            return
        self._transport.pauseProducing()
        watchForEnd(self._transport, whenOver)


def endIdle(transport: Any) -> None:
    """
    End an idle connection without waiting for the peer.

    Twisted's TLS would wait for the peer's C{close_notify}. That is not required (RFC
    8446 section 6.1), and browsers don't send one on connections that they keep open.
    """
    transport.loseConnection()
    below = belowTLS(transport)
    if below is not None and below is not transport:
        below.loseConnection()


def logRefusal(
    log: Logger,
    limit: LogLimit,
    client: IAddress,
    refusal: HandshakeRefused,
    application: str = "",
) -> None:
    """
    Log why a request was refused.

    @param log: the logger of the caller.
    @param limit: decides whether it is logged.
    @param application: the name of the application, if it is known.
    """
    if limit.allows(client, "refused", refusal.setting):
        log.info(
            "{peer} refused: {refusal}",
            peer=nameOfAddress(client),
            application=application,
            refusal=refusal,
            status=refusal.status,
            reason=refusal.reason,
            setting=refusal.setting,
        )


def logClosing(
    limit: LogLimit, client: IAddress, application: str, closed: ConnectionClosed
) -> None:
    """
    Log why a connection has ended.

    @param limit: decides whether it is logged.
    @param application: the application's name.
    """
    if not limit.allows(client, "closed", closed.setting):
        return
    logInfo(
        _log,
        "{peer} {application}: {closed}",
        peer=nameOfAddress(client),
        application=application,
        closed=closed,
        code=closed.code,
        reason=closed.reason,
        side=str(closed.side),
        setting=closed.setting,
    )
