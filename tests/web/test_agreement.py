"""
The log, C{connectionLost}, the list of departures and the metrics tell the same of each
connection's end, and the log, the list of refusals and the metrics of each refusal.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.server import test_connection as endings
from tests.server import test_opening as openings
from tests.server.kit import App, Logs, Opened, handshake, openOne, raw, serve
from tests.web.kit import Samples, key, readSamples
from wsplug import HandshakeRefused, Settings
from wsplug.server.factory import WebSocketFactory
from wsplug.testing import MemoryServer
from wsplug.web.collector import Scraper

CLOSING = (Path(__file__).parents[2] / "docs" / "closing.md").read_text("utf-8")

ENDINGS: list[tuple[Callable[[Opened], None], dict[str, Any]]] = [
    *((row[0], {}) for row in endings.ENDINGS),
    (endings._serverStopsInVain, {"close_timeout": 0}),
    (endings._serverStopsInHaste, {"close_timeout": 0}),
]


def _scrape(factory: WebSocketFactory) -> Samples:
    return readSamples(Scraper(factory).scrape("")[0].decode("utf-8"))


def _with(samples: Samples, name: str) -> Samples:
    return {labels: value for labels, value in samples.items() if labels[0] == name}


@pytest.mark.parametrize(
    ("end", "settings"), [pytest.param(*row, id=row[0].__name__) for row in ENDINGS]
)
def test_endings(
    end: Callable[[Opened], None], settings: dict[str, Any], logs: Logs
) -> None:
    """
    Each way in which a connection ends.
    """
    opened = openOne(max_message_size=1000, send_limit=250_000, **settings)
    end(opened)
    logs.failures()
    closed = opened.recorder.closed
    told = (closed.code, closed.reason, str(closed.side), closed.setting)
    (event,) = logs.events(": closed by")
    assert told == tuple(event[each] for each in ("code", "reason", "side", "setting"))
    factory = opened.server.factory
    (departure,) = factory.statistics.departures
    assert told == (
        departure.code,
        departure.reason,
        str(departure.side),
        departure.setting,
    )
    assert departure.application == event["application"] == "application"
    assert departure.clean == closed.clean
    samples = _scrape(factory)
    expected = key(
        "wsplug_closings_total",
        application="application",
        code=str(closed.code),
        side=str(closed.side),
        setting=closed.setting or "",
    )
    assert _with(samples, "wsplug_closings_total") == {expected: 1}
    assert samples[key("wsplug_connections", application="application")] == 0


def test_documented_endings() -> None:
    """
    Each of these is a row of docs/closing.md.
    """
    section = CLOSING.partition("## After")[2].partition("## Instead")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines()]
    documented = {
        (cells[1], setting.strip("` ") or None)
        for cells in rows
        if len(cells) >= 3 and cells[1] in ("peer", "server", "application")
        for setting in (cells[3] if len(cells) > 3 else "").split(",")
    }
    for _, side, _, _, setting, _ in endings.ENDINGS:
        # The close timeout cuts short what anybody has begun.
        assert (str(side), setting) in documented or setting == "close-timeout"


def _fails(_: Any) -> Any:
    raise RuntimeError


def _refuses(_: Any) -> Any:
    raise HandshakeRefused(402, "no money", setting="purse")


def _late() -> MemoryServer:
    server = serve()
    server.connectTransport()
    server.advance(11)
    return server


def _unanswered() -> MemoryServer:
    server = MemoryServer(App(lambda _: Deferred()))
    raw(server, handshake())
    server.advance(11)
    return server


def _full() -> MemoryServer:
    server = serve(max_connections=1)
    server.connect()
    server.connectTransport()
    return server


def _stopping() -> MemoryServer:
    server = serve()
    server.connect().stopReading()
    server.stop()
    server.connectTransport()
    return server


def _sends(data: bytes, build: Any = None, path: str = "/", **settings: Any) -> Any:
    def send() -> MemoryServer:
        server = MemoryServer(App(build), path=path, settings=Settings(**settings))
        raw(server, data)
        return server

    return send


REFUSALS = [
    *(
        pytest.param(
            _sends(row.values[0]),
            "",
            row.values[1],
            (*row.values, None)[3],
            id=str(row.id),
        )
        for row in openings.REFUSALS
    ),
    pytest.param(
        _sends(handshake(), max_head_size=20), "", 431, "max-head-size", id="head"
    ),
    pytest.param(
        _sends(handshake(), max_headers=2), "", 431, "max-headers", id="headers"
    ),
    pytest.param(_late, "", 408, "open-timeout", id="late"),
    pytest.param(_sends(handshake(), path="/a"), "", 404, None, id="nowhere"),
    pytest.param(_sends(handshake(), _refuses), "application", 402, "purse", id="app"),
    pytest.param(_sends(handshake(), _fails), "application", 500, None, id="raises"),
    pytest.param(_unanswered, "application", 503, "open-timeout", id="unanswered"),
    pytest.param(_full, "", 503, "max-connections", id="full"),
    pytest.param(_stopping, "", 503, None, id="stopping"),
]


@pytest.mark.parametrize(("refuse", "application", "status", "setting"), REFUSALS)
def test_refusals(
    refuse: Callable[[], MemoryServer],
    application: str,
    status: int,
    setting: str | None,
    logs: Logs,
) -> None:
    """
    Each way in which a request is refused.
    """
    factory = refuse().factory
    logs.failures()
    (event,) = logs.events("refused: ")
    assert (event["application"], event["status"]) == (application, status)
    assert event["setting"] == setting
    (refusal,) = factory.statistics.refusals
    assert (refusal.status, refusal.setting) == (status, setting)
    assert refusal.reason == event["reason"]
    refused = {
        labels: value
        for labels, value in _with(_scrape(factory), "wsplug_handshakes_total").items()
        if ("status", "101") not in labels[1]
    }
    assert refused == {
        key(
            "wsplug_handshakes_total",
            application=application,
            status=str(status),
            setting=setting or "",
        ): 1
    }


def test_names() -> None:
    """
    Settings that are named as the cause of something are in the page.
    """
    named = {row.values[3] for row in REFUSALS} | {row[4] for row in endings.ENDINGS}
    for setting in named - {None, "purse"}:
        assert re.search(rf"`{setting}`", CLOSING), setting
