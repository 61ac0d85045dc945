"""
How clients log in: C{--auth}, and where a token may be.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from twisted.cred.portal import Portal

from wsplug.auth.checkers import makePortal
from wsplug.options import choice, option, optionsOf, text

__all__ = ["AUTHENTICATION", "Authentication"]

_COOKIE_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def _cookieName(value: str) -> str:
    """
    The name of a cookie (RFC 6265 section 4.1.1).
    """
    if not _COOKIE_NAME.fullmatch(value):
        raise ValueError("the name of a cookie")
    return value


@dataclass(frozen=True)
class Authentication:
    """
    How clients log in. Without C{checkers} and C{portal}, nobody has to.

    @ivar checkers: strings for Twisted's C{strcred}, of which any one lets a client
        in.
    @ivar cookie: the name of a cookie that may have a bearer token; empty for none.
    @ivar firstMessage: who may send a bearer token as the first message:
        C{"browsers"}, C{"yes"} for everybody, or C{"no"}.
    @ivar portal: used in place of C{checkers}. It judges C{IUsernamePassword} or
        L{wsplug.interfaces.IBearerToken}; what its realm gives for an
        L{wsplug.interfaces.IAvatar} is C{request.avatar}.
    """

    checkers: tuple[str, ...] = option(
        text,
        (),
        "Who may connect: file:PATH, token:PATH, jwt:key=..., or any other of "
        "Twisted's strcred plugins.",
        name="auth",
        shown="everybody",
        repeats=True,
    )
    cookie: str = option(
        _cookieName,
        "",
        "Cookie that may have a bearer token.",
        name="auth-cookie",
        shown="none",
        needs="auth",
    )
    firstMessage: str = option(
        choice("browsers", "yes", "no"),
        "browsers",
        "Who may send a bearer token as the first message: browsers, everybody (yes), "
        "or nobody (no).",
        name="auth-first-message",
        needs="auth",
    )
    portal: Portal | None = None

    def makePortal(self) -> Portal | None:
        """
        Return the portal.

        @return: C{None} if no login is required.
        @raise InvalidOption: it can't be made of C{checkers}.
        """
        if self.portal is not None or not self.checkers:
            return self.portal
        return makePortal(self.checkers)


AUTHENTICATION: Final = optionsOf(Authentication, "Authentication")
