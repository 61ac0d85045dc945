"""
The options of administration: admin endpoints and the operators' token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from wsplug.errors import InvalidOption
from wsplug.files import readBytes, warnIfExposed
from wsplug.options import option, optionsOf, path, splitDescription, text

__all__ = ["ADMINISTRATION", "TOKEN_FILE", "Administration", "makePrivate", "readToken"]

TOKEN_FILE: Final = "admin-token-file"
"""
The option with the file of the operators' token.
"""


@dataclass(frozen=True)
class Administration:
    """
    The options of administration. By default, it is off.

    @ivar endpoints: the endpoint strings of the admin endpoints.
    @ivar tokenFile: the path of the file with the operators' token; empty for none.
    """

    endpoints: tuple[str, ...] = option(
        text,
        (),
        "Twisted endpoint string for operators only.",
        name="admin",
        repeats=True,
    )
    tokenFile: str = option(
        path,
        "",
        "File with the token that operators need.",
        name=TOKEN_FILE,
        shown="none",
    )


ADMINISTRATION: Final = optionsOf(Administration, "Administration")

_SHORTEST: Final = 32
"""
The minimum length of a token, in characters, against guessing.
"""

_LONGEST: Final = 1024

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


def makePrivate(description: str) -> str:
    """
    Restrict a UNIX socket to the server's user, unless its endpoint string has a mode.
    Twisted's default allows all users of the machine.

    @return: the endpoint string with the mode.
    """
    words = list(splitDescription(description))
    # The mode can also follow the path as a positional argument.
    unnamed = [word for word, value in words if value is None]
    isSaid = len(unnamed) > 2 or any(word == "mode" for word, value in words if value)
    kind, _, rest = description.partition(":")
    return description if kind != "unix" or isSaid else f"unix:mode=600:{rest}"


def readToken(path: str) -> str:
    """
    Read the file with the token. Log a warning if other users of the machine can read
    or change it.

    @return: the token.
    @raise InvalidOption: the file can't be read, or doesn't contain a valid token.
    """
    name = TOKEN_FILE
    try:
        token = readBytes(path, f"{name}: can't read").decode("ascii").strip()
    except UnicodeDecodeError:
        raise InvalidOption(f"{name}: {path} isn't ASCII text") from None
    if not token:
        raise InvalidOption(f"{name}: there is no token in {path}")
    if not _TOKEN.fullmatch(token):
        raise InvalidOption(
            f"{name}: {path} has to contain one token of printable ASCII characters "
            "without spaces"
        )
    if not _SHORTEST <= len(token) <= _LONGEST:
        raise InvalidOption(
            f"{name}: the token in {path} has {len(token)} characters; it needs "
            f"{_SHORTEST} to {_LONGEST}, as from 'openssl rand -hex 32'"
        )
    warnIfExposed(path)
    return token
