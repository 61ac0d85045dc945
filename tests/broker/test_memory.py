"""
The broker in memory: what it costs.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections import deque

import pytest
from twisted.internet.task import Clock

from wsplug.broker import MemoryBroker, Position, Publication, Retention
from wsplug.broker.memory import _Channel


def test_coming_back_does_not_cost_what_is_kept() -> None:
    """
    Who comes back to a channel that keeps a million gets the last ten in microseconds,
    not in the milliseconds that looking at all of them takes.
    """
    channel = _Channel("a", "e")
    channel.offset = 1_000_000
    channel.kept = deque([Publication(1, "e", b"", 0.0)]) * channel.offset
    since = Position(channel.offset - 10, "e")
    taken = []
    for _ in range(5):
        begin = time.perf_counter()
        assert len(channel.history(since, None).publications) == 10
        assert len(channel.history(None, 10).publications) == 10
        taken.append(time.perf_counter() - begin)
    assert min(taken) < 0.001


def _memoryOf(broker: MemoryBroker, clock: Clock, names: list[str], size: int) -> int:
    """
    Publish once in each of the channels, and measure the memory that it takes.
    """
    gc.collect()
    tracemalloc.start()
    try:
        for name in names:
            clock.advance(0.001)
            # What comes from a socket is an object of its own.
            broker.publish("".join(name), bytes(bytearray(size)))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("channels", "each", "size", "length"),
    [
        (2000, 1, 10, 10),
        (2000, 1, 100, 10),
        (2000, 1, 1000, 10),
        (2000, 1, 100, 200),
        (1000, 2, 100, 10),
        (200, 10, 100, 10),
        (20, 100, 100, 10),
        (1, 2000, 10, 10),
        (1, 2000, 100, 10),
    ],
)
def test_counts_what_it_costs(
    clock: Clock, channels: int, each: int, size: int, length: int
) -> None:
    """
    What is counted is the memory that it takes, within a fifth: of many channels with
    little in them, of few with much, and of long names.
    """
    broker = MemoryBroker(clock, Retention(count=10_000, size=2**30, total=2**30))
    names = [f"{number % channels:0{length}}" for number in range(channels * each)]
    taken = _memoryOf(broker, clock, names, size)
    assert taken == pytest.approx(broker._size, rel=0.2)
    broker.stop()


def test_total_is_what_it_says(clock: Clock) -> None:
    """
    Where each message is in a channel of its own, the memory is C{total}, too.
    """
    broker = MemoryBroker(clock, Retention(total=2**20))
    names = [f"room {number}" for number in range(3000)]
    assert _memoryOf(broker, clock, names, 10) == pytest.approx(2**20, rel=0.2)
    broker.stop()
