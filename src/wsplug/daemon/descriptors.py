"""
How many connections the process may have at all: each takes a file descriptor.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Final

from wsplug.errors import InvalidOption
from wsplug.options import UNLIMITED

if sys.platform != "win32":
    import resource

__all__ = ["RESERVED", "fitConnections", "raiseLimit"]

RESERVED: Final = 64
"""
Descriptors that are left for the log, ports, databases and all else.
"""


def raiseLimit() -> int:
    """
    Raise the process's own limit of open files as far as it may be.

    @return: the limit then; L{UNLIMITED} where there is none.
    """
    if sys.platform == "win32":
        return UNLIMITED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # Some systems take less than they say.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft


def fitConnections(wanted: int, limit: int, asked: bool) -> int:
    """
    Say how many connections there can be.

    @param wanted: as many are wanted.
    @param limit: of open files, from L{raiseLimit}.
    @param asked: whether somebody has asked for just that many. If not, or if they have
        asked for as many as there can be, it may be fewer.
    @raise InvalidOption: so many can't be held.
    """
    possible = max(limit - RESERVED, 1)
    if wanted <= possible:
        return wanted
    if asked and wanted < UNLIMITED:
        raise InvalidOption(
            f"max-connections {wanted} can't be held: this process may have {limit} "
            f"files open; let it have {wanted + RESERVED} (LimitNOFILE= of systemd, or "
            f"ulimit -n), or say max-connections {possible}"
        )
    return possible
