"""
Publications in an SQLite file. All of this blocks, so it runs in the worker's thread.

The file is in WAL mode: a committed transaction is in the file or in the log beside it,
and survives any end of the process. C{synchronous} is C{NORMAL}: only a failure of the
machine can lose the last transactions. The file stays consistent even then, and
L{wsplug.broker.continuity} detects the possible loss.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from wsplug.broker.continuity import (
    Progress,
    beginOpening,
    endOpening,
    isContinued,
    readBoot,
)
from wsplug.broker.publication import History, Position, Publication
from wsplug.broker.retention import (
    OVERHEAD,
    ChannelRetention,
    Retention,
    channelCost,
)
from wsplug.broker.schema import VERSION, makeTables, migrate, renewEpoch, renewEpochs
from wsplug.broker.valuetable import ValueTable
from wsplug.files import keepToOwner, makePrivate

__all__ = ["Draft", "Store"]

_COLUMNS: Final = (
    "id, name, epoch, last, forgotten, oldest, turn, used, size, most, largest, age"
)

_QUIETEST: Final = "WHERE oldest IS NOT NULL ORDER BY turn LIMIT 1"
_BUSIEST: Final = "WHERE oldest IS NOT NULL ORDER BY turn DESC LIMIT 1"


@dataclass(frozen=True)
class Draft:
    """
    A publication that is not stored yet.
    """

    channel: str
    data: bytes
    time: float
    store: bool
    retention: ChannelRetention | None = None


@dataclass
class _Channel:
    """
    A row of C{channels}.

    @ivar last: the offset of the last publication.
    @ivar forgotten: the offset of the last forgotten publication; all later ones are
        stored.
    @ivar oldest: the time of the first stored publication; C{None} if there is none.
    @ivar turn: orders the channels by their last publication.
    @ivar used: the time of the last publication or of the last known subscriber.
    @ivar size: the size of its publications in bytes, with their overhead.
    @ivar most: the count of its own L{ChannelRetention}; C{None} without one. The same
        applies to C{largest}, its size, and C{age}.
    """

    id: int
    name: str
    epoch: str
    last: int
    forgotten: int
    oldest: float | None
    turn: int
    used: float
    size: int
    most: int | None = None
    largest: int | None = None
    age: float | None = None

    def __post_init__(self) -> None:
        self.counted = self.cost

    @property
    def cost(self) -> int:
        """
        The bytes that count towards the total of all channels.
        """
        return 0 if self.oldest is None else self.size + channelCost(self.name)

    @property
    def position(self) -> Position:
        return Position(self.last, self.epoch)

    def limits(self, usual: ChannelRetention) -> ChannelRetention:
        """
        Return its limits.

        @param usual: the server's, for a channel without its own.
        """
        if self.most is None or self.largest is None or self.age is None:
            return usual
        return ChannelRetention(self.most, self.largest, self.age)

    def setLimits(self, limits: ChannelRetention | None) -> None:
        """
        Set its own limits. The caller writes the channel's row later.

        @param limits: C{None} to leave them as they are.
        """
        if limits is not None:
            self.most, self.largest, self.age = limits.count, limits.size, limits.age

    @property
    def kept(self) -> int:
        return self.last - self.forgotten


class Store:
    """
    One file that one process uses.

    @ivar values: the applications' keys and values.
    """

    def __init__(
        self,
        path: str,
        retention: Retention,
        boot: Callable[[], str | None] = readBoot,
    ) -> None:
        """
        @param path: the path of the file, which is created if it is missing.
        @param retention: how much of each channel is kept.
        @param boot: returns the ID of the operating system's current boot.
        """
        # SQLite creates its other files beside the target of a symbolic link.
        self._path = os.path.realpath(path)
        self._retention = retention
        self._database: sqlite3.Connection | None = None
        self._turn = 0
        self._boot = boot
        self._progress: Progress | None = None
        self.values = ValueTable(lambda: self._opened, self._transaction)

    def open(self) -> bool:
        """
        Open the file.

        @return: whether the file is in the state in which it was left. If not, it may
            lack publications, and all channels get a new epoch.
        @raise OSError: the file can't be created.
        @raise sqlite3.Error: the file can't be opened, is in use, isn't a database, or
            is the database of another program.
        """
        # It contains people's messages. SQLite's other files get the same mode.
        makePrivate(self._path)
        database = sqlite3.connect(
            self._path, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            # Only one process may assign offsets.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("PRAGMA foreign_keys = ON")
            database.execute("BEGIN IMMEDIATE")
            self._prepare(database)
            boot = self._boot()
            isUnchanged = isContinued(database, self._path, boot)
            if not isUnchanged:
                renewEpochs(database)
            opening = beginOpening(database, self._path, boot)
            (turn,) = database.execute("SELECT turn FROM state").fetchone()
            database.execute("COMMIT")
            self._progress = Progress(self._path, opening)
        except BaseException:
            database.close()
            raise
        self._database = database
        self._turn = max([turn, *(each.turn for each in self._select(_BUSIEST))])
        return isUnchanged

    def _prepare(self, database: sqlite3.Connection) -> None:
        """
        Create or migrate the tables.
        """
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            tables = database.execute("SELECT count(*) FROM sqlite_master")
            if tables.fetchone()[0]:
                raise sqlite3.DatabaseError("it contains other tables")
            makeTables(database)
        elif version != VERSION:
            migrate(database, version)
            # Version 1 left the modes of the files to the umask.
            for suffix in ("", "-wal", "-shm"):
                keepToOwner(self._path + suffix)

    def close(self) -> None:
        """
        Close the file, if it is open.
        """
        database, self._database = self._database, None
        if database is not None:
            try:
                endOpening(database, self._path)
            finally:
                database.close()
                if self._progress is not None:
                    self._progress.close()
                    self._progress = None

    # Requests

    def add(self, drafts: Sequence[Draft]) -> list[Publication]:
        """
        Store drafts: all of them or none.

        @raise sqlite3.Error: they can't be stored.
        """
        publications = []
        touched: dict[str, _Channel] = {}
        with self._transaction():
            for draft in drafts:
                channel = touched.get(draft.channel) or self._find(draft.channel)
                limits = draft.retention or self._retention
                if draft.retention is None and channel is not None:
                    limits = channel.limits(self._retention)
                store = draft.store and limits.count > 0
                if store:
                    channel = channel or self._make(draft)
                    channel.setLimits(draft.retention)
                    touched[draft.channel] = channel
                    self._append(channel, draft)
                position = self._positionOf(channel)
                publications.append(
                    Publication(
                        position.offset, position.epoch, draft.data, draft.time, store
                    )
                )
            for channel in touched.values():
                self._trim(channel, channel.used)
            self._trimAll()
        if self._progress is not None:
            self._progress.reached(self._turn)
        return publications

    def position(self, channel: str) -> Position:
        """
        Return the position of a channel's end.

        @raise sqlite3.Error: it can't be read.
        """
        return self._positionOf(self._find(channel))

    def history(
        self, channel: str, since: Position | None, limit: int | None, now: float
    ) -> History:
        """
        Read the stored publications, as C{IBroker.history} does.

        @raise sqlite3.Error: it can't be read.
        """
        found = self._find(channel)
        limit = None if limit is None else max(limit, 0)
        position = self._positionOf(found)
        if found is None:
            return History((), position, since in (None, position))
        age = found.limits(self._retention).age
        if found.oldest is not None and found.oldest <= now - age:
            with self._transaction():
                self._trim(found, now)
        start = found.forgotten
        isComplete = since is None
        if since is not None and since.epoch == position.epoch:
            isComplete = start <= since.offset <= position.offset
            start = since.offset if isComplete else start
        if limit is not None and position.offset - start > limit:
            start = position.offset - limit
            isComplete = since is None
        rows = self._opened.execute(
            "SELECT offset, data, time FROM publications"
            " WHERE channel = ? AND offset > ? ORDER BY offset",
            (found.id, start),
        )
        publications = tuple(
            Publication(offset, position.epoch, data, time)
            for offset, data, time in rows
        )
        return History(publications, position, isComplete)

    def listChannels(
        self, first: Sequence[str], words: Sequence[str], limit: int
    ) -> list[tuple[str, int, int]]:
        """
        List channels: some first, and then those that were published to most recently.

        @param words: what the names of the others have to contain, in lower case.
        @return: of each, its name, how many publications it has, and their bytes.
        @raise sqlite3.Error: they can't be read.
        """
        found = dict.fromkeys(first, (0, 0))
        for name in first:
            channel = self._find(name)
            if channel is not None:
                found[name] = channel.kept, channel.size
        where = "WHERE oldest IS NOT NULL"
        where += " AND instr(lower(name), ?)" * len(words)
        where += f" ORDER BY turn DESC LIMIT {int(limit)}"
        for each in self._select(where, tuple(words)):
            if len(found) < limit:
                found.setdefault(each.name, (each.kept, each.size))
        return [(name, kept, size) for name, (kept, size) in found.items()]

    def sweep(self, now: float, inUse: Sequence[str]) -> None:
        """
        Forget publications that are too old. Also forget channels that have had neither
        publications nor subscribers for another such period.

        @param inUse: the channels that have subscribers.
        @raise sqlite3.Error: the file can't be changed.
        """
        oldest = now - self._retention.age
        with self._transaction() as database:
            for channel in (
                *self._select("WHERE oldest <= ? AND age IS NULL", (oldest,)),
                *self._select("WHERE age IS NOT NULL AND oldest + age <= ?", (now,)),
            ):
                self._trim(channel, now)
            database.executemany(
                "UPDATE channels SET used = ? WHERE name = ?",
                [(now, name) for name in inUse],
            )
            forgotten = database.execute(
                "DELETE FROM channels WHERE oldest IS NULL AND used <= ?",
                (oldest - self._retention.age,),
            )
            if forgotten.rowcount:
                renewEpoch(database)

    # The file

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """
        Execute the body in a transaction, which is rolled back if the body fails.
        """
        database = self._opened
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:  # a full disk makes SQLite roll back
                database.execute("ROLLBACK")
            raise

    @property
    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            raise sqlite3.ProgrammingError("the file is closed")
        return self._database

    def _select(self, where: str, values: Sequence[object] = ()) -> list[_Channel]:
        rows = self._opened.execute(f"SELECT {_COLUMNS} FROM channels {where}", values)
        return [_Channel(*row) for row in rows.fetchall()]

    def _find(self, channel: str) -> _Channel | None:
        """
        Read a channel's row.

        @return: C{None} if there is none.
        """
        found = self._select("WHERE name = ?", (channel,))
        return found[0] if found else None

    def _positionOf(self, channel: _Channel | None) -> Position:
        if channel is not None:
            return channel.position
        # A new channel will get this epoch.
        epoch = self._opened.execute("SELECT epoch FROM state").fetchone()[0]
        return Position(0, epoch)

    def _make(self, draft: Draft) -> _Channel:
        """
        Insert an empty channel.
        """
        position = self._positionOf(None)
        made = self._opened.execute(
            "INSERT INTO channels (name, epoch, last, forgotten, turn, used, size)"
            " VALUES (?, ?, 0, 0, 0, ?, 0)",
            (draft.channel, position.epoch, draft.time),
        )
        assert made.lastrowid is not None
        return _Channel(
            made.lastrowid, draft.channel, position.epoch, 0, 0, None, 0, draft.time, 0
        )

    def _append(self, channel: _Channel, draft: Draft) -> None:
        """
        Insert a publication. The caller writes the channel's row later.
        """
        self._turn += 1
        channel.last += 1
        channel.turn = self._turn
        channel.used = draft.time
        channel.size += len(draft.data) + OVERHEAD
        if channel.oldest is None:
            channel.oldest = draft.time
        self._opened.execute(
            "INSERT INTO publications (channel, offset, time, data)"
            " VALUES (?, ?, ?, ?)",
            (channel.id, channel.last, draft.time, draft.data),
        )

    def _write(self, channel: _Channel) -> None:
        """
        Update a channel's row, and the total size of all channels.
        """
        database = self._opened
        database.execute(
            "UPDATE channels SET last = ?, forgotten = ?, oldest = ?, turn = ?,"
            " used = ?, size = ?, most = ?, largest = ?, age = ? WHERE id = ?",
            (
                channel.last,
                channel.forgotten,
                channel.oldest,
                channel.turn,
                channel.used,
                channel.size,
                channel.most,
                channel.largest,
                channel.age,
                channel.id,
            ),
        )
        grown, channel.counted = channel.cost - channel.counted, channel.cost
        database.execute(
            "UPDATE state SET size = size + ?, turn = ?", (grown, self._turn)
        )

    # Forgetting

    def _trim(self, channel: _Channel, now: float) -> None:
        """
        Forget the publications that exceed a channel's limits, and write its row.
        """
        retention = channel.limits(self._retention)
        oldest = now - retention.age
        self._forget(
            channel,
            lambda time: (
                channel.kept > retention.count
                or channel.size > retention.size
                or time <= oldest
            ),
        )
        self._write(channel)

    def _trimAll(self) -> None:
        """
        Apply the total limit: forget publications of the least recently used channels.
        """
        while (excess := self._size() - self._retention.total) > 0:
            self._shrink(self._select(_QUIETEST)[0], excess)

    def _size(self) -> int:
        size: int = self._opened.execute("SELECT size FROM state").fetchone()[0]
        return size

    def _shrink(self, channel: _Channel, excess: int) -> None:
        """
        Forget at least that many bytes of a channel, or all of it, and write its row.
        """
        enough = channel.size - excess
        self._forget(channel, lambda _: channel.size > enough)
        self._write(channel)

    def _forget(self, channel: _Channel, isTooMuch: Callable[[float], bool]) -> None:
        """
        Forget a channel's oldest publications, up to the first that may stay. No later
        ones are forgotten, so that the history has no gaps.

        @param isTooMuch: says whether the oldest publication, which has the given time,
            has to be forgotten.
        """
        if channel.oldest is None or not isTooMuch(channel.oldest):
            return
        database = self._opened
        channel.oldest = None
        rows = database.execute(
            "SELECT offset, time, length(data) FROM publications"
            " WHERE channel = ? AND offset > ? ORDER BY offset",
            (channel.id, channel.forgotten),
        )
        for offset, time, length in rows:
            if not isTooMuch(time):
                channel.oldest = time
                break
            channel.forgotten = offset
            channel.size -= length + OVERHEAD
        rows.close()
        database.execute(
            "DELETE FROM publications WHERE channel = ? AND offset <= ?",
            (channel.id, channel.forgotten),
        )
