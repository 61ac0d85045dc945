"""
What the tests of the brokers share.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug.broker import MemoryBroker, Publication, Retention, SqliteBroker
from wsplug.broker.retention import OVERHEAD, channelCost
from wsplug.broker.worker import Worker
from wsplug.interfaces import IBroker, ISubscriber

_T = TypeVar("_T")

KINDS = ("memory", "sqlite")

SMALL = Retention(
    count=5,
    size=1000 + 5 * OVERHEAD,
    age=60.0,
    total=6 * (OVERHEAD + 250) + 3 * channelCost("a"),
)
"""
What is enough for six publications of 250 bytes, in three channels.
"""


@implementer(ISubscriber)
class Recorder:
    """
    A subscriber that writes down what it gets.
    """

    def __init__(self) -> None:
        self.got: list[tuple[str, int, bytes]] = []

    def published(self, channel: str, publication: Publication) -> None:
        self.got.append((channel, publication.offset, publication.data))

    @property
    def data(self) -> list[bytes]:
        return [data for _, _, data in self.got]


class ImmediateWorker(Worker):
    """
    Does at once, or later when told, what another does in a thread.
    """

    def __init__(self) -> None:
        self.held: list[tuple[Callable[[], Any], Deferred[Any]]] | None = None
        self.running = False

    def start(self) -> None:
        self.running = True

    def do(self, work: Callable[[], _T]) -> Deferred[_T]:
        assert self.running
        if self.held is None:
            return execute(work)
        done: Deferred[_T] = Deferred()
        self.held.append((work, done))
        return done

    def hold(self) -> None:
        """
        Do nothing until L{release}.
        """
        self.held = []

    def release(self) -> None:
        """
        Do what was held.
        """
        held, self.held = self.held or [], None
        for work, done in held:
            execute(work).chainDeferred(done)

    def stop(self) -> None:
        assert self.held is None
        self.running = False


def result(deferred: Deferred[_T]) -> _T:
    """
    What a Deferred has fired with.
    """
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results, "it has not fired"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    found: _T = results[0]
    return found


Make = Callable[[Retention], IBroker]


@pytest.fixture
def clock() -> Clock:
    """
    A clock that is turned.
    """
    clock = Clock()
    clock.advance(1_000_000)
    return clock


def makeBroker(kind: str, clock: Clock, path: Path, retention: Retention) -> IBroker:
    """
    Make and start a broker.

    @param kind: C{"memory"} or C{"sqlite"}.
    @param path: of the file, if it has one.
    """
    broker: IBroker
    if kind == "memory":
        broker = MemoryBroker(clock, retention)
    else:
        broker = SqliteBroker(str(path), clock, retention, ImmediateWorker())
    result(broker.start())
    return broker


@pytest.fixture(params=KINDS)
def make(
    request: pytest.FixtureRequest, clock: Clock, tmp_path: Path
) -> Iterator[Make]:
    """
    Make and start a broker of each kind; they are stopped afterwards.
    """
    made: list[IBroker] = []

    def make(retention: Retention) -> IBroker:
        path = tmp_path / f"broker{len(made)}.db"
        made.append(makeBroker(request.param, clock, path, retention))
        return made[-1]

    yield make
    for broker in made:
        result(broker.stop())
    assert clock.getDelayedCalls() == []


@pytest.fixture
def broker(make: Make) -> IBroker:
    """
    One that keeps little.
    """
    return make(SMALL)


def downgrade(database: sqlite3.Connection) -> None:
    """
    Make a file what it was in version 4.
    """
    database.execute("DROP TABLE entries")
    database.execute("DROP INDEX channels_expiring")
    for table, column in (
        *(("channels", "most"), ("channels", "largest"), ("channels", "age")),
        ("state", "turn"),
    ):
        database.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    database.execute("PRAGMA user_version = 4")


def tables(path: Path) -> list[str]:
    """
    The tables of a file.
    """
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return [name for (name,) in rows]
