"""
Connections that have yielded resume one after the other.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.task import Clock

from tests.server.kit import Logs, openOne
from wsplug.server.inputgate import PAUSED_BY_WORK
from wsplug.server.scheduler import FairScheduler


class Worker:
    """
    Has some work in pieces, each of which takes some time.
    """

    def __init__(
        self,
        name: str,
        done: list[str],
        clock: Clock,
        seconds: float = 0.0,
        after: Callable[[], object] | None = None,
    ) -> None:
        self._name = name
        self._done = done
        self._clock = clock
        self._seconds = seconds
        self._after = after

    def resume(self) -> None:
        self._done.append(self._name)
        self._clock.rightNow += self._seconds
        if self._after is not None:
            self._after()


def test_slices() -> None:
    """
    In each turn, as many resume as there is time for, and at least one. None waits
    longer than it must.
    """
    clock = Clock()
    scheduler = FairScheduler(clock)
    done: list[str] = []
    for name in "abcdefgh":
        scheduler.add(Worker(name, done, clock, 0.0078125))
    scheduler.add(Worker("long", done, clock, 0.5))
    scheduler.add(Worker("last", done, clock))
    counts = []
    while len(scheduler):
        (call,) = clock.getDelayedCalls()
        call.cancel()
        scheduler._next()
        counts.append(len(done))
    assert counts == [3, 6, 9, 10]
    assert done == [*"abcdefgh", "long", "last"]
    assert clock.getDelayedCalls() == []


def test_again() -> None:
    """
    One that yields again waits for another turn, after the others.
    """
    clock = Clock()
    scheduler = FairScheduler(clock)
    done: list[str] = []
    again = Worker("again", done, clock)
    scheduler.add(Worker("first", done, clock, after=lambda: scheduler.add(again)))
    scheduler.add(Worker("second", done, clock))
    (call,) = clock.getDelayedCalls()
    call.cancel()
    scheduler._next()
    assert done == ["first", "second"]
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(0)
    assert done == ["first", "second", "again"]
    assert len(scheduler) == 0


@pytest.mark.parametrize("error", [OSError, SystemExit, GeneratorExit])
def test_failing(error: type[BaseException], logs: Logs) -> None:
    """
    One that fails is logged. The others resume, and later ones, too.
    """
    clock = Clock()
    scheduler = FairScheduler(clock)
    done: list[str] = []

    def fail() -> None:
        raise error("no way")

    scheduler.add(Worker("first", done, clock, after=fail))
    scheduler.add(Worker("second", done, clock))
    clock.advance(0)
    assert done == ["first", "second"]
    (failure,) = logs.failures()
    assert failure.check(error)
    scheduler.add(Worker("third", done, clock))
    clock.advance(0)
    assert done == ["first", "second", "third"]


def test_connection_that_fails_at_its_turn(logs: Logs) -> None:
    """
    A connection that can't resume is ended: otherwise it would wait forever.
    """
    opened = openOne()
    (connection,) = opened.server.factory.connections

    def resume() -> None:
        raise MemoryError

    opened.client.transport.resumeProducing = resume  # type: ignore[method-assign]
    connection.gate.pause(PAUSED_BY_WORK)
    opened.server.factory.context.scheduler.add(connection.limits)
    opened.server.run()
    assert opened.client.transport.lost
    assert opened.recorder.closed.reason == "internal error"
    (failure,) = logs.failures()
    assert failure.check(MemoryError)
    assert not opened.server.factory.connections
