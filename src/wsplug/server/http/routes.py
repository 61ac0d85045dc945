"""
Finds the resource for a plain HTTP request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from wsplug.auth.authenticator import Authenticator
from wsplug.interfaces import IPlainResource

__all__ = ["Route", "Routes"]


class Route(NamedTuple):
    """
    The result for a path.

    @ivar resource: the resource; C{None} if C{twisted.web} finds it in the site.
    @ivar depth: the number of the path's segments that lead to the resource.
    @ivar headers: headers of each response, unless the resource sets them itself.
    @ivar authenticator: authenticates the client first; C{None} for no authentication.
    @ivar isLogged: whether requests are logged.
    """

    resource: IPlainResource | None
    depth: int = 0
    headers: Sequence[tuple[bytes, bytes]] = ()
    authenticator: Authenticator | None = None
    isLogged: bool = True


class Routes(Protocol):
    """
    A site that finds resources itself. Other sites leave that to C{twisted.web}.
    """

    def route(self, path: bytes, segments: Sequence[bytes]) -> Route:
        """
        Find the resource of a path.

        @param path: the request's path as sent.
        @param segments: the decoded segments of the path.
        """
