"""
Who may publish over HTTP: those who know a token (RFC 6750).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from wsplug.errors import InvalidOption
from wsplug.files import readBytes, warnOfEverybody

__all__ = ["Tokens", "readTokens"]

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")

_SHORTEST: Final = 32
"""
Characters that a token has at least: nobody guesses those.
"""


def readTokens(token: str, path: str) -> list[str]:
    """
    Read the tokens that the options name.

    @param token: a token, or nothing.
    @param path: of a file with a token in each line, or nothing.
    @return: the tokens; none where publishing over HTTP is off.
    @raise InvalidOption: the file can't be read, or what is there is no token.
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
    warnOfEverybody(path)
    return tokens


def _checked(token: str, place: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise InvalidOption(
            f"{place}: a token has printable ASCII characters, and no spaces"
        )
    if len(token) < _SHORTEST:
        raise InvalidOption(
            f"{place}: the token has {len(token)} characters, which can be guessed; it "
            f"takes {_SHORTEST} at least, as from 'openssl rand -hex 32'"
        )
    return token


class Tokens:
    """
    The tokens that are right.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self._digests = [_digest(token.encode("ascii")) for token in tokens]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def accept(self, authorization: bytes | None) -> bool:
        """
        Tell whether an C{Authorization} header has one of them. How long that takes
        says nothing about them.
        """
        scheme, _, token = (authorization or b"").strip(b" \t").partition(b" ")
        digest = _digest(token.strip(b" "))
        same = [hmac.compare_digest(digest, each) for each in self._digests]
        return scheme.lower() == b"bearer" and any(same)


def _digest(token: bytes) -> bytes:
    return sha256(token).digest()
