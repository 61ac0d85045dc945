"""
How many connections the process can hold: each one takes a file descriptor, and some
applications take more.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from contextlib import suppress
from typing import Final

from wsplug.errors import InvalidOption
from wsplug.options import UNLIMITED
from wsplug.server.roster import FEW, mostLingering

if sys.platform != "win32":
    import resource

__all__ = ["RESERVED", "fitConnections", "raiseLimit"]

_SHARE: Final = 5
"""
The part of the descriptors that is left for connections, one in so many, whatever
applications may take.
"""

RESERVED: Final = 64
"""
Descriptors that are left for the log, ports, databases and everything else, among them
the connections to a full server that are a few in any case: for health checks, and for
refusals.
"""


def raiseLimit() -> int:
    """
    Raise the process's own limit of open files as far as the system allows.

    @return: the new limit; L{UNLIMITED} if there is none.
    """
    if sys.platform == "win32":
        return UNLIMITED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # Some systems accept less than the limit that they report.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft


def _filesFor(connections: int) -> int:
    """
    Return how many descriptors a server with so many connections needs.
    """
    return connections + mostLingering(connections) - FEW + RESERVED


def _fit(free: int) -> int:
    """
    Return for how many connections so many descriptors are enough. On a full server,
    refused connections linger beyond them.
    """
    counts = range(max(free, 0) + 1)
    return bisect_right(counts, free, key=lambda each: _filesFor(each) - RESERVED) - 1


def fitConnections(wanted: int, limit: int, asked: bool, taken: int = 0) -> int:
    """
    Return how many connections the server can hold.

    @param wanted: the number that C{max-connections} has.
    @param limit: of open files, from L{raiseLimit}.
    @param asked: whether the user has set C{max-connections}. If not, or if it is
        C{unlimited}, the result may be smaller than C{wanted}.
    @param taken: the descriptors that applications may take at one time.
    @raise InvalidOption: the user has asked for more than the limit allows.
    """
    if limit >= UNLIMITED:
        return wanted
    free = limit - RESERVED
    possible = max(_fit(free - taken), _fit(free) // _SHARE, 1)
    if wanted <= possible:
        return wanted
    if asked and wanted < UNLIMITED:
        raise InvalidOption(
            f"max-connections {wanted} is too high: this process may open {limit} "
            f"files; raise that to {_filesFor(wanted) + taken} (LimitNOFILE= of "
            f"systemd, or ulimit -n), or set max-connections to {possible}"
        )
    return possible
