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

MISSING: Final = "/-/metrics needs prometheus-client: pip install 'wsplug[metrics]'"


def hasPrometheus() -> bool:
    """
    Return whether C{prometheus-client} is installed.
    """
    return find_spec("prometheus_client") is not None


def checkMetrics() -> None:
    """
    Check that the server can serve metrics.

    @raise InvalidOption: C{prometheus-client} is missing.
    """
    if not hasPrometheus():
        raise InvalidOption(MISSING)


class _AtAnyPath(PlainResource):
    """
    A resource that also answers for all paths below its own.
    """

    def find(self, request: IPlainRequest) -> IPlainResource | None:
        return self


class Metrics(_AtAnyPath):
    """
    Answers a scrape.
    """

    def __init__(self, factory: WebSocketFactory) -> None:
        # Imported here, because prometheus-client is optional. The import is slow, so
        # that it doesn't wait for the first scrape.
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
    Answers 404, with the reason why there are no metrics.
    """

    def respond(self, request: IPlainRequest) -> Response:
        headers = [TEXT, (b"Cache-Control", b"no-store")]
        return Response(404, headers, MISSING.encode("ascii") + b"\n")
