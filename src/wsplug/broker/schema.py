"""
The tables of an SQLite file, and the migration of older files.

Publishing and subscribing read and write a few rows, however many there are. Each query
has an index, and each channel's row has its sums.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from typing import Final

from wsplug.broker.retention import CHANNEL_OVERHEAD, OVERHEAD

__all__ = ["VERSION", "makeTables", "migrate", "renewEpoch", "renewEpochs"]

VERSION: Final = 5
"""
The version of the tables, as C{PRAGMA user_version}.
"""

_PUBLICATIONS: Final = """
CREATE TABLE publications (
    channel INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    offset INTEGER NOT NULL,
    time REAL NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (channel, offset)
) WITHOUT ROWID;
"""

# A channel's stored publications are those from forgotten + 1 to last, without gaps.
# oldest is the time of the first of them, or NULL if there is none. turn grows with
# each publication, independently of the clock.
_CHANNELS: Final = """
CREATE TABLE channels (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    last INTEGER NOT NULL,
    forgotten INTEGER NOT NULL,
    oldest REAL,
    turn INTEGER NOT NULL,
    used REAL NOT NULL,
    size INTEGER NOT NULL
);
CREATE TABLE state (
    size INTEGER NOT NULL,
    epoch TEXT NOT NULL
);
"""

# The columns for continuity.py.
_OPENINGS: Final = """
ALTER TABLE state ADD COLUMN opening TEXT NOT NULL DEFAULT '';
ALTER TABLE state ADD COLUMN mark TEXT NOT NULL DEFAULT '';
ALTER TABLE state ADD COLUMN boot TEXT NOT NULL DEFAULT '';
"""

# The limits that a channel has for itself, the turn of the last publication, and the
# keys and values of applications.
_FROM_4: Final = """
ALTER TABLE channels ADD COLUMN most INTEGER;
ALTER TABLE channels ADD COLUMN largest INTEGER;
ALTER TABLE channels ADD COLUMN age REAL;
CREATE INDEX channels_expiring ON channels (oldest + age)
    WHERE age IS NOT NULL AND oldest IS NOT NULL;
ALTER TABLE state ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
CREATE TABLE entries (
    application TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (application, key)
);
"""

_INDICES: Final = """
CREATE INDEX channels_oldest ON channels (oldest) WHERE oldest IS NOT NULL;
CREATE INDEX channels_turn ON channels (turn) WHERE oldest IS NOT NULL;
CREATE INDEX channels_empty ON channels (used) WHERE oldest IS NULL;
"""

_FROM_1: Final = """
DROP TRIGGER kept;
DROP TRIGGER forgotten;
DROP INDEX publications_time;
DROP INDEX channels_used;
ALTER TABLE channels ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;
ALTER TABLE channels ADD COLUMN oldest REAL;
ALTER TABLE channels ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
"""


# Before version 4, sizes were counted differently.
_COUNT: Final = f"""
UPDATE channels SET size = (
    SELECT coalesce(sum(length(data) + {OVERHEAD}), 0) FROM publications
        WHERE channel = id
);
UPDATE state SET size = (
    SELECT coalesce(sum(size + {CHANNEL_OVERHEAD} + length(CAST(name AS BLOB))), 0)
        FROM channels WHERE oldest IS NOT NULL
);
"""


def makeTables(database: sqlite3.Connection) -> None:
    """
    Create the tables in an empty file.
    """
    _run(database, _CHANNELS + _PUBLICATIONS + _INDICES + _OPENINGS + _FROM_4)
    database.execute("INSERT INTO state (size, epoch) VALUES (0, '')")
    renewEpoch(database)
    database.execute(f"PRAGMA user_version = {VERSION}")


def migrate(database: sqlite3.Connection, version: int) -> None:
    """
    Migrate older tables to this version.

    @raise sqlite3.DatabaseError: their version is unknown.
    """
    if version not in (1, 2, 3, 4):
        raise sqlite3.DatabaseError(
            f"it has version {version} of the tables; this wsplug needs {VERSION}"
        )
    if version == 1:
        _findGaps(database)
    if version < 3:
        _run(database, _OPENINGS)
    if version < 4:
        _run(database, _COUNT)
    _run(database, _FROM_4)
    database.execute(f"PRAGMA user_version = {VERSION}")


def _findGaps(database: sqlite3.Connection) -> None:
    """
    Set C{forgotten}, C{oldest} and C{turn} of each channel of version 1.
    """
    _run(database, _FROM_1 + _INDICES)
    for identity, last in database.execute("SELECT id, last FROM channels").fetchall():
        _keepOnlyLast(database, identity, last)
    order = "SELECT id FROM channels ORDER BY used"
    for turn, (identity,) in enumerate(database.execute(order).fetchall(), 1):
        database.execute("UPDATE channels SET turn = ? WHERE id = ?", (turn, identity))


def renewEpoch(database: sqlite3.Connection) -> None:
    """
    Give future channels a new epoch.
    """
    database.execute("UPDATE state SET epoch = ?", (secrets.token_hex(4),))


def renewEpochs(database: sqlite3.Connection) -> None:
    """
    Give all channels a new epoch, which invalidates all positions.
    """
    renewEpoch(database)
    database.execute("UPDATE channels SET epoch = (SELECT epoch FROM state)")


def _keepOnlyLast(database: sqlite3.Connection, identity: int, last: int) -> None:
    """
    Keep only a channel's publications after the last gap. Version 1 could forget
    publications between others.
    """
    forgotten, oldest = last, None
    rows = database.execute(
        "SELECT offset, time FROM publications WHERE channel = ? ORDER BY offset DESC",
        (identity,),
    )
    for offset, time in rows:
        if offset != forgotten:
            break
        forgotten, oldest = offset - 1, time
    database.execute(
        "DELETE FROM publications WHERE channel = ? AND offset <= ?",
        (identity, forgotten),
    )
    database.execute(
        "UPDATE channels SET forgotten = ?, oldest = ? WHERE id = ?",
        (forgotten, oldest, identity),
    )


def _run(database: sqlite3.Connection, statements: str) -> None:
    """
    Execute several statements in the current transaction.
    """
    for statement in filter(str.strip, re.split(r";\n", statements)):
        database.execute(statement)
