"""
Measure what publishing and subscribing cost, by how much a channel keeps::

    python -m benchmarks.kept

For each broker, a channel is filled to C{count}; then each publication makes it forget
one. A subscriber subscribes, and asks for the ten publications since its position. No
thread and no socket is in it, and a publication is a transaction of its own: figures
are the broker's own work, and say whether it grows with what is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from zope.interface import implementer

from wsplug.broker import (
    MemoryBroker,
    Position,
    Publication,
    Retention,
    SqliteBroker,
)
from wsplug.broker.store import Draft, Store
from wsplug.broker.worker import Worker
from wsplug.interfaces import IBroker, ISubscriber

KEPT: Final = (1000, 300_000)
"""
Publications in the channel.
"""

_TIMES: Final = 500
_DATA: Final = b"x" * 100
_RECENT: Final = 10

_T = TypeVar("_T")


@implementer(ISubscriber)
class _Nobody:
    """
    A subscriber.
    """

    def published(self, channel: str, publication: Publication) -> None:
        pass


class _SameThread(Worker):
    """
    Does everything at once.
    """

    def do(self, work: Callable[[], _T]) -> Deferred[_T]:
        return execute(work)


def measure(kind: str, kept: int, folder: Path, times: int = _TIMES) -> list[float]:
    """
    Measure one broker.

    @param kind: C{"memory"} or C{"sqlite"}.
    @param kept: publications in its channel.
    @param folder: for its file.
    @return: seconds that publishing takes, and subscribing: the medians of so many.
    """
    clock = Clock()
    retention = Retention(count=kept, size=2**40, total=2**40)
    broker: IBroker
    if kind == "memory":
        broker = MemoryBroker(clock, retention)
    else:
        path = str(folder / f"{kept}.db")
        _fill(path, retention, kept)
        broker = SqliteBroker(path, clock, retention, _SameThread(clock, "same"))
    broker.start()
    if kind == "memory":
        for _ in range(kept):
            broker.publish("a", _DATA)
    subscriber = _Nobody()

    def subscribe() -> None:
        here: list[Any] = []
        broker.subscribe("a", subscriber).addCallback(here.append)
        since = Position(here[0].offset - _RECENT, here[0].epoch)
        broker.history("a", since).addCallback(here.append)
        assert len(here[1].publications) == _RECENT
        broker.unsubscribe("a", subscriber)

    figures = [
        _median(lambda: broker.publish("a", _DATA), times),
        _median(subscribe, times),
    ]
    broker.stop()
    return figures


def _fill(path: str, retention: Retention, kept: int) -> None:
    """Fill a file, with fewer transactions than publications."""
    store = Store(path, retention)
    store.open()
    for first in range(0, kept, 1000):
        count = min(1000, kept - first)
        store.add([Draft("a", _DATA, 0.0, True)] * count)
    store.close()


def _median(work: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return sorted(taken)[times // 2]


def main() -> None:
    """
    Print the table that C{docs/reference/broker.md} has.
    """
    print("| broker | kept | publish | subscribe, and catch up |")
    print("| --- | --: | --: | --: |")
    for kind in ("memory", "sqlite"):
        for kept in KEPT:
            with TemporaryDirectory() as folder:
                figures = measure(kind, kept, Path(folder))
            shown = " | ".join(f"{figure * 1e6:.0f} µs" for figure in figures)
            print(f"| `{kind}` | {kept:,} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
