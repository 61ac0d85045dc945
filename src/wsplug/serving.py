"""
The factory that serves mounted applications, with its pages and its logins: what a
service listens with, and what tests connect to in memory.
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
    @param own: what tells of the server, by its name below C{/-/}. It is looked up for
        each request, so that it can be filled later.
    @param maxBodySize: bytes that a request's body may have, where the application's
        C{pages} don't say.
    @raise wsplug.errors.InvalidOption: two mounts have the same path, or nobody can be
        made who judges logins.
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
        origins=access.origins,
        hosts=access.hosts,
        exempt=access.exempt,
        proxies=access.proxies,
        site=makeSite(Mounts(mounts), clock, own, authenticator, access.frameAncestors),
        authenticator=authenticator,
        startsApplications=False,
        maxBodySize=maxBodySize,
    )
