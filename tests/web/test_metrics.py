"""
The metrics count what clients and applications did.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parseOpenMetrics,
)
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock

import wsplug
from tests.server.kit import App, Logs, parseResponse, raw
from tests.web.kit import Telling, key
from wsplug import Mount, WebSocketService
from wsplug.errors import InvalidOption
from wsplug.options import UNLIMITED
from wsplug.tap import Options, makeService
from wsplug.web import builtin, metrics
from wsplug.web.collector import Scraper

APPLICATION = {"application": "application"}


def test_traffic() -> None:
    """
    The metrics count the clients' messages, bytes, connections and handshakes.
    """
    telling = Telling()
    server = telling.server
    clients = [server.connect() for _ in range(3)]
    for number, client in enumerate(clients):
        for _ in range(number):
            client.send("four")
    assert isinstance(server.application, App)
    server.application.recorders[0].transport.sendTextMessage("hello")
    server.run()
    clients[2].close()
    raw(server, b"nonsense\r\n\r\n")
    samples = telling.scrape()
    handshakes = "wsplug_handshakes_total"
    assert samples[key("wsplug_connections", **APPLICATION)] == 2
    # The refused one, which hasn't closed its end yet, and the scrape's.
    assert samples[key("wsplug_opening_connections")] == 2
    assert samples[key("wsplug_max_connections")] == 10_000
    assert samples[key("wsplug_received_messages_total", **APPLICATION)] == 3
    assert samples[key("wsplug_sent_messages_total", **APPLICATION)] == 1
    # Three messages and a close frame, masked.
    assert samples[key("wsplug_received_bytes_total", **APPLICATION)] == 3 * 10 + 8
    assert samples[key(handshakes, status="101", setting="", **APPLICATION)] == 3
    assert samples[key(handshakes, status="400", setting="", application="")] == 1
    closed = key(
        "wsplug_closings_total", code="1000", side="peer", setting="", **APPLICATION
    )
    assert samples[closed] == 1


def test_waiting() -> None:
    """
    Output in send buffers counts for as long as it waits.
    """
    telling = Telling()
    client = telling.server.connect()
    client.stopReading()
    assert isinstance(telling.server.application, App)
    transport = telling.server.application.recorders[0].transport
    for _ in range(4):
        transport.sendBytesMessage(bytes(100_000))
        telling.server.run()
    waiting = telling.scrape()[key("wsplug_send_buffer_bytes")]
    assert waiting == transport.bufferedAmount > 200_000
    client.startReading()
    assert telling.scrape()[key("wsplug_send_buffer_bytes")] == 0


def test_latency() -> None:
    """
    The times of messages are measured from the first scrape on. The histogram's buckets
    are cumulative.
    """
    telling = Telling()
    client = telling.server.connect()
    client.send("not measured")
    count = key("wsplug_message_seconds_count", **APPLICATION)
    assert telling.scrape()[count] == 0
    client.send("measured")
    samples = telling.scrape()
    assert samples[count] == 1
    total = samples[key("wsplug_message_seconds_sum", **APPLICATION)]
    assert 0 < total < 10
    buckets = [
        value
        for (name, _), value in samples.items()
        if name == "wsplug_message_seconds_bucket"
    ]
    assert buckets == sorted(buckets)
    assert len(buckets) == 17
    assert samples[key("wsplug_message_seconds_bucket", le="+Inf", **APPLICATION)] == 1


def test_stalls() -> None:
    """
    Stalls are counted by application.
    """
    telling = Telling()
    telling.factory.statistics.countStall("application", 0.5)
    telling.factory.statistics.countStall("application", 1.0)
    telling.factory.statistics.countStall("", 2.0)
    samples = telling.scrape()
    assert samples[key("wsplug_reactor_stalls_total", **APPLICATION)] == 2
    seconds = "wsplug_reactor_stall_seconds_total"
    assert samples[key(seconds, **APPLICATION)] == 1.5
    assert samples[key(seconds, application="")] == 2.0


def test_unused() -> None:
    """
    An application without clients yet is there, with zeros.
    """
    samples = Telling().scrape()
    assert samples[key("wsplug_connections", **APPLICATION)] == 0
    assert samples[key("wsplug_received_messages_total", **APPLICATION)] == 0


def test_process() -> None:
    """
    The metrics have the versions, the start time and the process's own figures.
    """
    samples = Telling(max_connections=UNLIMITED).scrape()
    (labels,) = (
        dict(labels) for name, labels in samples if name == "wsplug_build_info"
    )
    assert labels["version"] == wsplug.__version__
    assert set(labels) == {"version", "codec", "twisted", "python"}
    assert time.time() - 60 < samples[key("wsplug_start_time_seconds")] <= time.time()
    assert samples[key("wsplug_max_connections")] == float("inf")
    names = {name for name, _ in samples}
    assert {"python_info", "python_gc_collections_total"} <= names
    assert "process_resident_memory_bytes" in names


def test_accept_that_is_no_text() -> None:
    """An Accept header that can't be decoded names no known format."""
    data = b"GET /-/metrics HTTP/1.1\r\nHost: x\r\nAccept: \xff\r\n\r\n"
    response = parseResponse(raw(Telling().server, data).take())
    assert response.status == 200


def test_formats() -> None:
    """
    OpenMetrics goes to clients that accept it, Prometheus' text format to all others.
    """
    telling = Telling()
    telling.server.connect()
    accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    response = telling.server.request("GET", "/-/metrics", headers=[("Accept", accept)])
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    parse: Any = parseOpenMetrics
    families = list(parse(response.body.decode("utf-8")))
    assert "wsplug_handshakes" in {family.name for family in families}
    response = telling.server.request("GET", "/-/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert response.headers["cache-control"] == "no-store"
    response = telling.server.request("HEAD", "/-/metrics")
    assert (response.status, response.body) == (200, b"")


def test_no_global_registry() -> None:
    """
    Nothing is added to prometheus-client's global registry, and one process can have
    two servers.
    """
    before = set(REGISTRY._names_to_collectors)
    first, second = Telling(), Telling()
    first.server.connect()
    assert first.scrape()[key("wsplug_connections", **APPLICATION)] == 1
    assert second.scrape()[key("wsplug_connections", **APPLICATION)] == 0
    assert set(REGISTRY._names_to_collectors) == before


def test_missing(monkeypatch: pytest.MonkeyPatch, logs: Logs) -> None:
    """
    Without prometheus-client, the metrics' path says what is missing. The log has no
    line about it, since the metrics weren't asked for. Where they are required, their
    absence is an error.
    """
    monkeypatch.setattr(builtin, "hasPrometheus", lambda: False)
    monkeypatch.setattr(metrics, "hasPrometheus", lambda: False)
    telling = Telling()
    response = telling.server.request("GET", "/-/metrics")
    assert response.status == 404
    assert b"pip install 'wsplug[metrics]'" in response.body
    mounts = [Mount("/", App())]
    with pytest.raises(InvalidOption, match="wsplug\\[metrics\\]"):
        WebSocketService(mounts, [], reactor=Clock(), metrics=True)
    WebSocketService(mounts, [], reactor=Clock(), metrics=False)
    assert not logs.lines("metrics")


def test_switched_off() -> None:
    """
    If the metrics are switched off, there are none.
    """
    telling = Telling()
    assert b"metrics" not in builtin.builtinResources(telling, False)
    assert b"metrics" in builtin.builtinResources(telling, True)


@pytest.mark.parametrize(("choice", "there"), [("yes", 1), ("auto", 1), ("no", 0)])
def test_option(choice: str, there: int, tmp_path: Path) -> None:
    """
    "--metrics" says whether operators have metrics.
    """
    token = tmp_path / "token"
    token.write_text("x" * 32)
    token.chmod(0o600)
    options = Options(MemoryReactorClock())
    options.parseOptions(
        ["--app", "echo", "--metrics", choice, "--admin-token-file", str(token)]
    )
    service: Any = makeService(options)
    assert (b"metrics" in service.factory.site._own) == bool(there)


def test_many_connections() -> None:
    """
    A scrape doesn't block the server: with a thousand connections it takes
    milliseconds.
    """
    telling = Telling()
    clients = [telling.server.connect() for _ in range(1000)]
    scraper = Scraper(telling.factory)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        scraper.scrape("")
        times.append(time.perf_counter() - began)
    assert min(times) < 0.05
    assert len(clients) == len(telling.factory.connections)
