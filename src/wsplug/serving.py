"""
The factory that serves mounted applications, with pages and logins. A service listens
with it, and tests connect to it in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from wsplug.auth.authenticator import Authenticator
from wsplug.auth.options import Authentication
from wsplug.guard.access import Access
from wsplug.interfaces import IPlainResource
from wsplug.server.factory import WebSocketFactory
from wsplug.server.http.bodies import MAX_BODY_SIZE
from wsplug.server.mounts import Mount, Mounts
from wsplug.server.settings import Settings
from wsplug.web.site import makeSite

__all__ = ["makeFactory"]

_NOTHING: Final[Mapping[bytes, IPlainResource]] = MappingProxyType({})


def makeFactory(
    mounts: Sequence[Mount],
    clock: Any,
    *,
    settings: Settings,
    access: Access,
    authentication: Authentication,
    own: Mapping[bytes, IPlainResource] = _NOTHING,
    maxBodySize: int = MAX_BODY_SIZE,
) -> WebSocketFactory:
    """
    Make the factory. It does not start the applications.

    @param mounts: the applications and their paths.
    @param clock: the reactor, or a clock in its place.
    @param own: the built-in resources, by their names below C{/-/}. Each request looks
        them up, so that you can add them later.
    @param maxBodySize: bytes that a request's body may have, unless the application's
        C{pages} set another limit.
    @raise wsplug.errors.InvalidOption: two mounts have the same path, or an option for
        logins is wrong.
    @raise ValueError: the size is negative.
    """
    authenticator = None
    portal = authentication.makePortal()
    if portal is not None:
        authenticator = Authenticator(
            portal,
            clock,
            maxFailures=settings.max_auth_failures,
            maxFailuresTotal=settings.max_auth_failures_total,
            cookie=authentication.cookie,
            firstMessage=authentication.firstMessage,
        )
    return WebSocketFactory(
        mounts,
        clock=clock,
        settings=settings,
        access=access,
        site=makeSite(
            Mounts(mounts),
            clock,
            own,
            authenticator,
            access.frameAncestors,
            console=settings.console,
        ),
        authenticator=authenticator,
        startsApplications=False,
        maxBodySize=maxBodySize,
    )
