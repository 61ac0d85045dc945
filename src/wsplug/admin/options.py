"""
Where operators are let in, and who is one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from wsplug.errors import InvalidOption
from wsplug.files import readBytes, warnOfEverybody
from wsplug.options import option, optionsOf, path, splitDescription, text

__all__ = ["ADMINISTRATION", "Administration", "makePrivate", "readToken"]

_TOKEN_FILE: Final = "admin-token-file"


@dataclass(frozen=True)
class Administration:
    """
    Where operators are let in. By default, that is nowhere.

    @ivar endpoints: Twisted endpoint strings of their own.
    @ivar tokenFile: the path of the file with their token; empty for none.
    """

    endpoints: tuple[str, ...] = option(
        text,
        (),
        "Twisted endpoint string that lets operators in, and nobody else.",
        name="admin",
        repeats=True,
    )
    tokenFile: str = option(
        path,
        "",
        "File with the token that operators need.",
        name=_TOKEN_FILE,
        shown="none",
    )


ADMINISTRATION: Final = optionsOf(Administration, "Administration")

_SHORTEST: Final = 32
"""
Characters that a token has at least: nobody guesses those.
"""

_LONGEST: Final = 1024

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


def makePrivate(description: str) -> str:
    """
    Have a UNIX socket be the server's user's alone, unless its endpoint string says
    for whom it is. Twisted's default is everybody on the machine.
    """
    words = list(splitDescription(description))
    # The mode may also stand behind the path, without its name.
    unnamed = [word for word, value in words if value is None]
    isSaid = len(unnamed) > 2 or any(word == "mode" for word, value in words if value)
    kind, _, rest = description.partition(":")
    return description if kind != "unix" or isSaid else f"unix:mode=600:{rest}"


def readToken(path: str) -> str:
    """
    Read the file with the token. If others on the machine can read or change it, too,
    the log says so.

    @return: the token.
    @raise InvalidOption: the file can't be read, or what is in it is no token.
    """
    name = _TOKEN_FILE
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
