"""
The options that say where credentials may be.
"""

from __future__ import annotations

import re
from typing import Final

from wsplug.options import Option, choice

__all__ = ["AUTHENTICATION", "FIRST_MESSAGE"]

FIRST_MESSAGE: Final = ("browsers", "yes", "no")

_COOKIE_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def _cookieName(value: str) -> str:
    """
    The name of a cookie (RFC 6265 section 4.1.1).
    """
    if not _COOKIE_NAME.fullmatch(value):
        raise ValueError("the name of a cookie")
    return value


AUTHENTICATION: Final = (
    Option(
        "auth-cookie", _cookieName, "", "cookie that may have a bearer token", "none"
    ),
    Option(
        "auth-first-message",
        choice(*FIRST_MESSAGE),
        "browsers",
        "who may send a bearer token as first message: browsers, anybody (yes) or no",
    ),
)
"""
The options besides C{auth} itself.
"""
