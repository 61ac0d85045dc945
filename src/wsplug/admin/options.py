"""
The options that say where an operator is let in, and who is one.
"""

from __future__ import annotations

import re
from typing import Final

from wsplug.errors import InvalidOption
from wsplug.files import readBytes, warnOfEverybody
from wsplug.options import Option, text

__all__ = ["ADMIN", "ADMIN_TOKEN_FILE", "readToken"]

ADMIN: Final = Option(
    "admin",
    text,
    (),
    "Twisted endpoint string on which operators are let in, and nobody else",
    "none",
)

ADMIN_TOKEN_FILE: Final = Option(
    "admin-token-file",
    text,
    "",
    "file with the token that operators have to know",
    "none",
)

_SHORTEST: Final = 32
"""
Characters that a token has at least: nobody guesses those.
"""

_LONGEST: Final = 1024

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


def readToken(path: str) -> str:
    """
    Read the file with the token. If others on the machine can read or change it, too,
    the log says so.

    @return: the token.
    @raise InvalidOption: the file can't be read, or what is in it is no token.
    """
    name = ADMIN_TOKEN_FILE.name
    try:
        token = readBytes(path, f"{name}: can't read").decode("ascii").strip()
    except UnicodeDecodeError:
        raise InvalidOption(f"{name}: {path} isn't ASCII text") from None
    if not token:
        raise InvalidOption(f"{name}: there is no token in {path}")
    if not _TOKEN.fullmatch(token):
        raise InvalidOption(
            f"{name}: {path} has to have one token, of printable ASCII characters "
            "without spaces"
        )
    if not _SHORTEST <= len(token) <= _LONGEST:
        raise InvalidOption(
            f"{name}: the token in {path} has {len(token)} characters; it takes "
            f"{_SHORTEST} at least and {_LONGEST} at most, as from "
            "'openssl rand -hex 32'"
        )
    warnOfEverybody(path)
    return token
