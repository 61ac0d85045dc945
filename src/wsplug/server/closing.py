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
Bytes that are read and thrown away of a peer that was told that it is over.
"""

LATE_LARGE_SIZE: Final = 16 * 1024 * 1024
"""
The same of one whose message or body was too large: many can't see why before they are
done with sending it. As much may be on the way in front of a close frame.
"""


class CleanlyClosed(ConnectionClosed, ConnectionDone):
    """
    Both sides closed in order: what C{reason.check(ConnectionDone)} asks for.
    """

    __str__ = ConnectionClosed.__str__


class UncleanlyClosed(ConnectionClosed, ConnectionLost):
    """
    They didn't: what C{reason.check(ConnectionLost)} asks for.
    """

    __str__ = ConnectionClosed.__str__


def endWriting(transport: Any) -> None:
    """
    End a connection on which the peer may still be sending, without losing the last
    words to it: were the socket closed with unread bytes in it, the kernel would send
    a reset, and the peer would throw away what it hasn't read yet.

    A TCP or UNIX connection is closed for writing only; the caller reads and throws
    away what comes, as far as L{LateInput} goes, and aborts after a while. TLS has no
    such half of a connection, but Twisted reads on for the peer's C{close_notify} by
    itself.
    """
    if ITCPTransport.providedBy(transport) and not ISSLTransport.providedBy(transport):
        transport.loseWriteConnection()
    else:
        transport.loseConnection()


class LateInput:
    """
    What still comes on a connection whose peer was told that it is over, or is being
    told. It is read, so that the peer can be done with sending and see why, but not
    without end: over a bound it stays in the network, which stops the peer, until the
    time is over that it has to close.
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
        Count what has come.

        @param size: in bytes.
        @param isTimed: whether the peer has its time to close, and no more.
        @param whenOver: is called if the peer ends the connection once nothing is read
            any more, where that can be seen; at once if it has no time.
        @param limit: how much may come in all, in bytes.
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
    End a connection on which nothing is under way, without waiting for the peer.

    Twisted's TLS would wait for the C{close_notify} that answers ours. Nobody has to
    (RFC 8446 section 6.1), and browsers don't send one on connections that they keep
    for later.
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

    @param log: of who refuses it.
    @param limit: says whether it is for the log.
    @param application: the name of what it was for, where that is known.
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

    @param limit: says whether it is for the log.
    @param application: the name of what served it.
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
