"""
The server's activity in each of the last seconds. It is always recorded, so that the
status page shows its charts as soon as it opens.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from wsplug.admin.messages import ApplicationSample, Sample
from wsplug.server.factory import WebSocketFactory
from wsplug.server.statistics import Statistics

__all__ = ["INTERVAL", "KEPT", "History"]

INTERVAL: Final = 1.0
"""
Seconds between two samples.
"""

KEPT: Final = 300
"""
The number of samples that are kept.
"""

_APPLICATIONS: Final = 50
"""
The maximum of applications that a sample lists separately.
"""


class _Totals(NamedTuple):
    """
    An application's counters at one moment.
    """

    receivedMessages: int
    receivedBytes: int
    sentMessages: int
    sentBytes: int


_NOTHING: Final = _Totals(0, 0, 0, 0)


class History:
    """
    The samples of one server.

    @ivar samples: the samples, oldest first.
    """

    def __init__(self, server: WebSocketFactory) -> None:
        self.samples: deque[Sample] = deque(maxlen=KEPT)
        self._server = server
        self._before = server.clock.seconds()
        self._traffic: dict[str, _Totals] = _totals(server.statistics)
        self._accepted, self._refused = _countHandshakes(server.statistics)
        self._closed = sum(_countClosings(server.statistics).values())
        self._stalls = server.statistics.stalls

    def take(self) -> Sample:
        """
        Take a sample of the time since the last one.
        """
        server = self._server
        statistics = server.statistics
        now = server.clock.seconds()
        elapsed = now - self._before
        self._before = now
        # The clock can be set back.
        scale = 1 / elapsed if elapsed > 0.01 else 1.0
        before, self._traffic = self._traffic, _totals(statistics)
        accepted, refused = _countHandshakes(statistics)
        closings = _countClosings(statistics)
        closed = sum(closings.values())
        rates = {
            name: [
                round((new - old) * scale)
                for new, old in zip(totals, before.get(name, _NOTHING), strict=True)
            ]
            for name, totals in self._traffic.items()
        }
        received, receivedBytes, sent, sentBytes = (
            sum(each[index] for each in rates.values()) for index in range(4)
        )
        stalled = statistics.stalled
        sample = Sample(
            now,
            len(server.connections),
            server.opening,
            round((accepted - self._accepted) * scale),
            round((refused - self._refused) * scale),
            round((closed - self._closed) * scale),
            received,
            receivedBytes,
            sent,
            sentBytes,
            sum(connection.bufferedAmount for connection in stalled),
            len(stalled),
            statistics.stalls - self._stalls,
            [
                ApplicationSample(
                    name, _countOpen(statistics, name, closings), *rates[name]
                )
                for name in sorted(rates)[:_APPLICATIONS]
            ],
        )
        self._accepted, self._refused, self._closed = accepted, refused, closed
        self._stalls = statistics.stalls
        self.samples.append(sample)
        return sample


def _totals(statistics: Statistics) -> dict[str, _Totals]:
    return {
        name: _Totals(
            each.receivedMessages,
            each.receivedBytes,
            each.sentMessages,
            each.sentBytes,
        )
        for name, each in statistics.traffic.items()
    }


def _countHandshakes(statistics: Statistics) -> tuple[int, int]:
    """
    Count the accepted and the refused handshakes.
    """
    accepted = refused = 0
    for (_, status, _), count in statistics.handshakes.items():
        if status == 101:
            accepted += count
        else:
            refused += count
    return accepted, refused


def _countClosings(statistics: Statistics) -> dict[str, int]:
    """
    Count the closed connections of each application.
    """
    counts: dict[str, int] = {}
    for (name, *_), count in statistics.closings.items():
        counts[name] = counts.get(name, 0) + count
    return counts


def _countOpen(statistics: Statistics, name: str, closings: dict[str, int]) -> int:
    """
    Count an application's open connections, without iterating over them.
    """
    return statistics.handshakes.get((name, 101, ""), 0) - closings.get(name, 0)
