"""
What answers requests: the mounted applications, and the site for plain HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.web.server import Site

from wsplug.server.adapting import isBodySize
from wsplug.server.mounts import Mount, Mounts

__all__ = ["Content"]


class Content:
    """
    What one server serves.

    @ivar mounts: the applications.
    @ivar site: answers plain HTTP requests; without it each gets 426 or 404.
    @ivar maxBodySize: bytes that a request's body may have, where the application's
        C{pages} don't say.
    """

    def __init__(
        self, mounts: Iterable[Mount], site: Site | None, maxBodySize: int
    ) -> None:
        """
        @raise InvalidOption: two mounts have the same path.
        @raise ValueError: the size is no whole number, or negative.
        """
        if not isBodySize(maxBodySize):
            raise ValueError(
                f"maxBodySize is a whole number of bytes, not {maxBodySize!r}"
            )
        self.mounts = Mounts(mounts)
        self.site = site
        self.maxBodySize = maxBodySize

    def isHealthCheck(self, path: bytes) -> bool:
        """
        Say whether a request for a path is answered even where no other is.
        """
        # A site that isn't wsplug's own knows of none.
        check = getattr(self.site, "isHealthCheck", None)
        return check is not None and bool(check(path))
