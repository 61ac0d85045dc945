"""
Bearer tokens for publishing over HTTP (RFC 6750).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from wsplug.digests import digestOf, findDigest
from wsplug.errors import InvalidOption
from wsplug.files import readBytes, warnIfExposed

__all__ = ["Tokens", "readTokens"]

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")

_MIN_LENGTH: Final = 32
"""
The least number of characters of a token, so that it can't be guessed.
"""


def readTokens(token: str, path: str) -> list[str]:
    """
    Read the tokens from the options.

    @param token: a token, or empty.
    @param path: the path of a file with one token per line, or empty.
    @return: the tokens; without any, publishing over HTTP is off.
    @raise InvalidOption: the file can't be read, or a token is malformed or too short.
    """
    if token and path:
        raise InvalidOption("give either token or token-file, not both")
    if not path:
        return [_checked(token, "token")] if token else []
    try:
        text = readBytes(path, "token-file: can't read").decode("ascii")
    except UnicodeDecodeError:
        raise InvalidOption(f"token-file: {path} isn't ASCII text") from None
    lines = enumerate((line.strip() for line in text.split("\n")), 1)
    tokens = [
        _checked(line, f"token-file: {path}, line {number}")
        for number, line in lines
        if line
    ]
    if not tokens:
        raise InvalidOption(f"token-file: there is no token in {path}")
    warnIfExposed(path)
    return tokens


def _checked(token: str, source: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise InvalidOption(
            f"{source}: a token has only printable ASCII characters and no spaces"
        )
    if len(token) < _MIN_LENGTH:
        raise InvalidOption(
            f"{source}: the token has {len(token)} characters and can be guessed; use "
            f"at least {_MIN_LENGTH}, for example from 'openssl rand -hex 32'"
        )
    return token


class Tokens:
    """
    The valid tokens.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self._digests = [digestOf(token) for token in tokens]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def accept(self, authorization: bytes | None) -> bool:
        """
        Return whether an C{Authorization} header has a valid token. Comparing takes
        constant time.
        """
        scheme, _, token = (authorization or b"").strip(b" \t").partition(b" ")
        found = findDigest(token.strip(b" "), self._digests)
        return scheme.lower() == b"bearer" and found is not None
