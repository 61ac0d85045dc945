"""
What tells of the server itself: which resources there are, by their names below
C{/-/}. Where they are offered, and to whom, is for whoever asks for them.
"""

from __future__ import annotations

from twisted.logger import Logger
from twisted.web.resource import IResource

from wsplug.web.health import Health, ServerState
from wsplug.web.metrics import (
    MISSING,
    Metrics,
    NoMetrics,
    checkMetrics,
    hasPrometheus,
)

__all__ = ["ownResources"]

_log = Logger(__name__)


def ownResources(
    server: ServerState, metrics: bool | None = None
) -> dict[bytes, IResource]:
    """
    Make the resources of a server.

    @param metrics: whether there are metrics; C{None} for: if C{prometheus-client} is
        installed. If not, what is in their place says so, as does the log.
    @raise wsplug.errors.InvalidOption: there have to be metrics, and it isn't.
    """
    resources: dict[bytes, IResource] = {b"health": Health(server)}
    if metrics:
        checkMetrics()
    if metrics or (metrics is None and hasPrometheus()):
        resources[b"metrics"] = Metrics(server.factory)
    elif metrics is None:
        _log.info(MISSING)
        resources[b"metrics"] = NoMetrics()  # type: ignore[no-untyped-call]
    return resources
