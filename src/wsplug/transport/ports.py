"""
Closes ports without losing clients that have already connected.

The system accepts connections by itself, and keeps them in the listening socket's queue
until the process takes them. If the socket were closed, all connections in the queue
would be reset. What happens instead depends on who owns the socket:

    - The server: it empties the queue first. Clients in it learn that the server stops.
    - Several processes that share the port (L{wsplug.transport.sharing}): new
      connections go to the others first, and those in the queue are served.
    - Somebody else, such as systemd: the socket stays open with its owner, and the next
      process serves its queue.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Collection
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReadDescriptor
from twisted.internet.task import deferLater
from twisted.logger import Logger

from wsplug.transport.sharing import SharedPort

__all__ = ["closePort", "isInherited", "openSockets"]

_log = Logger(__name__)

_ROUNDS: Final = 1000
"""
The maximum number of calls to empty a queue. Each accepts at least one connection,
unless the process has no descriptor left.
"""


def openSockets() -> frozenset[tuple[int, int]]:
    """
    Return the identities (device and inode) of the sockets that this process has open.
    """
    found = set()
    try:
        names = os.listdir("/dev/fd")
    except OSError:
        return frozenset()
    for name in names:
        try:
            status = os.fstat(int(name))
        except (OSError, ValueError):
            continue
        if stat.S_ISSOCK(status.st_mode):
            found.add((status.st_dev, status.st_ino))
    return frozenset(found)


def isInherited(port: IListeningPort, before: Collection[tuple[int, int]]) -> bool:
    """
    Return whether a port's socket was open before the port was made.

    @param before: the result of L{openSockets} before the port was made.
    """
    if not IReadDescriptor.providedBy(port):
        return False
    try:
        status = os.fstat(port.fileno())
    except OSError:
        return False
    return (status.st_dev, status.st_ino) in before


def closePort(
    port: IListeningPort, reactor: Any, inherited: bool, patience: float
) -> Deferred[None]:
    """
    Close a port. After that, it accepts no connection.

    @param inherited: whether its socket was open before the port was made.
    @param patience: the seconds until a shared port is closed.
    @return: fires with C{None} when the port is closed. It doesn't fail. Cancel it to
        close the port at once.
    """
    closing: Deferred[Any]
    if isinstance(port, SharedPort):
        port.giveWay(patience)
        closing = deferLater(reactor, patience)
        closing.addErrback(lambda failure: failure.trap(CancelledError) and None)
        closing.addCallback(lambda _: _empty(port))
        closing.addCallback(lambda _: port.stopListening())
    elif inherited or not IReadDescriptor.providedBy(port):
        closing = maybeDeferred(port.stopListening)
    else:
        # Twisted closes it in the reactor's next turn: empty it right before.
        reactor.callLater(0, _empty, port)
        closing = maybeDeferred(port.stopListening)
    return closing.addCallbacks(lambda _: None, _failed)


def _failed(failure: Any) -> None:
    if failure.check(CancelledError):
        return  # it is already closing
    _log.failure("a port could not be closed", failure)


def _empty(port: Any) -> None:
    """
    Accept all connections in a port's queue.
    """
    for _ in range(_ROUNDS):
        fd = port.fileno()
        if fd < 0 or not _isReadable(fd):
            break
        port.doRead()


def _isReadable(fd: int) -> bool:
    if not hasattr(select, "poll"):
        return bool(select.select([fd], [], [], 0)[0])
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))
