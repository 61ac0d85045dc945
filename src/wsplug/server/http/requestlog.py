"""
The log line of each plain HTTP request.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from wsplug.guard.loglimit import LogLimit
from wsplug.networks import nameOfAddress
from wsplug.server.quicklog import logInfo

__all__ = ["logRequest", "showPath"]

_log = Logger(__name__)

_MAX_PATH: Final = 200
"""
Bytes of a path that are logged. The client chooses how long a path is.
"""


def logRequest(
    limit: LogLimit, client: IAddress, method: bytes, path: bytes, status: int
) -> None:
    """
    Log that a request was answered. The query and the headers may contain secrets, so
    they are left out.

    @param limit: decides whether the request is logged.
    """
    if not limit.allows(client, "requests"):
        return
    logInfo(
        _log,
        "{peer} {method} {path}: {status}",
        peer=nameOfAddress(client),
        method=method.decode("ascii", "backslashreplace"),
        path=showPath(path),
        status=status,
    )


def showPath(path: bytes) -> str:
    """
    Write a path for the log: as it was sent, but not all of a long one.
    """
    return path[:_MAX_PATH].decode("ascii", "backslashreplace")
