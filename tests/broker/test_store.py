"""
The SQLite file itself: what each thing costs, and files of older versions.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.broker.conftest import downgrade
from wsplug.broker import Position, Retention
from wsplug.broker.continuity import SUFFIX, readBoot
from wsplug.broker.retention import OVERHEAD, channelCost
from wsplug.broker.store import Draft, Store

MOST_STEPS = 800
"""
Of SQLite's virtual machine, that any one thing may take: somewhat more than what the
most expensive one does.
"""


@pytest.fixture
def opened() -> Iterator[list[Store]]:
    """
    Stores that are closed in the end.
    """
    stores: list[Store] = []
    yield stores
    for store in stores:
        store.close()


def _open(
    path: Path, opened: list[Store], retention: Retention, boot: str | None = "one"
) -> Store:
    store = Store(str(path), retention, lambda: boot)
    store.open()
    opened.append(store)
    return store


def _drafts(count: int, channel: str = "a", time: float = 0.0) -> list[Draft]:
    return [Draft(channel, b"%d" % number, time, True) for number in range(count)]


def _steps(store: Store, work: Callable[[], object]) -> int:
    """
    Count the virtual machine's steps.
    """
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    database = store._database
    assert database is not None
    database.set_progress_handler(count, 1)
    work()
    database.set_progress_handler(None, 1)
    return steps


def _costs(store: Store, now: float) -> dict[str, int]:
    """
    What it takes to publish in a channel that is full, to subscribe to it, and to come
    back.
    """
    last = store.position("a")
    recent = Position(last.offset - 5, last.epoch)
    works: dict[str, Callable[[], object]] = {
        "publish": lambda: store.add(_drafts(1, time=now)),
        "publish, not stored": lambda: store.add([Draft("a", b"", now, False)]),
        "subscribe": lambda: store.position("a"),
        "past": lambda: store.history("a", None, 5, now),
        "come back": lambda: store.history("a", recent, 10, now),
        "come back too late": lambda: store.history("a", Position(1, "x"), 5, now),
        "something is too old": lambda: store.history("a", None, 5, now + 900.5),
        "sweep": lambda: store.sweep(now + 901.5, ["a"]),
    }
    return {name: _steps(store, work) for name, work in works.items()}


def _full(path: Path, opened: list[Store], kept: int) -> tuple[Store, float]:
    """
    Fill a channel, with one publication a second.
    """
    store = _open(path, opened, Retention(count=kept, size=2**40, age=kept + 900.0))
    drafts = [Draft("a", b"x", float(number), True) for number in range(kept + 10)]
    for first in range(0, len(drafts), 1000):
        store.add(drafts[first : first + 1000])
    return store, kept + 9.0


def test_costs_do_not_grow_with_a_channel(tmp_path: Path, opened: list[Store]) -> None:
    """
    Publishing and subscribing take as many steps in a channel that keeps thirty times
    as much, and few.
    """
    small = _costs(*_full(tmp_path / "small.db", opened, 1000))
    large = _costs(*_full(tmp_path / "large.db", opened, 30_000))
    assert small == large
    assert max(large.values()) < MOST_STEPS, large


def test_costs_do_not_grow_with_channels(tmp_path: Path, opened: list[Store]) -> None:
    """
    Nor with the number of channels, empty ones and full ones, where the bytes that all
    may keep are used up; each publication makes another channel forget.
    """

    def cost(channels: int) -> int:
        each = OVERHEAD + channelCost("900.0 1000")
        retention = Retention(age=1000.0, total=channels * each)
        store = _open(tmp_path / f"{channels}.db", opened, retention)
        for time in (0.0, 900.0):
            names = [f"{time} {number:04}" for number in range(channels)]
            store.add([Draft(name, b"", time, True) for name in names])
        assert len(store.history("900.0 0000", None, None, 900.0).publications) == 1
        steps = _steps(store, lambda: store.add(_drafts(1, "new", 901.0)))
        assert store.history("900.0 0000", None, None, 900.0).publications == ()
        return steps

    few, many = cost(100), cost(3000)
    # A tree that has become higher may take some steps more.
    assert many < min(few + 20, MOST_STEPS)


# Who can read it


def _modes(folder: Path) -> dict[str, str]:
    return {each.name: f"{each.stat().st_mode & 0o777:o}" for each in folder.iterdir()}


def test_nobody_else_can_read_it(tmp_path: Path, opened: list[Store]) -> None:
    """
    The files are the owner's alone, whatever the umask is, and where a link leads to.
    """
    (tmp_path / "link").symlink_to(tmp_path / "linked.db")
    umask = os.umask(0)
    try:
        for name in ("broker.db", "link"):
            store = _open(tmp_path / name, opened, Retention())
            store.add(_drafts(1))
    finally:
        os.umask(umask)
    (tmp_path / "link").unlink()
    modes = _modes(tmp_path)
    assert {"broker.db", "broker.db-wal", "linked.db", "linked.db-wal"} <= set(modes)
    assert set(modes.values()) == {"600"}


def test_mode_that_was_chosen(tmp_path: Path, opened: list[Store]) -> None:
    """
    Who lets others read it has a reason.
    """
    path = tmp_path / "broker.db"
    _open(path, opened, Retention()).close()
    path.chmod(0o640)
    _open(path, opened, Retention()).add(_drafts(1))
    assert _modes(tmp_path)["broker.db"] == "640"


# Backups, and failures of the machine


def _come(store: Store, position: Position, back: int = 0) -> list[int] | None:
    """
    Come back to a channel.

    @param position: the last one that anybody had.
    @param back: how many publications before that.
    @return: the offsets of what has come since; C{None} where that may not be all.
    """
    since = Position(position.offset - back, position.epoch)
    history = store.history("a", since, None, 1.0)
    offsets = [each.offset for each in history.publications]
    return offsets if history.isComplete else None


def _kill(store: Store) -> None:
    """
    Leave a file as a process does that is killed.
    """
    database, store._database = store._database, None
    progress, store._progress = store._progress, None
    assert database is not None
    assert progress is not None
    database.close()
    progress._file.close()


def _renewed(store: Store, position: Position) -> bool:
    """
    Publish, and say whether all who come back with a position, the last or any before
    it, are told that something may be missing. Either all are, or nobody.
    """
    store.add(_drafts(position.offset))
    told = {_come(store, position, back) is None for back in range(position.offset)}
    assert len(told) == 1
    return told.pop()


@pytest.mark.parametrize(
    ("isKilled", "boots", "isRenewed"),
    [
        (False, ("one", "one"), False),
        (False, ("one", "two"), False),
        (False, (None, None), False),
        (True, ("one", "one"), False),
        # What the system had not written may be lost.
        (True, ("one", "two"), True),
        (True, ("one", None), True),
        (True, (None, "one"), True),
        # Nobody knows.
        (True, (None, None), True),
    ],
)
def test_opened_again(
    tmp_path: Path,
    opened: list[Store],
    isKilled: bool,
    boots: tuple[str | None, str | None],
    isRenewed: bool,
) -> None:
    """
    Positions count after a stop, whatever happened to the machine in between, and after
    a C{kill -9} as long as the machine runs.
    """
    store = _open(tmp_path / "a.db", opened, Retention(), boots[0])
    store.add(_drafts(5))
    position = store.position("a")
    nowhere = store.position("never")
    if isKilled:
        _kill(store)
    store.close()
    store = Store(str(tmp_path / "a.db"), Retention(), lambda: boots[1])
    opened.append(store)
    assert store.open() is not isRenewed
    assert _renewed(store, position) is isRenewed
    assert store.history("never", nowhere, None, 1.0).isComplete is not isRenewed


Restore = Callable[[Path, Path], object]


def _replaceAll(backup: Path, folder: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)


def _copyOver(backup: Path, folder: Path) -> None:
    """
    As C{cp -a} does: the files are the same, their times are the backup's.
    """
    for each in backup.iterdir():
        shutil.copy2(each, folder / each.name)


def _copyDatabase(backup: Path, folder: Path) -> None:
    shutil.copy2(backup / "a.db", folder / "a.db")


def _moveDatabase(backup: Path, folder: Path) -> None:
    (backup / "a.db").rename(folder / "a.db")


def _copyWithout(backup: Path, folder: Path) -> None:
    _copyDatabase(backup, folder)
    (folder / f"a.db{SUFFIX}").unlink()


@pytest.mark.parametrize("isRunning", [False, True])
@pytest.mark.parametrize(
    "restore", [_replaceAll, _copyOver, _copyDatabase, _moveDatabase, _copyWithout]
)
def test_backup(
    tmp_path: Path, opened: list[Store], restore: Restore, isRunning: bool
) -> None:
    """
    A backup that was restored, in whatever way, made of a server that was stopped or
    one that ran, is told from the file that was left; nobody has offsets twice.
    """
    folder, backup = tmp_path / "folder", tmp_path / "backup"
    folder.mkdir()
    store = _open(folder / "a.db", opened, Retention(), "one")
    store.add(_drafts(5))
    if not isRunning:
        store.close()
    shutil.copytree(folder, backup)
    store.close()
    store = _open(folder / "a.db", opened, Retention(), "one")
    store.add(_drafts(3))
    position = store.position("a")
    store.close()
    restore(backup, folder)
    store = _open(folder / "a.db", opened, Retention(), "one")
    assert _renewed(store, position)
    # From now on it is as it was left.
    position = store.position("a")
    store.close()
    store = _open(folder / "a.db", opened, Retention(), "one")
    assert not _renewed(store, position)


@pytest.mark.parametrize("restore", [_replaceAll, _copyOver, _copyDatabase])
def test_copy_of_the_last_run(
    tmp_path: Path, opened: list[Store], restore: Restore
) -> None:
    """
    So is one that was made while the server ran that has been stopped since.
    """
    folder, backup = tmp_path / "folder", tmp_path / "backup"
    folder.mkdir()
    store = _open(folder / "a.db", opened, Retention(), "one")
    store.add(_drafts(5))
    shutil.copytree(folder, backup)
    store.add(_drafts(3))
    position = store.position("a")
    store.close()
    restore(backup, folder)
    store = _open(folder / "a.db", opened, Retention(), "one")
    assert _renewed(store, position)


def _copyAnew(backup: Path, folder: Path) -> None:
    """
    As C{rsync} does.
    """
    shutil.copy2(backup / "a.db", folder / "a.db.new")
    (folder / "a.db.new").rename(folder / "a.db")


@pytest.mark.parametrize(
    "restore", [_moveDatabase, _copyAnew, _copyDatabase, _copyOver]
)
def test_copy_of_a_run_that_was_killed(
    tmp_path: Path, opened: list[Store], restore: Restore
) -> None:
    """
    So is one that was made while the server ran that has been killed since.
    """
    folder, backup = tmp_path / "folder", tmp_path / "backup"
    folder.mkdir()
    store = _open(folder / "a.db", opened, Retention(), "one")
    store.add(_drafts(5))
    shutil.copytree(folder, backup)
    store.add(_drafts(3))
    position = store.position("a")
    _kill(store)
    for each in folder.glob("a.db-[ws]*"):
        each.unlink()
    for each in backup.glob("a.db-[ws]*"):
        each.rename(folder / each.name)
    restore(backup, folder)
    store = _open(folder / "a.db", opened, Retention(), "one")
    assert _renewed(store, position)


def test_witness_that_cannot_be_written(tmp_path: Path, opened: list[Store]) -> None:
    """
    A start that fails costs nobody anything.
    """
    store = _open(tmp_path / "a.db", opened, Retention(), "one")
    store.add(_drafts(5))
    position = store.position("a")
    store.close()
    blocked = tmp_path / f"a.db{SUFFIX}.new"
    blocked.mkdir()
    with pytest.raises(OSError, match="opening"):
        _open(tmp_path / "a.db", opened, Retention(), "one")
    blocked.rmdir()
    store = _open(tmp_path / "a.db", opened, Retention(), "one")
    assert not _renewed(store, position)


def test_boot_has_a_name() -> None:
    """
    On Linux, the system's run has a name that stays.
    """
    if sys.platform == "linux":
        assert readBoot()
    assert readBoot() == readBoot()


# Version 1

VERSION_1 = f"""
CREATE TABLE channels (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    last INTEGER NOT NULL,
    used REAL NOT NULL,
    size INTEGER NOT NULL
);
CREATE TABLE state (size INTEGER NOT NULL, epoch TEXT NOT NULL);
INSERT INTO state VALUES (0, 'new');
CREATE TABLE publications (
    channel INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    offset INTEGER NOT NULL,
    time REAL NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (channel, offset)
) WITHOUT ROWID;
CREATE INDEX publications_time ON publications (time);
CREATE INDEX channels_used ON channels (used);
CREATE TRIGGER kept AFTER INSERT ON publications BEGIN
    UPDATE channels SET size = size + length(NEW.data) + {OVERHEAD}
        WHERE id = NEW.channel;
    UPDATE state SET size = size + length(NEW.data) + {OVERHEAD};
END;
CREATE TRIGGER forgotten AFTER DELETE ON publications BEGIN
    UPDATE channels SET size = size - length(OLD.data) - {OVERHEAD}
        WHERE id = OLD.channel;
    UPDATE state SET size = size - length(OLD.data) - {OVERHEAD};
END;
PRAGMA user_version = 1;
INSERT INTO channels VALUES (1, 'whole', 'e', 4, 30.0, 0);
INSERT INTO channels VALUES (2, 'gap', 'e', 6, 20.0, 0);
INSERT INTO channels VALUES (3, 'no end', 'e', 3, 10.0, 0);
INSERT INTO channels VALUES (4, 'empty', 'e', 3, 10.0, 0);
INSERT INTO publications VALUES (1, 3, 30.0, 'three');
INSERT INTO publications VALUES (1, 4, 30.0, 'four');
INSERT INTO publications VALUES (2, 1, 20.0, '1');
INSERT INTO publications VALUES (2, 2, 20.0, '2');
INSERT INTO publications VALUES (2, 5, 20.0, '5');
INSERT INTO publications VALUES (2, 6, 20.0, '6');
INSERT INTO publications VALUES (3, 2, 10.0, '2');
"""
"""
A file that version 1 has made, and forgotten something in the midst of.
"""


def _fromVersion1(path: Path, opened: list[Store], **options: int) -> Store:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(VERSION_1)
    return _open(path, opened, Retention(**options))


def test_version_1(tmp_path: Path, opened: list[Store]) -> None:
    """
    A file of version 1 goes on, in the same epochs, with what is whole of it.
    """
    store = _fromVersion1(tmp_path / "broker.db", opened)

    def kept(channel: str, since: int) -> tuple[list[int], bool]:
        history = store.history(channel, Position(since, "e"), None, 40.0)
        return [each.offset for each in history.publications], history.isComplete

    assert kept("whole", 2) == ([3, 4], True)
    assert kept("whole", 1) == ([3, 4], False)
    assert kept("gap", 1) == ([5, 6], False)
    assert kept("gap", 4) == ([5, 6], True)
    assert kept("no end", 1) == ([], False)
    assert kept("no end", 3) == ([], True)
    assert kept("empty", 3) == ([], True)
    (added,) = store.add(_drafts(1, "no end", 40.0))
    assert added.position == Position(4, "e")
    assert kept("no end", 3) == ([4], True)
    assert store.position("never") == Position(0, "new")


def test_version_1_is_kept_to_its_owner(tmp_path: Path, opened: list[Store]) -> None:
    """
    Version 1 left to the umask who can read it: that is mended.
    """
    path = tmp_path / "broker.db"
    path.touch()
    path.chmod(0o644)
    _fromVersion1(path, opened).add(_drafts(1))
    assert set(_modes(tmp_path).values()) == {"600"}


def test_version_1_is_bounded(tmp_path: Path, opened: list[Store]) -> None:
    """
    What it has counts; the channels that were used last in it forget last.
    """
    total = 4 * OVERHEAD + 20 + sum(map(channelCost, ("whole", "gap", "more")))
    store = _fromVersion1(tmp_path / "broker.db", opened, total=total)
    store.add(_drafts(1, "more", 40.0))
    kept = {
        name: len(store.history(name, None, None, 40.0).publications)
        for name in ("whole", "gap", "more")
    }
    assert kept == {"whole": 2, "gap": 1, "more": 1}


def test_version_3(tmp_path: Path, opened: list[Store]) -> None:
    """
    A file in which other numbers were counted is counted again.
    """
    path = tmp_path / "broker.db"
    store = _open(path, opened, Retention())
    store.add([*_drafts(3), *_drafts(2, "\u00e9")])
    counted = "SELECT sum(size), (SELECT size FROM state) FROM channels"
    position = store.position("a")
    store.close()
    with closing(sqlite3.connect(path)) as database, database:
        expected = database.execute(counted).fetchone()
        database.execute("UPDATE channels SET size = 1")
        database.execute("UPDATE state SET size = 2")
        downgrade(database)
        database.execute("PRAGMA user_version = 3")
    store = _open(path, opened, Retention())
    assert store.position("a") == position
    store.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute(counted).fetchone() == expected
    publications = 5 * (OVERHEAD + 1)
    channels = channelCost("a") + channelCost("\u00e9")
    assert expected == (publications, publications + channels)
