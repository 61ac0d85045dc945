"""
The log, C{connectionLost}, the list of disconnects and the metrics agree about the end
of each connection. The log, the list of refusals and the metrics agree about each
refusal.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import INegotiated
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.live import test_endpoints as endpoints
from tests.server import test_connection as endings
from tests.server import test_opening as openings
from tests.server.kit import App, Logs, Opened, handshake, openOne, raw, serve
from tests.tls import test_serving as serving
from tests.web.closingpage import AFTER, HANDSHAKE, TLS, namedSettings, readRows
from tests.web.kit import Samples, key, readSamples
from tests.web.provocations import CLOSINGS
from tests.web.provocations import REFUSALS as ROW_REFUSALS
from wsplug import HandshakeRefused, Settings
from wsplug.server.factory import WebSocketFactory
from wsplug.testing import MemoryServer, MemoryTransport
from wsplug.web.collector import Scraper

CLIENT_ADDRESS = IPv4Address("TCP", "192.0.2.1", 50000)

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
    They agree about each way in which a connection ends.
    """
    opened = openOne(max_message_size=1000, max_send_buffer=250_000, **settings)
    end(opened)
    logs.failures()
    closed = opened.recorder.closed
    told = (closed.code, closed.reason, str(closed.side), closed.setting)
    (event,) = logs.events(": closed by")
    assert told == tuple(event[each] for each in ("code", "reason", "side", "setting"))
    factory = opened.server.factory
    (disconnect,) = factory.statistics.disconnects
    assert told == (
        disconnect.code,
        disconnect.reason,
        str(disconnect.side),
        disconnect.setting,
    )
    assert disconnect.application == event["application"] == "application"
    assert disconnect.clean == closed.clean
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
    They agree about each way in which a request is refused.
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


@pytest.mark.parametrize("row", CLOSINGS)
def test_closing_rows(row: str, logs: Logs) -> None:
    """
    For each row of the closings, the row, the log, C{connectionLost}, the list of
    disconnects and the metrics agree.
    """
    documented = readRows(AFTER)[row]
    codes, settings = set(), set()
    for provoke in CLOSINGS[row]:
        seen = len(logs.events(": closed by"))
        provoked = provoke()
        logs.failures()
        *_, event = logs.events(": closed by")[seen:]
        told = tuple(event[each] for each in ("code", "reason", "side", "setting"))
        code, _, side, setting = told
        assert side == documented.cells[0]
        codes.add(code)
        settings.add(setting)
        lost = provoked.lost
        if lost is not None:
            assert told == (lost.code, lost.reason, str(lost.side), lost.setting)
        statistics = provoked.factory.statistics
        last = statistics.disconnects[-1]
        assert told == (last.code, last.reason, str(last.side), last.setting)
        assert sum(statistics.closings.values()) == len(statistics.disconnects)
        labels = {"code": str(code), "side": side, "setting": setting or ""}
        if side == "peer" and code >= 3000:
            labels["code"] = f"{code // 1000}000-{code // 1000}999"
        counted = key("wsplug_closings_total", application=last.application, **labels)
        assert _scrape(provoked.factory)[counted] >= 1
    assert documented.hasCodes(codes)
    assert settings == documented.settings


@pytest.mark.parametrize("row", ROW_REFUSALS)
def test_refusal_rows(row: str, logs: Logs) -> None:
    """
    For each row of the refusals, the row, the log, the list of refusals and the metrics
    agree.
    """
    documented = readRows(HANDSHAKE)[row]
    statuses, settings = set(), set()
    for provoke in ROW_REFUSALS[row]:
        seen = len(logs.events("refused: "))
        factory = provoke().factory
        logs.failures()
        *_, event = logs.events("refused: ")[seen:]
        told = tuple(event[each] for each in ("status", "reason", "setting"))
        status, _, setting = told
        statuses.add(status)
        settings.add(setting)
        last = factory.statistics.refusals[-1]
        assert told == (last.status, last.reason, last.setting)
        assert last.application == event["application"]
        counted = key(
            "wsplug_handshakes_total",
            application=last.application,
            status=str(status),
            setting=setting or "",
        )
        assert _scrape(factory)[counted] >= 1
    assert documented.hasCodes(statuses)
    assert settings == documented.settings


ALERT = "the alert's name"

TLS_ROWS: dict[str, tuple[str | None, Any]] = {
    "speaks HTTP without TLS": ("http request", serving.test_not_tls),
    "speaks something else": ("wrong version number", serving.test_not_tls),
    "doesn't complete the handshake in time": (None, serving.test_half_handshake),
    "speaks TLS 1.1 or older only": ("unsupported protocol", serving.test_old_client),
    "has no cipher in common with the server": ("no shared cipher", None),
    "offers protocols without `http/1.1` (ALPN, RFC 7301)": (
        "no application protocol",
        endpoints.test_only_other_protocols,
    ),
    "has no certificate where [one is required](../guides/tls.md)": (
        "peer did not return a certificate",
        serving.test_clients,
    ),
    "has a certificate that no given authority has signed, or that has expired": (
        "certificate verify failed",
        serving.test_clients,
    ),
    "doesn't trust the server's certificate, or sends another alert": (
        ALERT,
        serving.test_distrustful_client,
    ),
}
"""
For each row: OpenSSL's error, or C{None} where OpenSSL isn't involved, and the test in
which it occurs over sockets. In memory, the error is simulated. The ciphers differ from
one OpenSSL to the next.
"""


@pytest.mark.parametrize("row", TLS_ROWS)
def test_tls_rows(row: str, logs: Logs) -> None:
    """
    For each row about TLS, the log says what the row does.
    """
    documented = readRows(TLS)[row]
    words, overSockets = TLS_ROWS[row]
    server = serve()
    transport: Any
    if words is None:
        transport = _Negotiated(CLIENT_ADDRESS, CLIENT_ADDRESS)
        transport.attach(server.factory.buildProtocol(CLIENT_ADDRESS))
        server.advance(11)
    else:
        transport = server.connectTransport()
        transport._lose(Failure(SSL.Error([("SSL routines", "", words)])))
    (event,) = logs.events("failed in TLS: ")
    assert {event["setting"]} == documented.settings
    reason = documented.cells[0].strip("`")
    assert event["reason"] == (words if reason == ALERT else reason)
    if overSockets is not None and reason != ALERT:
        said = reason.replace(" in 10 ", " in 0.5 ")
        assert said in inspect.getsource(overSockets)


@implementer(INegotiated)
class _Negotiated(MemoryTransport):
    """
    The connection of a client that doesn't complete the handshake.
    """

    negotiatedProtocol = None

    def getPeerCertificate(self) -> None:
        """Return nothing: no certificate has arrived."""


def test_all_rows() -> None:
    """
    Each row is provoked, and each provocation has a row.
    """
    assert set(readRows(AFTER)) == set(CLOSINGS)
    assert set(readRows(HANDSHAKE)) == set(ROW_REFUSALS)
    assert set(readRows(TLS)) == set(TLS_ROWS)


def test_all_settings() -> None:
    """
    Each setting that the code names as the cause of something is in a row.
    """
    rows = [*readRows(AFTER).values(), *readRows(HANDSHAKE).values()]
    rows += readRows(TLS).values()
    documented = {setting for row in rows for setting in row.settings}
    named = namedSettings()
    assert len(named) > 15
    assert not {each: named[each] for each in set(named) - documented}
