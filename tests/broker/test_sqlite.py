"""
The broker with a file: what survives, what of it is batched, and what goes wrong.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from tests.broker.conftest import SMALL, ImmediateWorker, Recorder, result, tables
from wsplug.broker import Position, Retention, SqliteBroker
from wsplug.broker.continuity import SUFFIX
from wsplug.broker.sqlite import MAX_PENDING_SIZE, PENDING_OVERHEAD
from wsplug.errors import BrokerError, StartupError

LARGE = Retention(count=100_000, size=100_000_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """
    Where the file is to be.
    """
    return tmp_path / "broker.db"


def _open(
    path: Path, clock: Clock, retention: Retention = SMALL
) -> tuple[SqliteBroker, ImmediateWorker]:
    worker = ImmediateWorker()
    broker = SqliteBroker(str(path), clock, retention, worker)
    result(broker.start())
    return broker, worker


def test_after_a_restart(path: Path, clock: Clock) -> None:
    """
    History, offsets and epoch go on where they were.
    """
    broker, _ = _open(path, clock)
    result(broker.publish("a", b"1"))
    result(broker.publish("a", b"2"))
    position = result(broker.history("a")).position
    result(broker.stop())
    broker, _ = _open(path, clock)
    assert result(broker.publish("a", b"3")).offset == 3
    history = result(broker.history("a", position))
    assert history.isComplete
    assert [each.data for each in history.publications] == [b"3"]
    result(broker.stop())


def test_batches(path: Path, clock: Clock) -> None:
    """
    What is published while some is being stored is stored in one go, in order, and
    nobody is told before.
    """
    broker, worker = _open(path, clock)
    recorder = Recorder()
    result(broker.subscribe("a", recorder))
    worker.hold()
    published: list[Deferred[Any]] = [
        broker.publish("ab"[number % 2], b"%d" % number) for number in range(50)
    ]
    assert worker.held is not None
    assert len(worker.held) == 1
    assert recorder.got == []
    worker.release()
    stored = result(gatherResults(published))
    assert [each.offset for each in stored] == [1 + n // 2 for n in range(50)]
    assert recorder.data == [b"%d" % number for number in range(0, 50, 2)]
    result(broker.stop())


def test_stop_stores_what_waits(path: Path, clock: Clock) -> None:
    """
    Stopping waits for what was published.
    """
    broker, worker = _open(path, clock)
    worker.hold()
    published = broker.publish("a", b"1")
    stopped = broker.stop()
    assert not stopped.called
    worker.release()
    assert result(published).offset == 1
    result(stopped)
    assert not worker.running


def test_backup(path: Path, clock: Clock) -> None:
    """
    If the file isn't as it was left, returning subscribers are told, and it is logged.
    """
    broker, _ = _open(path, clock)
    result(broker.publish("a", b"1"))
    position = result(broker.history("a")).position
    result(broker.stop())
    path.with_name(path.name + SUFFIX).unlink()
    with capturedLogs() as logs:
        broker, _ = _open(path, clock)
    (line,) = map(formatEvent, logs)
    assert f"broker: {path} isn't as it was left" in str(line)
    history = result(broker.history("a", position))
    assert not history.isComplete
    assert [each.data for each in history.publications] == [b"1"]
    result(broker.stop())


def test_too_much_waits(path: Path, clock: Clock) -> None:
    """
    What waits to be stored is bounded; once it is stored there is room again.
    """
    broker, worker = _open(path, clock, LARGE)
    worker.hold()
    half = b"x" * (MAX_PENDING_SIZE // 2 - PENDING_OVERHEAD)
    published = [broker.publish("a", half), broker.publish("a", half)]
    with pytest.raises(BrokerError, match="bytes wait to be stored"):
        result(broker.publish("a", b"x"))
    worker.release()
    result(gatherResults(published))
    assert result(broker.publish("a", b"x")).offset == 3
    result(broker.stop())


def test_too_many_wait(path: Path, clock: Clock) -> None:
    """
    What waits is bounded in what it takes, though there be next to nothing in it.
    """
    broker, worker = _open(path, clock)
    worker.hold()
    gc.collect()
    tracemalloc.start()
    published = [
        broker.publish("a", bytes(bytearray(10))).addCallback(lambda _: None)
        for _ in range(1000)
    ]
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    private: Any = broker
    assert taken == pytest.approx(private._pendingSize, rel=0.2)
    worker.release()
    result(gatherResults(published))
    assert private._pendingSize == 0
    result(broker.stop())


def test_full_disk(path: Path, clock: Clock) -> None:
    """
    What can't be stored is not published, its publisher is told, and the next that can
    be is.
    """
    broker, _ = _open(path, clock, LARGE)
    recorder = Recorder()
    result(broker.subscribe("a", recorder))
    store: Any = broker
    database = store._store._database
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages}")
    with (
        capturedLogs() as logs,
        pytest.raises(BrokerError, match=r"a: not stored: .*full"),
    ):
        result(broker.publish("a", b"x" * 100_000))
    (line,) = map(formatEvent, logs)
    assert re.fullmatch(r"broker: can't store in \S+: .*full", str(line))
    assert recorder.got == []
    database.execute("PRAGMA max_page_count = 1000000")
    assert result(broker.publish("a", b"small")).offset == 1
    assert recorder.data == [b"small"]
    result(broker.stop())


def test_full_disk_is_not_logged_again_and_again(path: Path, clock: Clock) -> None:
    """
    A disk that stays full is one line, and then one a minute with a count, however much
    is published and read; there is no traceback, and what is left is told in the end.
    """
    broker, _ = _open(path, clock)
    store: Any = broker
    store._store._database.execute("DROP TABLE channels")
    with capturedLogs() as logs:
        for _ in range(200):
            with pytest.raises(BrokerError):
                result(broker.publish("a", b"x"))
            with pytest.raises(BrokerError):
                result(broker.history("a"))
            clock.advance(0.5)
        result(broker.stop())
    lines = sorted(str(formatEvent(event)) for event in logs)
    missing = "no such table: channels"
    assert lines == [
        f"broker: can't read {path}: {missing}",
        f"broker: can't read {path}: {missing}; 119 more times",
        f"broker: can't read {path}: {missing}; 80 more times",
        f"broker: can't store in {path}: {missing}",
        f"broker: can't store in {path}: {missing}; 119 more times",
        f"broker: can't store in {path}: {missing}; 80 more times",
        f"broker: can't sweep {path}: {missing}",
        f"broker: can't sweep {path}: {missing}; 5 more times",
        f"broker: can't sweep {path}: {missing}; 7 more times",
    ]
    assert not any(event.get("log_failure") for event in logs)
    assert clock.getDelayedCalls() == []


def test_unexpected_trouble(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What nobody has thought of has a traceback, once.
    """
    broker, _ = _open(path, clock)
    store: Any = broker

    def broken(drafts: object) -> None:
        raise LookupError("mine")

    monkeypatch.setattr(store._store, "add", broken)
    with capturedLogs() as logs:
        for _ in range(3):
            with pytest.raises(BrokerError, match="a: not stored: mine"):
                result(broker.publish("a", b"x"))
    assert [event["log_failure"].type for event in logs] == [LookupError]
    result(broker.stop())


def test_unreadable(path: Path, clock: Clock) -> None:
    """
    A reader learns it when the file fails.
    """
    broker, _ = _open(path, clock)
    store: Any = broker
    store._store._database.execute("DROP TABLE channels")
    with capturedLogs(), pytest.raises(BrokerError, match="a: not read: no such table"):
        result(broker.history("a"))
    result(broker.stop())


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no database at all, but long enough to be looked at" * 10, "not a database")],
)
def test_no_database(path: Path, clock: Clock, content: bytes, words: str) -> None:
    """
    A file that is something else isn't touched.
    """
    path.write_bytes(content)
    with pytest.raises(StartupError, match=words):
        _open(path, clock)
    assert path.read_bytes() == content


def test_another_database(path: Path, clock: Clock) -> None:
    """
    Nor is somebody else's database, or one of a later version.
    """
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE mine (x)")
    with pytest.raises(StartupError, match="other tables"):
        _open(path, clock)
    assert tables(path) == ["mine"]
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 7")
    with pytest.raises(StartupError, match="version 7 of the tables"):
        _open(path, clock)


def test_nowhere(tmp_path: Path, clock: Clock) -> None:
    """
    A folder that isn't there is named.
    """
    with pytest.raises(StartupError, match=r"can.t use .*/none/broker.db"):
        _open(tmp_path / "none" / "broker.db", clock)


def test_in_use(path: Path, clock: Clock) -> None:
    """
    One process has the file.
    """
    broker, _ = _open(path, clock)
    code = (
        "import sys\n"
        "from wsplug.broker.retention import DEFAULT_RETENTION\n"
        "from wsplug.broker.store import Store\n"
        "Store(sys.argv[1], DEFAULT_RETENTION).open()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True
    )
    assert "database is locked" in done.stderr
    result(broker.stop())


PUBLISHER = """
import sys
import time
from twisted.internet import reactor
from wsplug.broker import Retention, SqliteBroker
broker = SqliteBroker(sys.argv[1], reactor, Retention(100_000, 100_000_000))
def told(publication):
    print(publication.offset, publication.epoch, flush=True)
def publish():
    for number in range(20):
        broker.publish("a", b"x" * 1000).addCallback(told)
    reactor.callLater(0.001, publish)
broker.start().addCallback(lambda _: publish())
reactor.run()
"""


def test_kill(path: Path, clock: Clock) -> None:
    """
    Whatever a publisher was told of is in the file, though the process was killed in
    the middle of storing more.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", PUBLISHER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        offset, epoch = line.split()
        if int(offset) >= 500:
            os.kill(process.pid, signal.SIGKILL)
            break
    rest = process.stdout.read().split()[::2]
    process.stdout.close()
    process.wait()
    told = int(rest[-1]) if rest else 500
    clock.advance(time.time() - clock.seconds())
    broker = SqliteBroker(str(path), clock, LARGE, ImmediateWorker())
    result(broker.start())
    position = result(broker.subscribe("a", Recorder()))
    assert position.offset >= told
    # Who was there comes back.
    assert result(broker.history("a", Position(told - 5, epoch))).isComplete
    store: Any = broker
    rows = store._store._database.execute(
        "SELECT count(*), min(offset), max(offset) FROM publications"
    ).fetchone()
    assert rows == (position.offset, 1, position.offset)
    result(broker.stop())
