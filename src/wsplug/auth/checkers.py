"""
C{--auth}: Twisted's C{strcred} strings, and the portal made from them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any, Final

from twisted.cred.checkers import (
    ICredentialsChecker,
    InMemoryUsernamePasswordDatabaseDontUse,
)
from twisted.cred.credentials import IAnonymous, IUsernamePassword
from twisted.cred.error import LoginFailed, Unauthorized
from twisted.cred.portal import Portal
from twisted.cred.strcred import findCheckerFactories
from twisted.internet.defer import Deferred
from zope.interface import implementer

from wsplug.auth.credentials import LoginRefused
from wsplug.auth.realm import Realm
from wsplug.awaiting import maybeAwait
from wsplug.errors import InvalidOption
from wsplug.files import readBytes, warnIfExposed
from wsplug.interfaces import IBearerToken
from wsplug.printable import oneLine

__all__ = ["makeChecker", "makePortal", "takes"]

_KINDS: Final = (IUsernamePassword, IBearerToken, IAnonymous)
"""
The kinds of credentials that clients can send over HTTP or a WebSocket.
"""


def takes(interfaces: Iterable[Any], kind: Any) -> bool:
    """
    Return whether one of some interfaces accepts a kind of credentials.
    """
    return any(kind.isOrExtends(each) for each in interfaces)


def makePortal(descriptions: Sequence[str]) -> Portal:
    """
    Make a portal with the default L{Realm}.

    @param descriptions: C{"file:/path"} and the like. Several checkers for the same
        kind of credentials are asked one after the other.
    @raise InvalidOption: a description can't be used. The message quotes nothing after
        its first colon, because that may be a password.
    """
    checkers = [makeChecker(description) for description in descriptions]
    portal = Portal(Realm())
    for kind in _KINDS:
        fit = [each for each in checkers if takes(each.credentialInterfaces, kind)]
        if fit:
            portal.registerChecker(fit[0] if len(fit) == 1 else _AnyOf(fit), kind)
    return portal


def makeChecker(description: str) -> Any:
    """
    Make the checker that a string describes.

    @return: an C{ICredentialsChecker}.
    @raise InvalidOption: the description can't be used.
    """
    name, _, argument = description.partition(":")
    factory = _findFactory(name)
    try:
        _checkBefore(name, argument)
        checker = factory.generateChecker(argument)
    except (Exception, SystemExit) as error:
        # Third-party factories may raise anything.
        reason = oneLine(error)
        raise InvalidOption(f"auth {name}: {reason}") from None
    if isinstance(checker, InMemoryUsernamePasswordDatabaseDontUse):
        # Twisted's factory stores text; credentials over HTTP are bytes.
        checker.users = {_encode(k): _encode(v) for k, v in checker.users.items()}
    return checker


def _findFactory(name: str) -> Any:
    usable = [
        factory
        for factory in findCheckerFactories()
        if any(takes(factory.credentialInterfaces, kind) for kind in _KINDS)
    ]
    for factory in usable:
        if factory.authType == name:
            return factory
    if any(factory.authType == name for factory in findCheckerFactories()):
        raise InvalidOption(f"auth {name}: clients can't send such credentials")
    names = sorted(factory.authType for factory in usable)
    close = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {close[0]!r}?" if close else "available: " + ", ".join(names)
    raise InvalidOption(f"auth: there is no {name!r}; {hint}")


def _checkBefore(name: str, argument: str) -> None:
    """
    Check at the start what Twisted's factories only check at the first login.

    @raise InvalidOption: nobody could log in.
    """
    if name == "file" and argument:
        readBytes(argument, "can't read the passwords in")
        warnIfExposed(argument)
    elif name == "unix" and not (find_spec("crypt") and find_spec("spwd")):
        raise InvalidOption(
            "this Python can't check the system's passwords: 3.12 was the last version "
            "that could"
        )
    elif name == "memory" and not argument:
        raise InvalidOption("give a name and a password: memory:NAME:PASSWORD")


def _encode(value: bytes | str) -> bytes:
    return value.encode("utf-8") if isinstance(value, str) else value


@implementer(ICredentialsChecker)
class _AnyOf:
    """
    Several checkers, asked one after the other.
    """

    def __init__(self, checkers: Sequence[Any]) -> None:
        self._checkers = checkers
        self.credentialInterfaces: Sequence[Any] = ()

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        """
        Check credentials.

        @return: fires with the result of the first checker that accepts them, or fails
            as the last one does.
        """
        return Deferred.fromCoroutine(self._ask(credentials))

    async def _ask(self, credentials: Any) -> Any:
        *first, last = self._checkers
        for checker in first:
            try:
                return await maybeAwait(checker.requestAvatarId, credentials)
            except (LoginFailed, Unauthorized) as error:
                if isinstance(error, LoginRefused) and error.isGenuine:
                    raise
        return await maybeAwait(last.requestAvatarId, credentials)
