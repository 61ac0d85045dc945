"""
Whether a process ID belongs to a running server.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

__all__ = ["isServer"]


def isServer(pid: int) -> bool:
    """
    Return whether a process runs and may be a server that C{twistd} has started.
    """
    if not _runs(pid):
        return False
    command = _commandOf(pid)
    return command is None or _isTwistd(command)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    except OverflowError:
        return False
    return True


def _commandOf(pid: int) -> list[str] | None:
    """
    Return the command line of a process; C{None} if the system doesn't show it.
    """
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    return line.decode("utf-8", "replace").rstrip("\0").split("\0")


def _isTwistd(command: list[str]) -> bool:
    """
    Return whether a process may be C{twistd}: whether its program is called C{twistd},
    or has the same name as this one.
    """
    name = os.path.basename(sys.argv[0])
    return any(os.path.basename(word) in (name, "twistd") for word in command[:4])
