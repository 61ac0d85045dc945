"""
A server in memory with health checks and metrics.
"""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.server.kit import App
from wsplug import Settings
from wsplug.interfaces import IPlainResource
from wsplug.server.factory import WebSocketFactory
from wsplug.testing import MemoryServer
from wsplug.web.builtin import builtinResources
from wsplug.web.site import makeSite

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Telling:
    """
    Gives the resources what they get from the service, in memory.

    @ivar server: the server in memory.
    @ivar isReady: whether the server is ready, as the test sets it.
    """

    def __init__(
        self, application: Any = None, path: str = "/", **settings: Any
    ) -> None:
        self.server = MemoryServer(
            application if application is not None else App(),
            path=path,
            settings=Settings(**settings),
        )
        self.factory: WebSocketFactory = self.server.factory
        self.isReady = True
        self.own: dict[bytes, IPlainResource] = builtinResources(self)
        self.factory.site = makeSite(self.factory.mounts, self.server.clock, self.own)

    def scrape(self) -> Samples:
        """
        Scrape the metrics.
        """
        response = self.server.request("GET", "/-/metrics")
        assert response.status == 200, response.body
        return readSamples(response.body.decode("utf-8"))


def readSamples(text: str) -> Samples:
    """
    Read metrics in Prometheus' text format, by name and sorted labels.
    """
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """
    Make a key of L{Samples}.
    """
    return name, tuple(sorted(labels.items()))
