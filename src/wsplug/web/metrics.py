"""
C{/-/metrics}: the server's counters, for Prometheus.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from wsplug.errors import InvalidOption
from wsplug.interfaces import IPlainRequest, IPlainResource
from wsplug.plain import TEXT, PlainResource, Response
from wsplug.server.factory import WebSocketFactory

__all__ = ["MISSING", "Metrics", "NoMetrics", "checkMetrics", "hasPrometheus"]

MISSING: Final = (
    "/-/metrics needs prometheus-client: pip install 'wsplug[metrics]' brings it"
)


def hasPrometheus() -> bool:
    """
    Say whether C{prometheus-client} is installed.
    """
    return find_spec("prometheus_client") is not None


def checkMetrics() -> None:
    """
    Make sure that there can be metrics, where they are asked for by name.

    @raise InvalidOption: C{prometheus-client} is missing.
    """
    if not hasPrometheus():
        raise InvalidOption(MISSING)


class _AtAnyPath(PlainResource):
    """
    What answers whatever is below its path, too.
    """

    def find(self, request: IPlainRequest) -> IPlainResource | None:
        return self


class Metrics(_AtAnyPath):
    """
    Answers a scrape.
    """

    def __init__(self, factory: WebSocketFactory) -> None:
        # Here, for it needs what may not be installed; but not with the first scrape,
        # for it takes a while.
        from wsplug.web.collector import Scraper

        self._scraper = Scraper(factory)

    def respond(self, request: IPlainRequest) -> Response:
        accept = (request.getHeader(b"accept") or b"").decode("latin-1")
        body, kind = self._scraper.scrape(accept)
        headers = [
            (b"Content-Type", kind.encode("ascii")),
            (b"Cache-Control", b"no-store"),
            (b"Vary", b"Accept"),
        ]
        return Response(200, headers, body)


class NoMetrics(_AtAnyPath):
    """
    Says why there are no metrics.
    """

    def respond(self, request: IPlainRequest) -> Response:
        headers = [TEXT, (b"Cache-Control", b"no-store")]
        return Response(404, headers, MISSING.encode("ascii") + b"\n")
