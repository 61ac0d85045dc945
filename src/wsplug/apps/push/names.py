"""
What channels are called.

A name is parts with slashes between, so that each is a path below the application's,
and needs no escaping there or on a command line.
"""

from __future__ import annotations

import re
from typing import Final

from wsplug.jsonmessages import RequestId, RequestRefused

__all__ = ["PART", "checkName"]

PART: Final = r"[A-Za-z0-9_][A-Za-z0-9_.:@~-]*"
"""
A regular expression for a part of a name.
"""

_NAME: Final = re.compile(f"{PART}(?:/{PART})*")


def checkName(name: str, longest: int, request: RequestId = None) -> str:
    """
    Give a channel's name if it is one.

    @param longest: how many characters it may have.
    @param request: the client's name for the request that it came in.
    @raise RequestRefused: it is none.
    """
    if len(name) > longest:
        raise RequestRefused(
            "too-long",
            f"channel: a name has {longest} characters at most, not {len(name)}",
            request,
        )
    if not _NAME.fullmatch(name):
        raise RequestRefused(
            "invalid",
            "channel: a name has ASCII letters, digits, _ . : @ ~ - and slashes, and "
            f"begins with one of the first three, as each of its parts; not {name!r}",
            request,
        )
    return name
