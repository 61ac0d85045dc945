"""
The server's counters.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.server.kit import Recorder, openOne, raw, serve
from wsplug.codec import FIN, OP_BINARY, encode_frame
from wsplug.server.statistics import Statistics
from wsplug.testing import MemoryServer
from wsplug.transport.traffic import LATENCY_BOUNDS


def _statistics(server: MemoryServer) -> Statistics:
    return server.factory.statistics


def test_traffic() -> None:
    """
    Messages and bytes of both directions are counted for their application.
    """
    recorder = Recorder()
    opened = openOne(recorder)
    traffic = _statistics(opened.server).trafficOf("application")
    sent = traffic.sentBytes  # the 101
    assert sent > 100
    opened.client.send("four")
    opened.client.send(b"bytes")
    assert (traffic.receivedMessages, traffic.receivedBytes) == (2, 10 + 11)
    opened.transport.sendTextMessage("ab")
    opened.transport.sendBytesMessage(b"c" * 200)
    opened.server.run()
    assert (traffic.sentMessages, traffic.sentBytes - sent) == (2, 4 + 204)


def test_large_message() -> None:
    """
    Bytes that are read directly into a message's buffer are counted like others.
    """
    opened = openOne()
    traffic = _statistics(opened.server).trafficOf("application")
    payload = bytes(300_000)
    opened.client.transport.put(encode_frame(FIN | OP_BINARY, payload, b"abcd"))
    opened.server.run()
    assert (traffic.receivedMessages, traffic.receivedBytes) == (1, 300_014)


def test_handshakes() -> None:
    """
    A handshake is counted by its status and setting.
    """
    server = serve(max_head_size=200)
    server.connect()
    raw(server, b"GET / HTTP/1.1\r\n" + b"x" * 300)
    raw(server, b"nonsense\r\n\r\n")
    statistics = _statistics(server)
    assert statistics.handshakes == {
        ("application", 101, ""): 1,
        ("", 431, "max-head-size"): 1,
        ("", 400, ""): 1,
    }
    refusal = statistics.refusals[0]
    assert (refusal.status, refusal.setting) == (431, "max-head-size")
    assert refusal.client.host == "192.0.2.1"  # type: ignore[attr-defined]


def test_closings() -> None:
    """
    A closing is counted as the log and C{connectionLost} report it, and the latest ones
    are kept.
    """
    recorder = Recorder()
    opened = openOne(recorder, ping_interval=5.0, ping_timeout=3.0)
    for _ in range(40):
        opened.server.clock.advance(0.25)
    statistics = _statistics(opened.server)
    closed = recorder.closed
    key = ("application", str(closed.code), str(closed.side), str(closed.setting))
    assert statistics.closings == {key: 1}
    disconnect = statistics.disconnects[-1]
    assert disconnect.setting == "ping-timeout"
    assert disconnect.reason == closed.reason
    assert 8 <= disconnect.seconds <= 9


@pytest.mark.parametrize(
    ("code", "label"), [(1000, "1000"), (3000, "3000-3999"), (4999, "4000-4999")]
)
def test_codes_of_clients(code: int, label: str) -> None:
    """
    Codes that clients may choose freely are counted under two labels.
    """
    opened = openOne()
    opened.client.close(code)
    assert list(_statistics(opened.server).closings) == [
        ("application", label, "peer", "")
    ]


def test_bounded() -> None:
    """
    Only the latest disconnects are kept.
    """
    server = serve()
    for _ in range(250):
        server.connect().close()
        raw(server, b"nonsense\r\n\r\n")
    assert len(_statistics(server).disconnects) == 200
    assert len(_statistics(server).refusals) == 200


def test_serving() -> None:
    """
    While an application's code runs, its name is known, even after it has raised, and
    within another application's code.
    """
    seen: list[str | None] = []

    def look(_: Any) -> None:
        seen.append(statistics.serving)

    def fail(_: Any) -> None:
        seen.append(statistics.serving)
        statistics.serving = "inner"

    recorder = Recorder(text=look, bytes=fail, started=lambda _: None)
    opened = openOne(recorder)
    statistics = _statistics(opened.server)
    assert statistics.serving is None
    opened.client.send("x")
    opened.client.send(b"x")
    opened.client.close()
    assert seen == ["application", "application"]
    assert statistics.serving is None


def test_latency() -> None:
    """
    If latency is measured, each message's time is counted once: for an immediate
    answer, a Deferred, and a failure. Otherwise, nothing is measured.
    """
    waiting: Deferred[None] = Deferred()
    answers: list[Any] = [None, "no Deferred", waiting]
    recorder = Recorder(text=lambda _: answers.pop(0))
    opened = openOne(recorder)
    statistics = _statistics(opened.server)
    traffic = statistics.trafficOf("application")
    assert traffic.latency is None
    statistics.measureLatency()
    latency = traffic.latency
    assert latency is not None
    for expected in (1, 2, 2):
        opened.client.send("x")
        assert sum(latency.counts) == expected
    waiting.callback(None)
    assert sum(latency.counts) == 3
    assert len(latency.counts) == len(LATENCY_BOUNDS) + 1
    assert latency.total > 0
    statistics.measureLatency()
    assert traffic.latency is latency
    assert statistics.trafficOf("another").latency is not None
