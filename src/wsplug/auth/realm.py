"""
Who there is: the avatars of clients that have logged in.
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
    The avatar ID of somebody of whom more is known than the name.

    @ivar claims: what the token says (RFC 7519 section 4).
    """

    claims: Mapping[str, Any] = _NOTHING

    @classmethod
    def of(cls, name: str, claims: Mapping[str, Any]) -> Identity:
        """
        Make one.
        """
        made = cls(name.encode("utf-8"))
        made.claims = MappingProxyType(dict(claims))
        return made


@implementer(IAvatar)
@dataclass(frozen=True)
class Avatar:
    """
    Who a client proved to be.

    @ivar name: the name.
    @ivar claims: all that its token says; empty where it has come with something else.
    """

    name: str
    claims: Mapping[str, Any] = field(default_factory=lambda: _NOTHING, compare=False)


@implementer(IRealm)
class Realm:
    """
    The realm of C{--auth}: everybody who logs in is an L{Avatar}. Whoever may come in
    without is C{None}.
    """

    def requestAvatar(
        self, avatarId: bytes | str | tuple[()], mind: object, *interfaces: Any
    ) -> tuple[Any, Avatar | None, Callable[[], None]]:
        """
        Give an avatar.

        @param avatarId: the name, in UTF-8.
        @raise NotImplementedError: another interface than L{IAvatar} is asked for.
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
    Nothing is kept of anybody.
    """
