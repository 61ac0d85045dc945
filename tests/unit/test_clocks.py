"""Two kinds of time (wsplug.clocks): elapsed time, and the time of day."""

from __future__ import annotations

from asyncio import new_event_loop
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.base import ReactorBase
from twisted.internet.pollreactor import PollReactor
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock, LoopingCall

from wsplug import clocks
from wsplug.broker import MemoryBroker
from wsplug.clocks import timeOfDay, useSteadyTime
from wsplug.server.deadlines import Deadlines
from wsplug.transport.epollset import EpollSet
from wsplug.transport.flusher import Flusher


class Machine:
    """A machine with a reactor, and clocks that a test sets.

    @ivar wall: the time of day by the machine's clock.
    @ivar up: how long the machine has been running.
    """

    def __init__(self, make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch):
        self.wall = 1_750_000_000.0
        self.up = 1000.0
        self._clock = lambda: self.wall
        monkeypatch.setattr(ReactorBase, "seconds", staticmethod(self._clock))
        monkeypatch.setattr(clocks, "_wallClock", self._clock)
        self.reactor = make()

    def useSteadyTime(self) -> None:
        assert useSteadyTime(self.reactor, lambda: self.up) is not None

    def go(self, seconds: float) -> None:
        """Advance the time, and run the calls that are due."""
        self.up += seconds
        self.wall += seconds
        self.reactor.runUntilCurrent()


REACTORS = [
    SelectReactor,
    PollReactor,
    lambda: AsyncioSelectorReactor(new_event_loop()),
]


@pytest.fixture(params=REACTORS, ids=["select", "poll", "asyncio"])
def machine(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machine]:
    machine = Machine(request.param, monkeypatch)
    yield machine
    for reader in machine.reactor.removeAll():
        reader.connectionLost(None)
    loop = getattr(machine.reactor, "_asyncioEventloop", None)
    if loop is not None:
        loop.close()


@pytest.mark.parametrize("step", [-3600.0, 3600.0], ids=["back", "forth"])
def test_wall_clock_is_set(machine: Machine, step: float) -> None:
    """A call that is due in ten seconds comes after ten, whether it was scheduled
    before or after the machine's clock was set. All other calls keep their time, too.
    """
    called: list[str] = []
    reactor = machine.reactor
    reactor.callLater(10, called.append, "before all")
    machine.useSteadyTime()
    deadlines = Deadlines(reactor)
    deadlines.set(10, lambda: called.append("deadline"))
    reactor.callLater(10, called.append, "call")
    repeated = LoopingCall(called.append, "loop")
    repeated.clock = reactor
    repeated.start(10, now=False)
    machine.wall += step
    deadlines.set(10, lambda: called.append("later deadline"))
    machine.go(9.5)
    assert called == []
    machine.go(0.8)
    assert sorted(called) == [
        "before all",
        "call",
        "deadline",
        "later deadline",
        "loop",
    ]
    repeated.stop()


def test_time_of_day(machine: Machine) -> None:
    """The time of day follows the machine's clock as it is now.

    Code that gets the reactor from elsewhere has both times from it.
    """
    machine.useSteadyTime()
    start = machine.wall
    around: Any = EpollSet(machine.reactor, Flusher(machine.reactor))
    for clock in (machine.reactor, around):
        assert clock.seconds() == pytest.approx(start)
        assert timeOfDay(clock) == start
    machine.go(1.0)
    machine.wall -= 3600
    for clock in (machine.reactor, around):
        assert clock.seconds() == pytest.approx(start + 1)
        assert timeOfDay(clock) == start - 3599


def test_published(machine: Machine) -> None:
    """The timestamp of a publication is the time of day, since people read it."""
    machine.useSteadyTime()
    broker = MemoryBroker(machine.reactor)
    machine.wall -= 3600
    made: list[Any] = []
    broker.publish("news", b"it is early").addCallback(made.append)
    assert made[0].time == machine.wall
    broker.stop()


def test_again(machine: Machine) -> None:
    """A second installation changes nothing."""
    machine.useSteadyTime()
    seconds = machine.reactor.seconds
    assert useSteadyTime(machine.reactor) is None
    assert machine.reactor.seconds is seconds


def test_other_clocks_are_left_alone() -> None:
    """A clock that isn't the machine's serves as both times, and stays unchanged."""
    clock = Clock()
    clock.advance(7)
    assert useSteadyTime(clock) is None
    assert clock.seconds() == timeOfDay(clock) == 7.0
