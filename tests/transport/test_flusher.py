"""
The flusher and its corks.
"""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from wsplug.transport.flusher import Flusher


class _Flushed:
    """
    Counts its flushes, and sends again during the first ones.
    """

    def __init__(self, flusher: Flusher, again: int = 0) -> None:
        self.flusher = flusher
        self.again = again
        self.count = 0

    def flush(self) -> None:
        self.count += 1
        if self.again:
            self.again -= 1
            self.flusher.add(self)

    def abort(self) -> None:
        raise AssertionError("nothing went wrong")


def test_corked() -> None:
    """
    Nothing is flushed before the last cork is removed. Then everything is flushed at
    once.
    """
    clock = Clock()
    flusher = Flusher(clock)
    connection = _Flushed(flusher)
    flusher.cork()
    flusher.cork()
    flusher.add(connection)
    flusher.uncork()
    assert connection.count == 0
    flusher.uncork()
    assert connection.count == 1
    assert clock.getDelayedCalls() == []


def test_without_a_cork() -> None:
    """
    Output that is sent without a cork is flushed in the same turn, with one call of the
    reactor for all connections.
    """
    clock = Clock()
    flusher = Flusher(clock)
    connections = [_Flushed(flusher) for _ in range(3)]
    for connection in connections:
        flusher.add(connection)
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(0)
    assert [connection.count for connection in connections] == [1, 1, 1]
    flusher.add(connections[0])
    clock.advance(0)
    assert connections[0].count == 2


def test_sends_while_flushing() -> None:
    """
    Output that a flush causes is flushed too.
    """
    flusher = Flusher(Clock())
    connection = _Flushed(flusher, again=2)
    flusher.cork()
    flusher.add(connection)
    flusher.uncork()
    assert connection.count == 3


@pytest.mark.parametrize("aborts", [True, False], ids=["aborts", "fails again"])
@pytest.mark.parametrize("error", [KeyError, SystemExit, GeneratorExit])
def test_flush_that_fails(error: type[BaseException], aborts: bool) -> None:
    """
    A connection whose flush fails is aborted, and the log says so. The others are
    flushed.
    """
    flusher = Flusher(Clock())
    good = _Flushed(flusher)
    aborted: list[bool] = []

    class Bad:
        def flush(self) -> None:
            raise error("secret")

        def abort(self) -> None:
            aborted.append(aborts)
            if not aborts:
                raise error("secret")

    flusher.cork()
    flusher.add(Bad())
    flusher.add(good)
    with capturedLogs() as events:
        flusher.uncork()
    assert good.count == 1
    assert aborted == [aborts]
    failures = [event["log_failure"].type for event in events]
    assert failures == [error] * (1 if aborts else 2)
    flusher.cork()
    flusher.add(good)
    flusher.uncork()
    assert good.count == 2


def test_cork_before_the_turn() -> None:
    """
    If a cork is set before the reactor's turn, the output waits for it.
    """
    clock = Clock()
    flusher = Flusher(clock)
    connection = _Flushed(flusher)
    flusher.add(connection)
    flusher.cork()
    clock.advance(0)
    assert connection.count == 0
    flusher.uncork()
    assert connection.count == 1
