"""
Counters for the connections of one application: messages, bytes, and how long the
application takes.
"""

from __future__ import annotations

from bisect import bisect_left
from time import perf_counter
from typing import Final

__all__ = ["LATENCY_BOUNDS", "Latency", "Traffic"]

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
