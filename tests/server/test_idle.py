"""Idle connections cost nothing (DESIGN section 6; ``wsplug.server.deadlines``)."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

from tests.server.kit import App
from wsplug import Settings
from wsplug.server.deadlines import Deadlines
from wsplug.testing import MemoryClient, MemoryServer

MANY = 1000

INTERVAL = 20.0

KEEPALIVE = b"wsplug keepalive"


class CountingClock(Clock):
    """Counts its delayed calls."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def callLater(self, *arguments: Any, **named: Any) -> IDelayedCall:
        self.asked += 1
        call: IDelayedCall = super().callLater(*arguments, **named)
        return call


class Idle:
    """Connections that were opened within two seconds."""

    def __init__(self, count: int) -> None:
        self.clock = CountingClock()
        settings = Settings(ping_interval=INTERVAL, ping_timeout=INTERVAL)
        self.server = MemoryServer(App(), settings=settings, clock=self.clock)
        self.clients: list[MemoryClient] = []
        for _ in range(16):
            self.clients += [self.server.connect() for _ in range(count // 16)]
            self.server.advance(0.125)

    def work(self, seconds: float) -> tuple[int, int]:
        """Let time pass for the server alone. Return the number of function calls, and
        of delayed calls."""
        called = 0

        def note(frame: object, event: str, argument: object) -> None:
            nonlocal called
            called += event in ("call", "c_call")

        asked = self.clock.asked
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            for _ in range(int(seconds * 8)):
                self.clock.advance(0.125)
        finally:
            sys.setprofile(before)
        return called, self.clock.asked - asked


def test_nothing_while_idle() -> None:
    """Within a ping interval, nothing is done for a connection: the number of calls is
    the same for a thousand connections as for sixteen, and the clock has one delayed
    call."""
    few, many = Idle(16), Idle(MANY)
    assert len(many.server.factory.connections) == MANY // 16 * 16
    assert len(many.clock.getDelayedCalls()) == 1
    seconds = INTERVAL - 3
    assert many.work(seconds) == few.work(seconds)
    assert many.work(0.5)[1] == 0
    assert len(many.clock.getDelayedCalls()) == 1


def test_one_ping_an_interval() -> None:
    """After the interval, each connection gets one ping, and the next one after another
    interval. The clock is called once in a tick for all that are due."""
    idle = Idle(MANY)
    asked = idle.clock.asked
    idle.server.advance(INTERVAL + 0.5)
    assert {tuple(client.pings) for client in idle.clients} == {(KEEPALIVE,)}
    idle.server.advance(INTERVAL - 3)
    assert {tuple(client.pings) for client in idle.clients} == {(KEEPALIVE,)}
    idle.server.advance(5)
    assert {tuple(client.pings) for client in idle.clients} == {(KEEPALIVE,) * 2}
    # Ticks of a quarter of a second, in the two seconds in which pings are sent, for
    # their flushes and for what is due next.
    assert idle.clock.asked - asked < 100
    assert len(idle.clock.getDelayedCalls()) == 1


def test_messages_move_no_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message and its answer set and clear no deadline: input is checked when the
    ping would be due."""
    idle = Idle(16)
    moved: list[str] = []
    with monkeypatch.context() as patch:
        for name in ("set", "clear"):
            patch.setattr(Deadlines, name, lambda *_, name=name: moved.append(name))
        for client in idle.clients:
            client.send("hello")
    assert not moved
    idle.server.advance(INTERVAL - 3)
    for client in idle.clients:
        client.send("hello")
    idle.server.advance(INTERVAL - 3)
    assert not any(client.pings for client in idle.clients)
