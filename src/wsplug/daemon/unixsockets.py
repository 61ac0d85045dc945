"""
How a UNIX socket is listened on again after a process that was killed: what that has
left behind, a lock and a socket that nobody listens on, is removed.

Twisted's lock is a symbolic link to the number of its process. It is stale when no such
process runs. In a container that isn't enough: the next process has the same number as
the one before, usually 1, and would wait for itself for ever.
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
    Listen on an endpoint, and once more if what was in the way is a UNIX socket that
    nobody listens on.

    @return: fires with the port, or fails as the endpoint's C{listen} does.
    """

    def again(failure: Failure) -> Any:
        failure.trap(CannotListenError)
        path = _pathOf(failure.value)
        if path is None or not _isStale(path):
            return failure
        _log.info(
            "removing what a process that is gone has left of {path}",
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
    Say what is in the way of listening on a UNIX socket, and what to do.

    @return: empty where the error says it all.
    """
    path = _pathOf(error)
    if path is None or isinstance(error.socketError, OSError):
        return ""
    lock = os.fsdecode(_lockOf(path))
    pid = _holderOf(path)
    if pid is None:
        return f"; {lock} is in the way"
    return f"; process {pid} has locked it; if that is no server, remove {lock}"


def _pathOf(error: BaseException | None) -> bytes | None:
    """
    Give the path of the socket that an error is about; C{None} if it is about another
    kind, or about a name that is in no file system.
    """
    path = getattr(error, "port", None)
    if not isinstance(path, bytes) or not path or path.startswith(b"\0"):
        return None
    return path


def _lockOf(path: bytes) -> bytes:
    return path + b".lock"


def _holderOf(path: bytes) -> int | None:
    """
    Give the number of the process that has locked a socket.
    """
    try:
        return int(os.readlink(_lockOf(path)))
    except (OSError, ValueError):
        return None


def _isStale(path: bytes) -> bool:
    """
    Say whether nobody listens on a socket, nor is about to.
    """
    holder = _holderOf(path)
    if holder is not None and holder != os.getpid() and isServer(holder):
        # It has locked the socket, and may be about to listen on it.
        return False
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
    except FileNotFoundError:
        return holder is not None
    except OSError:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        # One whose queue is full has somebody who listens: this isn't to wait for it.
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
