"""
C{/-/metrics}: the server's counters, for Prometheus.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from twisted.web.resource import Resource
from twisted.web.server import Request

from wsplug.errors import InvalidOption
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


class Metrics(Resource):
    """
    Answers a scrape.
    """

    isLeaf = True

    def __init__(self, factory: WebSocketFactory) -> None:
        # Here, for it needs what may not be installed; but not with the first scrape,
        # for it takes a while.
        from wsplug.web.collector import Scraper

        super().__init__()  # type: ignore[no-untyped-call]
        self._scraper = Scraper(factory)

    def render_GET(self, request: Request) -> bytes:
        # As text, Twisted would decode it, and raise at what is none.
        accept = (request.getHeader(b"accept") or b"").decode("latin-1")
        body, kind = self._scraper.scrape(accept)
        request.setHeader(b"Content-Type", kind.encode("ascii"))
        request.setHeader(b"Cache-Control", b"no-store")
        request.setHeader(b"Vary", b"Accept")
        return body


class NoMetrics(Resource):
    """
    Says why there are no metrics.
    """

    isLeaf = True

    def render(self, request: Request) -> bytes:
        request.setResponseCode(404)
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        request.setHeader(b"Cache-Control", b"no-store")
        return MISSING.encode("ascii") + b"\n"
