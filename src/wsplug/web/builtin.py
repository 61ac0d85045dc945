"""
The server's built-in resources, by their names below C{/-/}. The caller decides where
they are served, and to whom.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from wsplug.interfaces import IPlainResource
from wsplug.web.health import Health, ServerState
from wsplug.web.metrics import (
    MISSING,
    Metrics,
    NoMetrics,
    checkMetrics,
    hasPrometheus,
)

__all__ = ["builtinResources"]

_log = Logger(__name__)


def builtinResources(
    server: ServerState, metrics: bool | None = None
) -> dict[bytes, IPlainResource]:
    """
    Make the built-in resources of a server.

    @param metrics: whether to serve metrics; C{None} serves them if
        C{prometheus-client} is installed. If it isn't, the resource and the log say so.
    @raise wsplug.errors.InvalidOption: C{metrics} is true, and C{prometheus-client}
        isn't installed.
    """
    resources: dict[bytes, Any] = {b"health": Health(server)}
    if metrics:
        checkMetrics()
    if metrics or (metrics is None and hasPrometheus()):
        resources[b"metrics"] = Metrics(server.factory)
    elif metrics is None:
        _log.info(MISSING)
        resources[b"metrics"] = NoMetrics()
    return resources
