"""
The keys and values of applications in an SQLite file. All of this blocks, so it runs in
the worker's thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Final

__all__ = ["ENTRY_OVERHEAD", "ValueTable"]

ENTRY_OVERHEAD: Final = 100
"""
Bytes that a key and its value count for in addition to their own.
"""

_SIZE: Final = f"length(CAST(key AS BLOB)) + length(value) + {ENTRY_OVERHEAD}"


class ValueTable:
    """
    The table C{entries}.
    """

    def __init__(
        self,
        database: Callable[[], sqlite3.Connection],
        transaction: Callable[[], AbstractContextManager[sqlite3.Connection]],
    ) -> None:
        """
        @param database: returns the open file, or raises C{sqlite3.ProgrammingError}.
        @param transaction: executes a body in a transaction.
        """
        self._database = database
        self._transaction = transaction
        # What each application has, once it is known.
        self._sizes: dict[str, int] = {}

    def get(self, application: str, key: str) -> bytes | None:
        """
        Return the value of a key; C{None} if there is none.
        """
        row = (
            self._database()
            .execute(
                "SELECT value FROM entries WHERE application = ? AND key = ?",
                (application, key),
            )
            .fetchone()
        )
        return None if row is None else bytes(row[0])

    def set(self, application: str, key: str, value: bytes, most: int) -> bool:
        """
        Set the value of a key.

        @param most: bytes that all keys and values of the application may have.
        @return: whether there was room.
        """
        size = self._sizeOf(application) - self._sizeAt(application, key)
        size += len(key.encode()) + len(value) + ENTRY_OVERHEAD
        if size > most:
            return False
        with self._transaction() as database:
            database.execute(
                "INSERT INTO entries (application, key, value) VALUES (?, ?, ?)"
                " ON CONFLICT (application, key) DO UPDATE SET value = excluded.value",
                (application, key, value),
            )
        self._sizes[application] = size
        return True

    def delete(self, application: str, key: str) -> bool:
        """
        Delete a key.

        @return: whether it existed.
        """
        size = self._sizeOf(application) - self._sizeAt(application, key)
        with self._transaction() as database:
            deleted = database.execute(
                "DELETE FROM entries WHERE application = ? AND key = ?",
                (application, key),
            )
        self._sizes[application] = size
        return deleted.rowcount > 0

    def items(self, application: str, prefix: str) -> Mapping[str, bytes]:
        """
        Return the keys that begin with a prefix, sorted, with their values.
        """
        rows = self._database().execute(
            "SELECT key, value FROM entries"
            " WHERE application = ? AND key >= ? ORDER BY key",
            (application, prefix),
        )
        found = {}
        for key, value in rows:
            if not key.startswith(prefix):
                break
            found[key] = bytes(value)
        rows.close()
        return found

    def _sizeAt(self, application: str, key: str) -> int:
        row = (
            self._database()
            .execute(
                f"SELECT {_SIZE} FROM entries WHERE application = ? AND key = ?",
                (application, key),
            )
            .fetchone()
        )
        return 0 if row is None else int(row[0])

    def _sizeOf(self, application: str) -> int:
        known = self._sizes.get(application)
        if known is None:
            row = self._database().execute(
                f"SELECT coalesce(sum({_SIZE}), 0) FROM entries WHERE application = ?",
                (application,),
            )
            known = self._sizes[application] = row.fetchone()[0]
        return known
