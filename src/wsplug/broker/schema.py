"""
The tables of an SQLite file, and how an older file gets them.

What is done for a publication or a subscriber reads and writes a few rows, however many
there are: each question that is asked then has an index of its own, and what would have
to be counted is written down with each channel.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from typing import Final

from wsplug.broker.retention import CHANNEL_OVERHEAD, OVERHEAD

__all__ = ["VERSION", "makeTables", "migrate", "renewEpoch", "renewEpochs"]

VERSION: Final = 4
"""
Of the tables, as C{PRAGMA user_version}.
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

# Of a channel: its publications from forgotten + 1 to last are there, none before them,
# and none is missing between them. oldest is the time of the first of them, or NULL
# where none is left; turn grows with each publication, whatever the clock does.
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

# What continuity.py has to know.
_OPENINGS: Final = """
ALTER TABLE state ADD COLUMN opening TEXT NOT NULL DEFAULT '';
ALTER TABLE state ADD COLUMN mark TEXT NOT NULL DEFAULT '';
ALTER TABLE state ADD COLUMN boot TEXT NOT NULL DEFAULT '';
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


# Before version 4, other numbers were counted.
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
    Make the tables in a file that has none.
    """
    _run(database, _CHANNELS + _PUBLICATIONS + _INDICES + _OPENINGS)
    database.execute("INSERT INTO state (size, epoch) VALUES (0, '')")
    renewEpoch(database)
    database.execute(f"PRAGMA user_version = {VERSION}")


def migrate(database: sqlite3.Connection, version: int) -> None:
    """
    Bring older tables to this version.

    @raise sqlite3.DatabaseError: they are of another version still.
    """
    if version not in (1, 2, 3):
        raise sqlite3.DatabaseError(
            f"it has version {version} of the tables, not {VERSION}"
        )
    if version == 1:
        _findGaps(database)
    if version < 3:
        _run(database, _OPENINGS)
    _run(database, _COUNT)
    database.execute(f"PRAGMA user_version = {VERSION}")


def _findGaps(database: sqlite3.Connection) -> None:
    """
    Write down what is forgotten of each channel of version 1.
    """
    _run(database, _FROM_1 + _INDICES)
    for identity, last in database.execute("SELECT id, last FROM channels").fetchall():
        _forgetAllButTheEnd(database, identity, last)
    order = "SELECT id FROM channels ORDER BY used"
    for turn, (identity,) in enumerate(database.execute(order).fetchall(), 1):
        database.execute("UPDATE channels SET turn = ? WHERE id = ?", (turn, identity))


def renewEpoch(database: sqlite3.Connection) -> None:
    """
    Give channels that begin from now on another epoch than those that were there.
    """
    database.execute("UPDATE state SET epoch = ?", (secrets.token_hex(4),))


def renewEpochs(database: sqlite3.Connection) -> None:
    """
    Give all channels another epoch: no position that anybody has counts any more.
    """
    renewEpoch(database)
    database.execute("UPDATE channels SET epoch = (SELECT epoch FROM state)")


def _forgetAllButTheEnd(database: sqlite3.Connection, identity: int, last: int) -> None:
    """
    Have a channel keep what is behind the last gap: version 1 could forget something in
    the midst of others.
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
    Execute several statements in the transaction that there is.
    """
    for statement in filter(str.strip, re.split(r";\n", statements)):
        database.execute(statement)
