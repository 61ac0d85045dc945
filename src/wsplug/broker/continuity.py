"""
Detects whether an SQLite file has lost publications: because a backup was restored, or
because the machine failed.

The broker has to know, because it assigns the offsets of lost publications again. Three
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
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import suppress
from typing import Final

__all__ = ["SUFFIX", "beginOpening", "endOpening", "isContinued", "readBoot"]

SUFFIX: Final = "-opening"
"""
The suffix that the witness's name adds to the database's.
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
    opening, mark, last = database.execute(
        "SELECT opening, mark, boot FROM state"
    ).fetchone()
    if last != _CLOSED and (boot is None or last != _runOf(path, boot)):
        return False
    # Older versions didn't write a witness.
    return not opening or _readWitness(path) == (opening, mark)


def beginOpening(database: sqlite3.Connection, path: str, boot: str | None) -> None:
    """
    Record that a database is open.

    @raise OSError: the witness can't be written.
    """
    opening = secrets.token_hex(8)
    mark = _writeWitness(path, opening)
    database.execute(
        "UPDATE state SET opening = ?, mark = ?, boot = ?",
        (opening, mark, _UNKNOWN if boot is None else _runOf(path, boot)),
    )


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
