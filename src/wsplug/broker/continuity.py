"""
Whether an SQLite file has all that was published in it, or is an older state of it:
a backup that was restored, or what a failure of the machine has left.

It has to be known, since offsets that were given out after that state are given out
again. Three things tell:

    - A file beside the database, the witness, is written anew at each opening and
      closing, and the database has its content: where one of the two is restored, they
      don't agree.
    - The database has the witness's time of change, too. It is the system's own and
      can't be set, as the time of writing can: where both are restored, it is another.
    - The database has the name of the system's boot until it is closed. What was
      committed then is there as long as the system runs, also after a C{kill -9}. With
      it goes the number that the file has in the file system, for a copy of an open
      database, which has the name of the boot as well, mostly is another file.
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
What the witness's name has behind the database's.
"""

_BOOT: Final = "/proc/sys/kernel/random/boot_id"

_CLOSED: Final = ""
_UNKNOWN: Final = "unknown"


def readBoot() -> str | None:
    """
    Name this run of the operating system.

    @return: C{None} where it has no name: only Linux gives it one.
    """
    try:
        with open(_BOOT, encoding="utf-8") as file:
            return file.read().strip() or None
    except (OSError, ValueError):
        return None


def isContinued(database: sqlite3.Connection, path: str, boot: str | None) -> bool:
    """
    Say whether a database is as its last opening has left it.

    @param path: of the database.
    @param boot: from L{readBoot}.
    """
    opening, mark, last = database.execute(
        "SELECT opening, mark, boot FROM state"
    ).fetchone()
    if last != _CLOSED and (boot is None or last != _runOf(path, boot)):
        return False
    # One that was opened by older versions only has no witness yet.
    return not opening or _readWitness(path) == (opening, mark)


def beginOpening(database: sqlite3.Connection, path: str, boot: str | None) -> None:
    """
    Write down that a database is open.

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
    Write down that a database is closed, once all that is in it is on the disk: with
    another witness, so that copies that were made while it was open are told from it.
    """
    database.execute("PRAGMA synchronous = FULL")
    with suppress(OSError):  # the one of the opening is good, too
        opening = secrets.token_hex(8)
        mark = _writeWitness(path, opening)
        database.execute("UPDATE state SET opening = ?, mark = ?", (opening, mark))
    database.execute("UPDATE state SET boot = ?", (_CLOSED,))


def _runOf(path: str, boot: str) -> str:
    """
    Name what a database is in, as long as it is open: a run of the system, and a file.
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
    Write it; the one before stays where that can't be done, as on a full disk.

    @return: its time of change.
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
