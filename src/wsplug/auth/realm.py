"""
The default realm, and its avatars.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from twisted.cred.checkers import ANONYMOUS
from twisted.cred.portal import IRealm
from zope.interface import implementer

from wsplug.interfaces import IAvatar

__all__ = ["Avatar", "Identity", "Realm"]

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Identity(bytes):
    """
    An avatar ID with claims.

    @ivar claims: the token's (RFC 7519 section 4).
    """

    claims: Mapping[str, Any] = _NOTHING

    @classmethod
    def of(cls, name: str, claims: Mapping[str, Any]) -> Identity:
        """
        Make one from a name and claims.
        """
        made = cls(name.encode("utf-8"))
        made.claims = MappingProxyType(dict(claims))
        return made


@implementer(IAvatar)
@dataclass(frozen=True)
class Avatar:
    """
    A logged-in client.

    @ivar name: the user's name.
    @ivar claims: those of its token; empty without a token with claims.
    """

    name: str
    claims: Mapping[str, Any] = field(default_factory=lambda: _NOTHING, compare=False)


@implementer(IRealm)
class Realm:
    """
    The realm of C{--auth}: a client that logs in gets an L{Avatar}; an anonymous one
    gets C{None}.
    """

    def requestAvatar(
        self, avatarId: bytes | str | tuple[()], mind: object, *interfaces: Any
    ) -> tuple[Any, Avatar | None, Callable[[], None]]:
        """
        Return an avatar.

        @param avatarId: the name, in UTF-8.
        @raise NotImplementedError: C{interfaces} doesn't contain L{IAvatar}.
        """
        if IAvatar not in interfaces:
            raise NotImplementedError("this realm has avatars for WebSockets only")
        if isinstance(avatarId, tuple):
            assert avatarId == ANONYMOUS
            return IAvatar, None, _logOut
        name = avatarId if isinstance(avatarId, str) else avatarId.decode("utf-8")
        claims = avatarId.claims if isinstance(avatarId, Identity) else _NOTHING
        return IAvatar, Avatar(name, claims), _logOut


def _logOut() -> None:
    """
    Do nothing: the realm keeps no state.
    """
