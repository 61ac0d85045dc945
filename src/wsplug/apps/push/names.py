"""
Channel names.

A name consists of parts separated by slashes. Each name can be a path below the
application's, and needs no escaping there or on a command line.
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


def checkName(name: str, maxLength: int, request: RequestId = None) -> str:
    """
    Check a channel's name.

    @param maxLength: characters that it may have.
    @param request: the client's identifier for its request.
    @return: the name.
    @raise RequestRefused: the name is too long or invalid.
    """
    if len(name) > maxLength:
        raise RequestRefused(
            "too-long",
            f"channel: a name has at most {maxLength} characters, not {len(name)}",
            request,
        )
    if not _NAME.fullmatch(name):
        raise RequestRefused(
            "invalid",
            "channel: a name has ASCII letters, digits, _ . : @ ~ - and "
            "slashes, and each part starts with a letter, a digit or _; not "
            f"{name!r}",
            request,
        )
    return name
