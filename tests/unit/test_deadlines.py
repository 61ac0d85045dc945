"""Many deadlines with one delayed call (wsplug.server.deadlines)."""

from __future__ import annotations

import math
import random
from functools import partial

import pytest
from twisted.internet.task import Clock

from tests.server.kit import Logs
from wsplug.server.deadlines import Deadline, Deadlines


def test_never_early_and_at_most_a_tick_late() -> None:
    """Each deadline is reached once, between its time and one tick later, in any
    combination.
    """
    randomness = random.Random(1)
    clock = Clock()
    deadlines = Deadlines(clock, 0.25)
    reached: dict[int, float] = {}
    due: dict[int, float] = {}

    def reach(number: int) -> None:
        assert number not in reached
        reached[number] = clock.seconds()

    for number in range(500):
        seconds = randomness.choice([0.0, 0.1, 0.25, 1.0, 7.3, 20.0, 60.0])
        due[number] = clock.seconds() + seconds
        deadlines.set(seconds, partial(reach, number))
        clock.advance(randomness.choice([0, 1 / 64, 1 / 16, 0.5]))
    for _ in range(70 * 64):
        clock.advance(1 / 64)
    assert len(reached) == 500
    for number, time in reached.items():
        assert due[number] <= time <= due[number] + 0.25 + 1 / 2
    assert len(deadlines) == 0
    assert not clock.getDelayedCalls()


def test_one_reactor_call() -> None:
    """Thousands of deadlines need a single delayed call, for the next of them."""
    clock = Clock()
    deadlines = Deadlines(clock)
    for number in range(1000):
        deadlines.set(100 - number / 20, int)
    assert len(deadlines) == 1000
    (call,) = clock.getDelayedCalls()
    assert call.getTime() == 50.25


def test_cleared_leaves_none() -> None:
    """When all are cleared, no delayed call is left. Clearing again, or clearing None,
    does nothing."""
    clock = Clock()
    deadlines = Deadlines(clock)
    set_ = [deadlines.set(seconds, int) for seconds in (1, 1, 2, 3)]
    for deadline in [*set_, set_[0], None]:
        deadlines.clear(deadline)
    assert len(deadlines) == 0
    assert not clock.getDelayedCalls()
    clock.advance(10)
    deadlines.clear(deadlines.set(1, int))
    assert not clock.getDelayedCalls()


def test_cleared_is_not_reached() -> None:
    """A cleared deadline isn't reached, even if another one of the same tick clears
    it."""
    clock = Clock()
    deadlines = Deadlines(clock)
    both: list[Deadline] = []
    reached: list[int] = []

    def reach(number: int) -> None:
        reached.append(number)
        deadlines.clear(both[1 - number])

    both += [deadlines.set(1, partial(reach, number)) for number in (0, 1)]
    clock.advance(2)
    assert len(reached) == 1
    assert not clock.getDelayedCalls()


def test_reaching_one_that_clears_a_later_tick() -> None:
    """If deadlines are reached late, as on a busy server, one may clear others that are
    due as well."""
    clock = Clock()
    deadlines = Deadlines(clock)
    reached: list[str] = []
    later: list[Deadline] = []
    deadlines.set(1, lambda: deadlines.clear(later[0]))
    later.append(deadlines.set(2, lambda: reached.append("cleared")))
    deadlines.set(3, lambda: reached.append("kept"))
    deadlines.set(9, lambda: reached.append("last"))
    clock.advance(5)
    assert reached == ["kept"]
    clock.advance(5)
    assert reached == ["kept", "last"]


def test_setting_while_one_is_reached() -> None:
    """A new deadline doesn't delay earlier ones, and isn't lost itself."""
    clock = Clock()
    deadlines = Deadlines(clock)
    reached: list[tuple[str, float]] = []

    def note(name: str) -> None:
        reached.append((name, clock.seconds()))

    def first() -> None:
        note("first")
        deadlines.set(20, partial(note, "far"))
        deadlines.set(0, partial(note, "now"))

    deadlines.set(1, first)
    deadlines.set(2, partial(note, "second"))
    for _ in range(200):
        clock.advance(0.125)
    assert reached == [("first", 1.0), ("now", 1.0), ("second", 2.0), ("far", 21.0)]


@pytest.mark.parametrize("error", [KeyError, SystemExit, GeneratorExit])
def test_failing_call(error: type[BaseException], logs: Logs) -> None:
    """A call that raises is logged, and the other deadlines are kept."""

    def fail() -> None:
        raise error("missing")

    clock = Clock()
    deadlines = Deadlines(clock)
    reached: list[int] = []
    for seconds in (1, 1, 2):
        deadlines.set(seconds, fail)
        deadlines.set(seconds, partial(reached.append, seconds))
    clock.advance(1)
    clock.advance(1)
    assert reached == [1, 1, 2]
    assert [failure.check(error) for failure in logs.failures()] == [error] * 3


def test_infinite() -> None:
    """An infinite deadline is set and cleared like any other. NaN is an error that
    leaves nothing behind."""
    clock = Clock()
    deadlines = Deadlines(clock)
    set_ = [deadlines.set(seconds, int) for seconds in (math.inf, 1e308, 1e12)]
    clock.advance(1e6)
    assert len(deadlines) == 3
    for deadline in set_:
        deadlines.clear(deadline)
    with pytest.raises(ValueError, match="number of seconds"):
        deadlines.set(math.nan, int)
    assert len(deadlines) == 0
    assert not clock.getDelayedCalls()
