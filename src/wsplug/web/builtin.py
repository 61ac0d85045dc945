"""
The server's built-in resources, by their names below C{/-/}. The caller decides where
they are served, and to whom.
"""

from __future__ import annotations

from typing import Any

from wsplug.interfaces import IPlainResource
from wsplug.web.health import Health, ServerState
from wsplug.web.metrics import (
    Metrics,
    NoMetrics,
    checkMetrics,
    hasPrometheus,
)

__all__ = ["builtinResources"]


def builtinResources(
    server: ServerState, metrics: bool | None = None
) -> dict[bytes, IPlainResource]:
    """
    Make the built-in resources of a server.

    @param metrics: whether to serve metrics; C{None} serves them if
        C{prometheus-client} is installed. If it isn't, the resource says so.
    @raise wsplug.errors.InvalidOption: C{metrics} is true, and C{prometheus-client}
        isn't installed.
    """
    resources: dict[bytes, Any] = {b"health": Health(server)}
    if metrics:
        checkMetrics()
    if metrics or (metrics is None and hasPrometheus()):
        resources[b"metrics"] = Metrics(server.factory)
    elif metrics is None:
        resources[b"metrics"] = NoMetrics()
    return resources
