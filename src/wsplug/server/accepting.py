"""
The log line of each connection that is accepted. L{wsplug.server.closing} has the line
of its end.
"""

from __future__ import annotations

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from wsplug.guard.loglimit import LogLimit
from wsplug.networks import nameOfAddress
from wsplug.server.http.requestlog import showPath
from wsplug.server.quicklog import logInfo

__all__ = ["logAccepted"]

_log = Logger(__name__)


def logAccepted(
    limit: LogLimit, client: IAddress, application: str, path: bytes
) -> None:
    """
    Log that a connection was accepted.

    @param limit: decides whether it is logged.
    @param application: the name of the application that serves it.
    @param path: the request's path, without the query.
    """
    if not limit.allows(client, "accepted"):
        return
    logInfo(
        _log,
        "{peer} {application}: accepted at {path}",
        peer=nameOfAddress(client),
        application=application,
        path=showPath(path),
    )
