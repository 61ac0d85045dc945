"""
Files that options name: certificates, keys, tokens, data, some of which nobody else is
to know.
"""

from __future__ import annotations

import os
import stat

from twisted.logger import Logger

from wsplug.errors import InvalidOption

__all__ = ["keepToOwner", "makePrivate", "readBytes", "warnOfEverybody"]

_log = Logger(__name__)


def readBytes(path: str, complaint: str) -> bytes:
    """
    Read a file.

    @param complaint: what the error message begins with, before the path:
        C{"tls-cert: can't read"}.
    @raise InvalidOption: it can't be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InvalidOption(f"{complaint} {path}: {error.strerror}") from None
    except ValueError:  # a NUL
        raise InvalidOption(f"{complaint} {path!r}: no such name") from None


def makePrivate(path: str) -> None:
    """
    Make a file that nobody but its owner can read or write, whatever the umask is; one
    that is there stays as it is.

    @raise OSError: it can't be made.
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
    Take from everybody but a file's owner what they may do with it; fine if it isn't
    there.

    @raise OSError: it is somebody else's.
    """
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            os.chmod(path, mode & stat.S_IRWXU)
    except FileNotFoundError:
        pass


def warnOfEverybody(path: str, isSecret: bool = True) -> None:
    """
    Log a warning if everybody on this machine can change a file, or read one that is
    secret.
    """
    mode = os.stat(path).st_mode
    if mode & stat.S_IWOTH:
        can = "change"
    elif isSecret and mode & stat.S_IROTH:
        can = "read"
    else:
        return
    _log.warn(
        "everybody on this machine can {can} {path}; chmod o= {path}",
        can=can,
        path=path,
    )
