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
The upper bounds, in seconds, of the histogram's buckets for an application's times.
Longer times are counted in one more bucket.
"""


class Latency:
    """
    How long an application took for its messages: from the call until the handler has
    returned, or until its Deferred or coroutine is done.

    @ivar counts: the number of messages in each bucket, one bucket more than in
        L{LATENCY_BOUNDS}.
    @ivar total: the sum of all times in seconds.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCY_BOUNDS) + 1)
        self.total = 0.0

    def observe(self, began: float) -> None:
        """
        Count a message that has just been processed.

        @param began: the start by C{time.perf_counter}.
        """
        seconds = perf_counter() - began
        self.counts[bisect_left(LATENCY_BOUNDS, seconds)] += 1
        self.total += seconds


class Traffic:
    """
    The messages and bytes that all connections of one application have received and
    sent.

    @ivar application: the application's name.
    @ivar connections: the number of open connections.
    @ivar receivedMessages: the whole messages that the application has received.
    @ivar receivedBytes: the bytes from the network after the handshakes.
    @ivar sentMessages: the messages that the application has sent.
    @ivar sentBytes: the bytes of frames that were sent or wait to be.
    @ivar latency: the times; C{None} if they aren't measured. Measuring reads the clock
        twice for each message.
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
        Count a message that the application has processed.

        @param began: as for L{Latency.observe}.
        """
        if self.latency is not None:
            self.latency.observe(began)
