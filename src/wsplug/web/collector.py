"""
The server's counters as Prometheus metrics. Only this module needs
C{prometheus-client}.

Each scrape reads the counters. A client can't choose the value of any label: see
L{wsplug.server.statistics.Statistics}.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from itertools import accumulate
from typing import Final, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

import twisted
from wsplug.build import DESCRIPTION
from wsplug.options import UNLIMITED
from wsplug.server.factory import WebSocketFactory
from wsplug.transport.traffic import LATENCY_BOUNDS, Latency
from wsplug.version import __version__

__all__ = ["FAMILIES", "Family", "Scraper"]


class Family(NamedTuple):
    """
    A family of metrics.

    @ivar name: as Prometheus shows it.
    @ivar kind: C{"counter"}, C{"gauge"} or C{"histogram"}.
    @ivar labels: the names of the labels.
    @ivar help: what it measures.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


_APPLICATION: Final = ("application",)

_BUILD: Final = Family(
    "wsplug_build_info",
    "gauge",
    ("version", "codec", "twisted", "python"),
    "always 1; the labels give the versions",
)
_START: Final = Family(
    "wsplug_start_time_seconds",
    "gauge",
    (),
    "when the server was created, in Unix time",
)
_CONNECTIONS: Final = Family(
    "wsplug_connections", "gauge", _APPLICATION, "open WebSocket connections"
)
_OPENING: Final = Family(
    "wsplug_opening_connections",
    "gauge",
    (),
    "connections that aren't WebSockets yet: handshakes and pages",
)
_MAX_CONNECTIONS: Final = Family(
    "wsplug_max_connections",
    "gauge",
    (),
    "the limit for both together: max-connections",
)
_HANDSHAKES: Final = Family(
    "wsplug_handshakes_total",
    "counter",
    ("application", "status", "setting"),
    "requests that were accepted (status 101) or refused",
)
_CLOSINGS: Final = Family(
    "wsplug_closings_total",
    "counter",
    ("application", "code", "side", "setting"),
    "connections that ended, with the labels as in the log and in connectionLost",
)
_RECEIVED_MESSAGES: Final = Family(
    "wsplug_received_messages_total",
    "counter",
    _APPLICATION,
    "whole messages that an application received",
)
_RECEIVED_BYTES: Final = Family(
    "wsplug_received_bytes_total",
    "counter",
    _APPLICATION,
    "bytes received after the handshake, as on the network",
)
_SENT_MESSAGES: Final = Family(
    "wsplug_sent_messages_total",
    "counter",
    _APPLICATION,
    "messages that an application sent",
)
_SENT_BYTES: Final = Family(
    "wsplug_sent_bytes_total",
    "counter",
    _APPLICATION,
    "bytes of frames and 101 responses, sent or waiting to be sent",
)
_SEND_BUFFERS: Final = Family(
    "wsplug_send_buffer_bytes", "gauge", (), "output that waits for clients to read it"
)
_INCOMPLETE_MESSAGES: Final = Family(
    "wsplug_incomplete_message_bytes",
    "gauge",
    (),
    "bytes of incomplete messages and bodies",
)
_LATENCY: Final = Family(
    "wsplug_message_seconds",
    "histogram",
    _APPLICATION,
    "how long an application took for a message, measured from the first scrape on",
)
_STALLS: Final = Family(
    "wsplug_reactor_stalls_total",
    "counter",
    _APPLICATION,
    "how often the reactor was blocked for longer than stall-threshold",
)
_STALL_SECONDS: Final = Family(
    "wsplug_reactor_stall_seconds_total",
    "counter",
    _APPLICATION,
    "how long these stalls took in all",
)

FAMILIES: Final = (
    _BUILD,
    _START,
    _CONNECTIONS,
    _OPENING,
    _MAX_CONNECTIONS,
    _HANDSHAKES,
    _CLOSINGS,
    _RECEIVED_MESSAGES,
    _RECEIVED_BYTES,
    _SENT_MESSAGES,
    _SENT_BYTES,
    _SEND_BUFFERS,
    _INCOMPLETE_MESSAGES,
    _LATENCY,
    _STALLS,
    _STALL_SECONDS,
)
"""
All of wsplug's own families.
"""


class Scraper:
    """
    Encodes all metrics of a server.
    """

    def __init__(self, factory: WebSocketFactory) -> None:
        self._statistics = factory.statistics
        # Not the global registry, because a process may have several servers.
        self._registry = CollectorRegistry()
        self._registry.register(_ServerCollector(factory))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def scrape(self, accept: str) -> tuple[bytes, str]:
        """
        Encode the metrics. The first call begins to measure how long applications take,
        so that a server without scrapes doesn't pay for it.

        @param accept: the request's C{Accept} header.
        @return: OpenMetrics if the client accepts it, or else Prometheus' text format;
            and the content type.
        """
        self._statistics.measureLatency()
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind


class _ServerCollector(Collector):
    """
    Reads a server's counters.
    """

    def __init__(self, factory: WebSocketFactory) -> None:
        self._factory = factory
        self._began = time.time()
        # So that applications without connections appear too, with zeros.
        for mount in factory.mounts:
            factory.statistics.trafficOf(mount.name)

    def collect(self) -> Iterator[Metric]:
        yield from self._collectServer()
        yield from self._collectEvents()
        yield from self._collectTraffic()

    def _collectServer(self) -> Iterator[Metric]:
        factory = self._factory
        build = _gauge(_BUILD)
        build.add_metric(
            [
                __version__,
                DESCRIPTION,
                twisted.__version__,
                platform.python_version(),
            ],
            1,
        )
        yield build
        limit = factory.settings.max_connections
        for family, value in (
            (_START, self._began),
            (_OPENING, factory.opening),
            (_MAX_CONNECTIONS, float("inf") if limit == UNLIMITED else limit),
            (_SEND_BUFFERS, factory.sendBuffers.used),
            (_INCOMPLETE_MESSAGES, factory.incompleteMessages.used),
        ):
            gauge = _gauge(family)
            gauge.add_metric([], value)
            yield gauge

    def _collectEvents(self) -> Iterator[Metric]:
        statistics = self._factory.statistics
        handshakes = _counter(_HANDSHAKES)
        for (name, status, setting), count in statistics.handshakes.items():
            handshakes.add_metric([name, str(status), setting], count)
        yield handshakes
        closings = _counter(_CLOSINGS)
        for labels, count in statistics.closings.items():
            closings.add_metric(labels, count)
        yield closings
        stalls, seconds = _counter(_STALLS), _counter(_STALL_SECONDS)
        for name, (count, total) in statistics.reactorStalls.items():
            stalls.add_metric([name], count)
            seconds.add_metric([name], total)
        yield stalls
        yield seconds

    def _collectTraffic(self) -> Iterator[Metric]:
        connections = _gauge(_CONNECTIONS)
        counters = [
            _counter(family)
            for family in (
                _RECEIVED_MESSAGES,
                _RECEIVED_BYTES,
                _SENT_MESSAGES,
                _SENT_BYTES,
            )
        ]
        latencies = HistogramMetricFamily(
            _LATENCY.name, _LATENCY.help, labels=_LATENCY.labels
        )
        for name, traffic in self._factory.statistics.traffic.items():
            connections.add_metric([name], traffic.connections)
            numbers = (
                traffic.receivedMessages,
                traffic.receivedBytes,
                traffic.sentMessages,
                traffic.sentBytes,
            )
            for counter, number in zip(counters, numbers, strict=True):
                counter.add_metric([name], number)
            if traffic.latency is not None:
                _addLatency(latencies, name, traffic.latency)
        yield connections
        yield from counters
        yield latencies


def _gauge(family: Family) -> GaugeMetricFamily:
    return GaugeMetricFamily(family.name, family.help, labels=family.labels)


def _counter(family: Family) -> CounterMetricFamily:
    return CounterMetricFamily(family.name, family.help, labels=family.labels)


_BOUNDS: Final = [*map(str, LATENCY_BOUNDS), "+Inf"]


def _addLatency(family: HistogramMetricFamily, name: str, latency: Latency) -> None:
    """
    Add an application's histogram. Each bucket includes those below it.
    """
    buckets = list(zip(_BOUNDS, accumulate(latency.counts), strict=True))
    family.add_metric([name], buckets, latency.total)
