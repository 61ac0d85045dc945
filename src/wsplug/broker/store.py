"""
Publications in an SQLite file. All of this runs in the worker's thread: it blocks.

The file is in WAL mode: a committed transaction is in it, or in the log beside it, and
survives the process, however that ends. C{synchronous} is C{NORMAL}, so that only a
failure of the whole machine can cost the last transactions; the file stays whole.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from wsplug.broker.publication import History, Position, Publication
from wsplug.broker.retention import OVERHEAD, Retention

__all__ = ["Draft", "Store"]

_VERSION: Final = 1
"""
Of the tables, as C{PRAGMA user_version}.
"""

_TABLES: Final = f"""
CREATE TABLE channels (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    last INTEGER NOT NULL,
    used REAL NOT NULL,
    size INTEGER NOT NULL
);
CREATE TABLE state (size INTEGER NOT NULL, epoch TEXT NOT NULL);
INSERT INTO state VALUES (0, '');
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
"""


@dataclass(frozen=True)
class Draft:
    """
    What is to become a publication.
    """

    channel: str
    data: bytes
    time: float
    store: bool


class Store:
    """
    One file, used by one process.
    """

    def __init__(self, path: str, retention: Retention) -> None:
        """
        @param path: of the file; it is made if it isn't there.
        @param retention: how much of each channel is kept.
        """
        self._path = path
        self._retention = retention
        self._database: sqlite3.Connection | None = None

    def open(self) -> None:
        """
        Open the file.

        @raise sqlite3.Error: it can't be opened, is no database or another's, or is
            in use.
        """
        database = sqlite3.connect(
            self._path, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            # One process has the file: its offsets are what it says they are.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("PRAGMA foreign_keys = ON")
            database.execute("BEGIN IMMEDIATE")
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                tables = database.execute("SELECT count(*) FROM sqlite_master")
                if tables.fetchone()[0]:
                    raise sqlite3.DatabaseError("it has other tables in it")
                for statement in re.split(r";\n(?=CREATE|INSERT|$)", _TABLES):
                    database.execute(statement)
                _renewEpoch(database)
                database.execute(f"PRAGMA user_version = {_VERSION}")
            elif version != _VERSION:
                raise sqlite3.DatabaseError(
                    f"it has version {version} of the tables, not {_VERSION}"
                )
            database.execute("COMMIT")
        except BaseException:
            database.close()
            raise
        self._database = database

    def close(self) -> None:
        """
        Close the file; fine if it isn't open.
        """
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def add(self, drafts: Sequence[Draft]) -> list[Publication]:
        """
        Store what is to be, all of it or nothing.

        @raise sqlite3.Error: it can't be stored.
        """
        publications = []
        touched: dict[int, float] = {}
        with self._transaction() as database:
            for draft in drafts:
                if draft.store and self._retention.count > 0:
                    identity, last, epoch = self._openChannel(draft)
                    database.execute(
                        "INSERT INTO publications VALUES (?, ?, ?, ?)",
                        (identity, last, draft.time, draft.data),
                    )
                    touched[identity] = draft.time
                    isStored = True
                else:
                    position = self.position(draft.channel)
                    last, epoch = position.offset, position.epoch
                    isStored = False
                publications.append(
                    Publication(last, epoch, draft.data, draft.time, isStored)
                )
            for identity, time in touched.items():
                self._trim(identity, time)
            self._trimAll()
        return publications

    def position(self, channel: str) -> Position:
        """
        Give a channel's end.

        @raise sqlite3.Error: it can't be read.
        """
        found = self._find(channel)
        if found is not None:
            _, last, epoch = found
            return Position(last, epoch)
        epoch = self._opened.execute("SELECT epoch FROM state").fetchone()[0]
        return Position(0, epoch)

    def history(
        self, channel: str, since: Position | None, limit: int | None, now: float
    ) -> History:
        """
        Read what is kept, as C{IBroker.history} does.

        @raise sqlite3.Error: it can't be read.
        """
        position = self.position(channel)
        found = self._find(channel)
        if found is None:
            return History((), position, since in (None, position))
        identity = found[0]
        self._trim(identity, now)
        oldest = self._opened.execute(
            "SELECT min(offset) FROM publications WHERE channel = ?", (identity,)
        ).fetchone()[0]
        start = position.offset if oldest is None else oldest - 1
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
            (identity, start),
        )
        publications = tuple(
            Publication(offset, position.epoch, data, time)
            for offset, data, time in rows
        )
        return History(publications, position, isComplete)

    def sweep(self, now: float, inUse: Sequence[str]) -> None:
        """
        Forget what is too old, and the channels that nobody uses and that have been
        empty for as long again.

        @param inUse: channels that are kept.
        @raise sqlite3.Error: it can't be.
        """
        oldest = now - self._retention.age
        with self._transaction() as database:
            database.execute("DELETE FROM publications WHERE time <= ?", (oldest,))
            database.executemany(
                "UPDATE channels SET used = ? WHERE name = ?",
                [(now, name) for name in inUse],
            )
            forgotten = database.execute(
                "DELETE FROM channels WHERE used <= ?",
                (oldest - self._retention.age,),
            )
            if forgotten.rowcount:
                _renewEpoch(database)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """
        Do all of something, or nothing.
        """
        database = self._opened
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:  # SQLite ends it itself when the disk is full
                database.execute("ROLLBACK")
            raise

    @property
    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            raise sqlite3.ProgrammingError("it is closed")
        return self._database

    def _find(self, channel: str) -> tuple[int, int, str] | None:
        """
        Give a channel's number in the file, its last offset and its epoch; C{None} if
        nothing was ever stored in it.
        """
        row: tuple[int, int, str] | None = self._opened.execute(
            "SELECT id, last, epoch FROM channels WHERE name = ?", (channel,)
        ).fetchone()
        return row

    def _openChannel(self, draft: Draft) -> tuple[int, int, str]:
        """
        Count one publication more in a channel, which is made if needed.

        @return: its number in the file, the new offset and the epoch.
        """
        # A channel that is new has the epoch that it had as long as it was empty.
        self._opened.execute(
            "INSERT INTO channels (name, epoch, last, used, size)"
            " SELECT ?, epoch, 1, ?, 0 FROM state WHERE true"
            " ON CONFLICT (name) DO UPDATE SET last = last + 1, used = excluded.used",
            (draft.channel, draft.time),
        )
        found = self._find(draft.channel)
        assert found is not None
        return found

    def _trim(self, identity: int, now: float) -> None:
        """
        Forget what of a channel is beyond its bounds.
        """
        database = self._opened
        retention = self._retention
        database.execute(
            "DELETE FROM publications WHERE channel = ? AND (time <= ? OR offset <="
            " (SELECT last FROM channels WHERE id = ?) - ?)",
            (identity, now - retention.age, identity, retention.count),
        )
        size = database.execute(
            "SELECT size FROM channels WHERE id = ?", (identity,)
        ).fetchone()[0]
        if size > retention.size:
            self._forget(identity, size - retention.size)

    def _trimAll(self) -> None:
        """
        Forget what is too much in all: the channels in which the least happens first.
        """
        database = self._opened
        size = database.execute("SELECT size FROM state").fetchone()[0]
        excess = size - self._retention.total
        while excess > 0:
            identity, size = database.execute(
                "SELECT id, size FROM channels WHERE size > 0 ORDER BY used LIMIT 1"
            ).fetchone()
            self._forget(identity, excess)
            excess -= size

    def _forget(self, identity: int, excess: int) -> None:
        """
        Forget the oldest of a channel's, so many bytes at least, or all.
        """
        database = self._opened
        last = None
        rows = database.execute(
            "SELECT offset, length(data) FROM publications WHERE channel = ?"
            " ORDER BY offset",
            (identity,),
        )
        for offset, length in rows:
            if excess <= 0:
                break
            last = offset
            excess -= length + OVERHEAD
        database.execute(
            "DELETE FROM publications WHERE channel = ? AND offset <= ?",
            (identity, last),
        )


def _renewEpoch(database: sqlite3.Connection) -> None:
    """
    Give channels that begin from now on another epoch than those that were there.
    """
    database.execute("UPDATE state SET epoch = ?", (secrets.token_hex(4),))
