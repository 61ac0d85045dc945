"""
UNIX sockets that a killed process has left behind. Its lock and its socket are removed,
so that the server can listen there again.

Twisted's lock is a symbolic link whose target is the process ID. Twisted considers it
stale when no such process runs. That isn't enough in a container: the new process has
the same ID as the one before, usually 1, and finds the socket locked by itself.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.daemon.running import isServer

__all__ = ["explainLock", "listenOn"]

_log = Logger(__name__)


def listenOn(
    endpoint: IStreamServerEndpoint, factory: IProtocolFactory
) -> Deferred[IListeningPort]:
    """
    Listen on an endpoint. If a stale UNIX socket is in the way, remove it and listen
    again.

    @return: fires with the port, or fails as the endpoint's C{listen} does.
    """

    def again(failure: Failure) -> Any:
        failure.trap(CannotListenError)
        path = _pathOf(failure.value)
        if path is None or not _isStale(path):
            return failure
        _log.info(
            "removing the stale socket {path}: its process is gone",
            path=os.fsdecode(path),
        )
        for left in (path, _lockOf(path)):
            with suppress(OSError):
                os.unlink(left)
        return endpoint.listen(factory)

    listening: Deferred[IListeningPort] = maybeDeferred(endpoint.listen, factory)
    return listening.addErrback(again)


def explainLock(error: CannotListenError) -> str:
    """
    Explain what prevents listening on a UNIX socket, and what you can do.

    @return: empty if the error says enough.
    """
    path = _pathOf(error)
    if path is None or isinstance(error.socketError, OSError):
        return ""
    lock = os.fsdecode(_lockOf(path))
    pid = _holderOf(path)
    if pid is None:
        return f"; {lock} is in the way"
    return f"; process {pid} has locked it; if that isn't a server, remove {lock}"


def _pathOf(error: BaseException | None) -> bytes | None:
    """
    Return the path of the UNIX socket that an error is about; C{None} for another kind
    of socket, and for a name in the abstract namespace.
    """
    path = getattr(error, "port", None)
    if not isinstance(path, bytes) or not path or path.startswith(b"\0"):
        return None
    return path


def _lockOf(path: bytes) -> bytes:
    return path + b".lock"


def _holderOf(path: bytes) -> int | None:
    """
    Return the ID of the process that has locked a socket.
    """
    try:
        return int(os.readlink(_lockOf(path)))
    except (OSError, ValueError):
        return None


def _isStale(path: bytes) -> bool:
    """
    Return whether no process listens on a socket, or is about to.
    """
    holder = _holderOf(path)
    if holder is not None and holder != os.getpid() and isServer(holder):
        # That server may be about to listen.
        return False
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
    except FileNotFoundError:
        return holder is not None
    except OSError:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        # Don't wait: if the queue is full, a process listens.
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
