"""
Files that options name: certificates, keys, tokens and data, some of them secret.
"""

from __future__ import annotations

import os
import stat

from twisted.logger import Logger

from wsplug.errors import InvalidOption

__all__ = ["keepToOwner", "makePrivate", "readBytes", "warnIfExposed"]

_log = Logger(__name__)


def readBytes(path: str, complaint: str) -> bytes:
    """
    Read a file.

    @param complaint: the beginning of the error message, before the path:
        C{"tls-cert: can't read"}.
    @raise InvalidOption: the file can't be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InvalidOption(f"{complaint} {path}: {error.strerror}") from None
    except ValueError:  # a NUL
        raise InvalidOption(f"{complaint} {path!r}: invalid file name") from None


def makePrivate(path: str) -> None:
    """
    Create a file that only its owner can read and write, whatever the umask is. An
    existing file isn't changed.

    @raise OSError: the file can't be created.
    """
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    try:
        os.fchmod(made, 0o600)
    finally:
        os.close(made)


def keepToOwner(path: str) -> None:
    """
    Remove all permissions of a file except its owner's. Does nothing if it doesn't
    exist.

    @raise OSError: the file belongs to another user.
    """
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            os.chmod(path, mode & stat.S_IRWXU)
    except FileNotFoundError:
        pass


def warnIfExposed(path: str, isSecret: bool = True) -> None:
    """
    Log a warning if all users of this machine can change a file, or read a secret one.
    """
    mode = os.stat(path).st_mode
    if mode & stat.S_IWOTH:
        can = "change"
    elif isSecret and mode & stat.S_IROTH:
        can = "read"
    else:
        return
    _log.warn(
        "all users of this machine can {can} {path}; run chmod o= {path}",
        can=can,
        path=path,
    )
