"""
Tokens from a file: C{--auth token:/path/to/tokens}.

The file contains SHA-256 digests, so that reading it doesn't reveal the tokens. This is
safe for random tokens; passwords could be guessed from their digests.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.strcred import ICheckerFactory
from twisted.internet.defer import Deferred, execute
from twisted.logger import Logger
from twisted.plugin import IPlugin
from zope.interface import implementer

from wsplug.auth.credentials import LoginRefused
from wsplug.digests import findDigest
from wsplug.errors import InvalidOption
from wsplug.files import readBytes, warnIfExposed
from wsplug.interfaces import IBearerToken

__all__ = ["TokenChecker", "TokenCheckerFactory", "parseTokens"]

_LINE: Final = re.compile(r"(?P<name>[^:\x00-\x1f\x7f]+):(?P<digest>[0-9a-fA-F]{64})")


def parseTokens(content: bytes, path: str) -> list[tuple[bytes, bytes]]:
    """
    Parse a file of tokens, with lines C{name:digest}. Empty lines and lines that begin
    with C{#} are ignored.

    @param path: for error messages, which don't quote lines.
    @return: names, in UTF-8, and digests.
    @raise InvalidOption: a line is malformed.
    """
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise InvalidOption(f"{path} isn't UTF-8 text") from None
    entries: dict[bytes, bytes] = {}
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise InvalidOption(
                f"{path}, line {number}: expected a name, a colon, and a token's "
                "SHA-256 in 64 hexadecimal digits"
            )
        digest = bytes.fromhex(match["digest"])
        if digest in entries:
            raise InvalidOption(f"{path}, line {number}: duplicate token")
        entries[digest] = match["name"].encode("utf-8")
    return [(name, digest) for digest, name in entries.items()]


@implementer(ICredentialsChecker)
class TokenChecker:
    """
    Checks the tokens of a file. A changed file is read again at the next login. If it
    can't be read, this is logged, and the old tokens stay valid.
    """

    credentialInterfaces = (IBearerToken,)

    _log = Logger()

    def __init__(self, path: str) -> None:
        """
        @raise InvalidOption: the file can't be read, or a line is malformed.
        """
        self._path = path
        self._version = self._stat()
        self._tokens = parseTokens(readBytes(path, "can't read the tokens in"), path)
        if not self._tokens:
            raise InvalidOption(f"there is no token in {path}")
        warnIfExposed(path)

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        """
        Return the name for a token.

        @return: fires with it, or fails with L{LoginRefused}: the token is unknown.
        """
        return execute(self._check, credentials)

    def _check(self, credentials: IBearerToken) -> bytes:
        self._refresh()
        index = findDigest(credentials.token, [digest for _, digest in self._tokens])
        if index is None:
            raise LoginRefused("the token is unknown")
        return self._tokens[index][0]

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)
        except (OSError, ValueError):
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _refresh(self) -> None:
        version = self._stat()
        if version == self._version:
            return
        self._version = version
        try:
            self._tokens = parseTokens(
                readBytes(self._path, "can't read the tokens in"), self._path
            )
        except InvalidOption as error:
            self._log.error("the old tokens stay in use: {error}", error=str(error))
            return
        self._log.info(
            "{count} tokens read from {path}",
            count=len(self._tokens),
            path=self._path,
        )
        warnIfExposed(self._path)


@implementer(ICheckerFactory, IPlugin)
class TokenCheckerFactory:
    """
    Makes the checker for C{token:/path}.
    """

    authType = "token"
    authHelp = (
        "Bearer tokens from a file with a line for each: a name, a colon, and the "
        "token's SHA-256 in hexadecimal digits."
    )
    argStringFormat = "/path/to/tokens"
    credentialInterfaces = (IBearerToken,)

    def generateChecker(self, argstring: str) -> TokenChecker:
        """
        Make a checker.

        @raise InvalidOption: the file can't be used.
        """
        if not argstring:
            raise InvalidOption("give the path of the tokens: token:/path/to/tokens")
        return TokenChecker(argstring)


tokenCheckerFactory = TokenCheckerFactory()
