"""
The broker in memory: what it costs.
"""

from __future__ import annotations

import time
from collections import deque

from wsplug.broker import Position, Publication
from wsplug.broker.memory import _Channel


def test_coming_back_does_not_cost_what_is_kept() -> None:
    """
    Who comes back to a channel that keeps a million gets the last ten in microseconds,
    not in the milliseconds that looking at all of them takes.
    """
    channel = _Channel("e")
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
