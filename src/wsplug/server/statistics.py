"""
The server's counters: handshakes, closed connections, messages, bytes, and which
application is running.

Pages and exporters read them on request.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple

from twisted.internet.interfaces import IAddress

from wsplug.errors import ConnectionClosed, HandshakeRefused, Side
from wsplug.transport.traffic import Latency, Traffic

__all__ = [
    "Disconnect",
    "Refusal",
    "Statistics",
]

_KEPT: Final = 200
"""
The number of disconnects and refusals that are kept.
"""


class Disconnect(NamedTuple):
    """
    The end of a connection.

    @ivar time: the time by the clock.
    @ivar client: the client's address.
    @ivar seconds: how long the connection was open.
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
    A handshake that was refused.

    @ivar time: the time by the clock.
    @ivar client: the client's address.
    @ivar application: the name of the application; empty if it isn't known.
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

    @ivar serving: the application whose code is running now; C{None} if none is.
    @ivar traffic: the counters of messages and bytes, by application.
    @ivar handshakes: the number of handshakes by application (C{""} if it was refused
        before the application was known), status (101 if accepted) and setting (C{""}
        for none).
    @ivar closings: the number of closed connections by application, code, side and
        setting (C{""} for none). Application codes from clients are counted as
        C{"3000-3999"} and C{"4000-4999"}, so that clients can't make this grow.
    @ivar stalls: how often a connection's output had to wait for its client.
    @ivar stalled: the connections whose output waits now.
    @ivar reactorStalls: how often an application has blocked the reactor for too long
        (C{""} if it isn't known which), and for how many seconds in total.
    @ivar disconnects: the most recent ends of connections, the latest last.
    @ivar refusals: the most recent refusals, the latest last.
    """

    __slots__ = (
        "closings",
        "disconnects",
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
        self.disconnects: deque[Disconnect] = deque(maxlen=_KEPT)
        self.refusals: deque[Refusal] = deque(maxlen=_KEPT)
        self.measuring = False
        self.stalls = 0
        self.stalled: set[Any] = set()
        self.reactorStalls: dict[str, tuple[int, float]] = {}

    def trafficOf(self, application: str) -> Traffic:
        """
        Return the counters of an application.
        """
        traffic = self.traffic.get(application)
        if traffic is None:
            traffic = self.traffic[application] = Traffic(application)
            if self.measuring:
                traffic.latency = Latency()
        return traffic

    def measureLatency(self) -> None:
        """
        Start to measure how long applications take.
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

        @param now: the time by the clock.
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
        Count a connection that has ended.

        @param now: the time by the clock.
        @param opened: the time by the clock when it opened.
        """
        self.trafficOf(application).connections -= 1
        code, side, setting = closed.code, closed.side, closed.setting
        label = str(code)
        if side is Side.PEER and code >= 3000:
            label = "3000-3999" if code < 4000 else "4000-4999"
        key = (application, label, str(side), setting or "")
        self.closings[key] = self.closings.get(key, 0) + 1
        self.disconnects.append(
            Disconnect(
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
        Count a time for which the reactor was blocked.

        @param application: the application that blocked it; empty if it isn't known.
        """
        count, total = self.reactorStalls.get(application, (0, 0.0))
        self.reactorStalls[application] = (count + 1, total + seconds)
