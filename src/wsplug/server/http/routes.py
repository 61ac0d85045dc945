"""
Who answers a plain HTTP request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from wsplug.auth.authenticator import Authenticator
from wsplug.interfaces import IPlainResource

__all__ = ["Route", "Routes"]


class Route(NamedTuple):
    """
    Where a path leads.

    @ivar resource: what is there; C{None} for what C{twisted.web} finds in the site.
    @ivar depth: how many of the path's segments lead to it.
    @ivar headers: of each response, unless what answers sets others.
    @ivar authenticator: has the client log in before anything else; C{None} where it
        needn't.
    @ivar isLogged: whether requests are for the log.
    """

    resource: IPlainResource | None
    depth: int = 0
    headers: Sequence[tuple[bytes, bytes]] = ()
    authenticator: Authenticator | None = None
    isLogged: bool = True


class Routes(Protocol):
    """
    A site that knows who answers. One that doesn't leaves all to C{twisted.web}.
    """

    def route(self, path: bytes, segments: Sequence[bytes]) -> Route:
        """
        Find out who answers.

        @param path: the request's, as it was sent.
        @param segments: of it, decoded.
        """
