"""
What the server counts: handshakes, closings, messages, bytes, and which application is
at work.

It only counts. Pages and exporters read the numbers when somebody asks for them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from time import perf_counter
from typing import Any, Final, NamedTuple

from twisted.internet.interfaces import IAddress

from wsplug.errors import ConnectionClosed, HandshakeRefused, Side

__all__ = [
    "LATENCY_BOUNDS",
    "Departure",
    "Latency",
    "Refusal",
    "Statistics",
    "Traffic",
]

LATENCY_BOUNDS: Final = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)
"""
Seconds: the upper bounds of the classes that an application's times fall into; what
takes longer falls into one more.
"""

_KEPT: Final = 200
"""
Departures and refusals that are remembered one by one.
"""


class Latency:
    """
    How long an application took for its messages, from the call to what the call has
    returned, or to when that has fired.

    @ivar counts: how many were in each class; one more than L{LATENCY_BOUNDS} has.
    @ivar total: seconds in all.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCY_BOUNDS) + 1)
        self.total = 0.0

    def observe(self, began: float) -> None:
        """
        Count one in that is over now.

        @param began: when, by C{time.perf_counter}.
        """
        seconds = perf_counter() - began
        self.counts[bisect_left(LATENCY_BOUNDS, seconds)] += 1
        self.total += seconds


class Traffic:
    """
    What all connections of one application have received and sent.

    @ivar application: its name.
    @ivar connections: how many are open now.
    @ivar receivedMessages: whole ones that the application got.
    @ivar receivedBytes: after the handshake, as they came from the network.
    @ivar sentMessages: that the application has sent.
    @ivar sentBytes: of frames, given to the network or waiting to be.
    @ivar latency: C{None} where nobody wants to know it: it costs two looks at the
        clock for each message.
    """

    __slots__ = (
        "application",
        "connections",
        "latency",
        "receivedBytes",
        "receivedMessages",
        "sentBytes",
        "sentMessages",
    )

    def __init__(self, application: str = "") -> None:
        self.application = application
        self.connections = 0
        self.receivedMessages = 0
        self.receivedBytes = 0
        self.sentMessages = 0
        self.sentBytes = 0
        self.latency: Latency | None = None

    def observe(self, began: float) -> None:
        """
        Count a message in that the application is done with.

        @param began: as L{Latency.observe} takes it.
        """
        if self.latency is not None:
            self.latency.observe(began)


class Departure(NamedTuple):
    """
    One connection's end.

    @ivar time: when, by the clock.
    @ivar client: whose it was.
    @ivar seconds: how long it lasted.
    """

    time: float
    client: IAddress
    application: str
    seconds: float
    code: int
    reason: str
    side: Side
    setting: str | None
    clean: bool


class Refusal(NamedTuple):
    """
    One handshake that was refused.

    @ivar time: when, by the clock.
    @ivar client: whose it was.
    @ivar application: that it was for; empty where it isn't known.
    """

    time: float
    client: IAddress
    application: str
    status: int
    reason: str
    setting: str | None


class Statistics:
    """
    The counters of one server.

    @ivar serving: the application whose code is running now; C{None} while it is none.
    @ivar traffic: by application.
    @ivar handshakes: how many, by application (C{""} where a request was refused
        before it was known whose it is), status (101 for those that were accepted)
        and setting (C{""} for none).
    @ivar closings: how many, by application, code, side and setting (C{""} for none).
        Codes of applications' own that clients close with are counted as
        C{"3000-3999"} and C{"4000-4999"}: nobody can make this grow.
    @ivar stalls: how often a connection's output had to wait for its client.
    @ivar stalled: the connections whose output waits now.
    @ivar reactorStalls: how often an application has held the reactor for too long
        (C{""} where it isn't known which), and for how many seconds in all.
    @ivar departures: the last ones, the latest at the end.
    @ivar refusals: the last ones, the latest at the end.
    """

    __slots__ = (
        "closings",
        "departures",
        "handshakes",
        "measuring",
        "reactorStalls",
        "refusals",
        "serving",
        "stalled",
        "stalls",
        "traffic",
    )

    def __init__(self) -> None:
        self.serving: str | None = None
        self.traffic: dict[str, Traffic] = {}
        self.handshakes: dict[tuple[str, int, str], int] = {}
        self.closings: dict[tuple[str, str, str, str], int] = {}
        self.departures: deque[Departure] = deque(maxlen=_KEPT)
        self.refusals: deque[Refusal] = deque(maxlen=_KEPT)
        self.measuring = False
        self.stalls = 0
        self.stalled: set[Any] = set()
        self.reactorStalls: dict[str, tuple[int, float]] = {}

    def trafficOf(self, application: str) -> Traffic:
        """
        Give the counters of an application.
        """
        traffic = self.traffic.get(application)
        if traffic is None:
            traffic = self.traffic[application] = Traffic(application)
            if self.measuring:
                traffic.latency = Latency()
        return traffic

    def measureLatency(self) -> None:
        """
        Measure how long applications take, from now on.
        """
        self.measuring = True
        for traffic in self.traffic.values():
            if traffic.latency is None:
                traffic.latency = Latency()

    def countAccepted(self, application: str) -> None:
        """
        Count a handshake that was accepted.
        """
        self.trafficOf(application).connections += 1
        self._countHandshake((application, 101, ""))

    def countRefused(
        self, now: float, client: IAddress, application: str, refusal: HandshakeRefused
    ) -> None:
        """
        Count a request that was refused.

        @param now: when, by the clock.
        """
        setting = refusal.setting
        self._countHandshake((application, refusal.status, setting or ""))
        self.refusals.append(
            Refusal(now, client, application, refusal.status, refusal.reason, setting)
        )

    def _countHandshake(self, key: tuple[str, int, str]) -> None:
        self.handshakes[key] = self.handshakes.get(key, 0) + 1

    def countClosed(
        self,
        now: float,
        client: IAddress,
        application: str,
        opened: float,
        closed: ConnectionClosed,
    ) -> None:
        """
        Count a connection's end.

        @param now: when, by the clock.
        @param opened: when it was opened.
        """
        self.trafficOf(application).connections -= 1
        code, side, setting = closed.code, closed.side, closed.setting
        label = str(code)
        if side is Side.PEER and code >= 3000:
            label = "3000-3999" if code < 4000 else "4000-4999"
        key = (application, label, str(side), setting or "")
        self.closings[key] = self.closings.get(key, 0) + 1
        self.departures.append(
            Departure(
                now,
                client,
                application,
                now - opened,
                code,
                closed.reason,
                side,
                setting,
                closed.clean,
            )
        )

    def countStall(self, application: str, seconds: float) -> None:
        """
        Count a time in which the reactor didn't turn.

        @param application: whose code held it; empty where that isn't known.
        """
        count, total = self.reactorStalls.get(application, (0, 0.0))
        self.reactorStalls[application] = (count + 1, total + seconds)
