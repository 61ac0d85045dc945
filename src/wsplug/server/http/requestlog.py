"""
The log line of each plain HTTP request.
"""

from __future__ import annotations

from time import time
from typing import Final

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger, LogLevel

from wsplug.guard.loglimit import LogLimit
from wsplug.networks import nameOfAddress

__all__ = ["logRequest"]

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
    they are left out. The event goes straight to the observer: C{Logger.info} takes
    longer than the answer does.

    @param limit: decides whether the request is logged.
    """
    if not limit.allows(client, "requests"):
        return
    _log.observer(
        {
            "log_logger": _log,
            "log_level": LogLevel.info,
            "log_namespace": _log.namespace,
            "log_source": None,
            "log_format": "{peer} {method} {path}: {status}",
            "log_time": time(),
            "peer": nameOfAddress(client),
            "method": method.decode("ascii", "backslashreplace"),
            "path": path[:_MAX_PATH].decode("ascii", "backslashreplace"),
            "status": status,
        }
    )
