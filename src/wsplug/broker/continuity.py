"""
Detects whether an SQLite file has lost publications: because a backup was restored, or
because the machine failed.

The broker has to know, because it assigns the offsets of lost publications again. Four
checks detect it:

    - A file beside the database, the witness, is rewritten at each opening and closing.
      The database contains a copy of its content. If only one of the two is restored,
      they differ.
    - The database also contains the witness's change time (ctime). Unlike the
      modification time, it can't be set. If both files are restored, it differs.
    - While it is open, the database contains the ID of the system's boot. Committed
      transactions survive C{kill -9} as long as the system runs. The inode number is
      stored with it, because a copy of an open database has the same boot ID, but
      usually another inode.
    - While it is open, a second file beside it has the number of its last publication.
      After C{kill -9}, the database is at least as far, unless an older copy was
      written over it.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import suppress
from typing import Final

from wsplug.files import makePrivate

__all__ = [
    "PROGRESS_SUFFIX",
    "SUFFIX",
    "Progress",
    "beginOpening",
    "endOpening",
    "isContinued",
    "readBoot",
]

SUFFIX: Final = "-opening"
"""
The suffix that the witness's name adds to the database's.
"""

PROGRESS_SUFFIX: Final = "-progress"
"""
The suffix of the file that says how far an open database is.
"""

_BOOT: Final = "/proc/sys/kernel/random/boot_id"

_CLOSED: Final = ""
_UNKNOWN: Final = "unknown"


def readBoot() -> str | None:
    """
    Read the ID of the operating system's current boot.

    @return: C{None} if there is none. Only Linux has one.
    """
    try:
        with open(_BOOT, encoding="utf-8") as file:
            return file.read().strip() or None
    except (OSError, ValueError):
        return None


def isContinued(database: sqlite3.Connection, path: str, boot: str | None) -> bool:
    """
    Return whether a database is in the state in which its last opening left it.

    @param path: the path of the database.
    @param boot: the result of L{readBoot}.
    """
    opening, mark, last, turn = database.execute(
        "SELECT opening, mark, boot, turn FROM state"
    ).fetchone()
    if last != _CLOSED:
        if boot is None or last != _runOf(path, boot):
            return False
        if turn < _readProgress(path, opening):
            return False
    # Older versions didn't write a witness.
    return not opening or _readWitness(path) == (opening, mark)


def beginOpening(database: sqlite3.Connection, path: str, boot: str | None) -> str:
    """
    Record that a database is open.

    @return: what identifies this opening.
    @raise OSError: the witness can't be written.
    """
    opening = secrets.token_hex(8)
    mark = _writeWitness(path, opening)
    database.execute(
        "UPDATE state SET opening = ?, mark = ?, boot = ?",
        (opening, mark, _UNKNOWN if boot is None else _runOf(path, boot)),
    )
    return opening


def endOpening(database: sqlite3.Connection, path: str) -> None:
    """
    Record that a database is closed, after its content is on the disk. The witness is
    rewritten, so that copies of the open database are recognized.
    """
    database.execute("PRAGMA synchronous = FULL")
    with suppress(OSError):  # the opening's witness is still valid
        opening = secrets.token_hex(8)
        mark = _writeWitness(path, opening)
        database.execute("UPDATE state SET opening = ?, mark = ?", (opening, mark))
    database.execute("UPDATE state SET boot = ?", (_CLOSED,))


class Progress:
    """
    Records how far an open database is, without waiting for the disk: what matters
    after a failure of the machine is the ID of the boot.
    """

    def __init__(self, path: str, opening: str) -> None:
        """
        @param path: the path of the database.
        @param opening: the result of L{beginOpening}.
        @raise OSError: the file can't be written.
        """
        self._path = path + PROGRESS_SUFFIX
        self._opening = opening
        makePrivate(self._path)
        self._file = open(self._path, "r+b", buffering=0)  # noqa: SIM115
        self.reached(0)

    def reached(self, turn: int) -> None:
        """
        Record the number of the last publication that is committed. If that fails, as
        on a full disk, the last record stays.
        """
        with suppress(OSError):
            self._file.seek(0)
            self._file.write(f"{self._opening} {turn:020d}\n".encode("ascii"))

    def close(self) -> None:
        """
        Remove the file: the database is closed.
        """
        self._file.close()
        with suppress(OSError):
            os.unlink(self._path)


def _readProgress(path: str, opening: str) -> int:
    """
    Read how far a database was during an opening.

    @return: 0 if nobody knows.
    """
    try:
        with open(path + PROGRESS_SUFFIX, encoding="ascii") as file:
            of, turn = file.read().split()
            return int(turn) if of == opening else 0
    except (OSError, ValueError):
        return 0


def _runOf(path: str, boot: str) -> str:
    """
    Return what identifies an open database: the boot ID and the inode number.
    """
    return f"{boot} {os.stat(path).st_ino}"


def _readWitness(path: str) -> tuple[str, str] | None:
    try:
        with open(path + SUFFIX, encoding="utf-8") as file:
            return file.read().strip(), str(os.fstat(file.fileno()).st_ctime_ns)
    except (OSError, ValueError):
        return None


def _writeWitness(path: str, opening: str) -> str:
    """
    Replace the witness. If that fails, as on a full disk, the old one stays.

    @return: its change time, in nanoseconds.
    """
    witness = path + SUFFIX
    new = witness + ".new"
    with suppress(FileNotFoundError):
        os.unlink(new)
    made = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(made, f"{opening}\n".encode("ascii"))
    finally:
        os.close(made)
    os.replace(new, witness)
    return str(os.stat(witness).st_ctime_ns)
