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
    @ivar site: answers plain HTTP requests. Without it, they get 426 or 404.
    @ivar maxBodySize: the maximum size of a request's body in bytes, unless the
        application's C{pages} set another.
    """

    def __init__(
        self, mounts: Iterable[Mount], site: Site | None, maxBodySize: int
    ) -> None:
        """
        @raise InvalidOption: two mounts have the same path.
        @raise ValueError: the size is not a whole number, or is negative.
        """
        if not isBodySize(maxBodySize):
            raise ValueError(
                f"maxBodySize must be a whole number of bytes, not {maxBodySize!r}"
            )
        self.mounts = Mounts(mounts)
        self.site = site
        self.maxBodySize = maxBodySize

    def start(self) -> None:
        """
        Start the site: its factory listens.
        """
        if self.site is not None:
            self.site.doStart()

    def stop(self) -> None:
        """
        Stop the site: its factory doesn't listen any more.
        """
        if self.site is not None:
            self.site.doStop()

    def isHealthCheck(self, path: bytes) -> bool:
        """
        Return whether a request for a path is a health check: it is answered even if
        others are refused.
        """
        # Only wsplug's own sites have the method.
        check = getattr(self.site, "isHealthCheck", None)
        return check is not None and bool(check(path))
