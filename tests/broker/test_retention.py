"""
The limits on history that a channel has for itself, for each broker.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from tests.broker.conftest import (
    SMALL,
    Make,
    downgrade,
    makeBroker,
    result,
)
from wsplug import Application, WebSocket
from wsplug.broker import ChannelRetention, Retention
from wsplug.broker.retention import OVERHEAD
from wsplug.errors import PublicationTooLarge
from wsplug.interfaces import IBroker
from wsplug.testing import MemoryServer

ALL = Retention(count=3, size=1000 + 5 * OVERHEAD, age=60.0)


def kept(broker: IBroker, channel: str = "a") -> list[bytes]:
    """
    Read what a channel has.
    """
    return [each.data for each in result(broker.history(channel)).publications]


def test_count(make: Make) -> None:
    """
    A channel keeps more or fewer publications than others if its publisher says so. The
    last limits stay for who names none.
    """
    broker = make(ALL)
    limits = ChannelRetention(count=5)
    for number in range(8):
        result(broker.publish("a", b"%d" % number, retention=limits))
        result(broker.publish("b", b"%d" % number))
    assert kept(broker) == [b"3", b"4", b"5", b"6", b"7"]
    assert kept(broker, "b") == [b"5", b"6", b"7"]
    result(broker.publish("a", b"8"))
    assert kept(broker) == [b"4", b"5", b"6", b"7", b"8"]
    result(broker.publish("a", b"9", retention=ChannelRetention(count=1)))
    assert kept(broker) == [b"9"]
    result(broker.publish("a", b"-", store=False, retention=limits))
    result(broker.publish("a", b"10"))
    assert kept(broker) == [b"10"]


def test_size(make: Make) -> None:
    """
    The size is that of the channel. A publication that exceeds it is refused.
    """
    broker = make(ALL)
    limits = ChannelRetention(size=2 * (OVERHEAD + 100))
    for number in range(3):
        result(broker.publish("a", b"%d" % number * 100, retention=limits))
    assert kept(broker) == [b"1" * 100, b"2" * 100]
    with pytest.raises(PublicationTooLarge, match="at most 360"):
        result(broker.publish("a", bytes(361), retention=limits))
    large = ChannelRetention(size=10_000)
    result(broker.publish("b", bytes(5000), retention=large))
    assert kept(broker, "b") == [bytes(5000)]


def test_age(make: Make, clock: Clock) -> None:
    """
    A channel keeps its publications for longer or for less time than others, whether it
    is read or swept.
    """
    broker = make(ALL)
    result(broker.publish("short", b"1", retention=ChannelRetention(age=10.0)))
    result(broker.publish("long", b"1", retention=ChannelRetention(age=1000.0)))
    result(broker.publish("usual", b"1"))
    clock.advance(11)
    assert kept(broker, "short") == []
    for _ in range(12):
        clock.advance(10)
    assert kept(broker, "usual") == []
    assert kept(broker, "long") == [b"1"]
    clock.advance(1000)
    assert kept(broker, "long") == []


def test_sweep(clock: Clock, tmp_path: Path) -> None:
    """
    A sweep of the file forgets by each channel's own age.
    """
    path = tmp_path / "broker.db"
    broker = makeBroker("sqlite", clock, path, ALL)
    result(broker.publish("short", b"1", retention=ChannelRetention(age=10.0)))
    result(broker.publish("long", b"1", retention=ChannelRetention(age=1000.0)))
    result(broker.publish("usual", b"1"))
    clock.advance(ALL.sweepInterval * 2)
    assert _stored(broker) == {"long": 1, "usual": 1, "short": 0}
    for _ in range(10):
        clock.advance(ALL.sweepInterval)
    assert _stored(broker)["long"] == 1
    assert not _stored(broker).get("usual")
    result(broker.stop())


def _stored(broker: IBroker) -> dict[str, int]:
    database = broker._store._opened  # type: ignore[attr-defined]
    return dict(
        database.execute(
            "SELECT name, (SELECT count(*) FROM publications WHERE channel = id)"
            " FROM channels"
        )
    )


def test_file(clock: Clock, tmp_path: Path) -> None:
    """
    The limits outlive the process, and an older file gets their columns.
    """
    path = tmp_path / "broker.db"
    broker = makeBroker("sqlite", clock, path, SMALL)
    for number in range(9):
        result(broker.publish("a", b"%d" % number))
    result(broker.stop())
    with closing(sqlite3.connect(path)) as database, database:
        downgrade(database)
    broker = makeBroker("sqlite", clock, path, SMALL)
    assert len(kept(broker)) == SMALL.count
    result(broker.publish("a", b"9", retention=ChannelRetention(count=2)))
    result(broker.stop())
    broker = makeBroker("sqlite", clock, path, SMALL)
    result(broker.publish("a", b"10"))
    assert kept(broker) == [b"9", b"10"]
    result(broker.stop())


@pytest.mark.parametrize(
    "limits", [{"count": -1}, {"size": -1}, {"age": 0.0}, {"age": float("nan")}]
)
def test_wrong(limits: dict[str, float]) -> None:
    """
    Limits that mean nothing are refused where they are made.
    """
    with pytest.raises(ValueError, match="must be"):
        ChannelRetention(**limits)  # type: ignore[arg-type]


class Board(Application):
    """
    Send what anybody says to everybody.
    """

    retention = ChannelRetention(count=2)

    async def received(self, socket: WebSocket, message: str | bytes) -> None:
        await self.room("board").send(message)


def test_rooms() -> None:
    """
    The rooms of an application keep what its class says.
    """
    server = MemoryServer(Board)
    client = server.connect()
    for message in ("1", "2", "3"):
        client.send(message)
    assert kept(server.broker, "board/board") == [b"2", b"3"]
