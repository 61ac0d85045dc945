"""
A server in memory that tells of itself.
"""

from __future__ import annotations

from typing import Any

from twisted.web.resource import IResource

from tests.server.kit import App
from wsplug import Settings
from wsplug.server.factory import WebSocketFactory
from wsplug.testing import MemoryServer
from wsplug.web.own import ownResources
from wsplug.web.site import makeSite


class Telling:
    """
    What the service is to the resources, in memory.

    @ivar server: the server in memory.
    @ivar isReady: what a test wants it to be.
    """

    def __init__(
        self, application: Any = None, path: str = "/", **settings: Any
    ) -> None:
        self.server = MemoryServer(
            application if application is not None else App(),
            path=path,
            settings=Settings(**settings),
        )
        self.factory: WebSocketFactory = self.server.factory
        self.isReady = True
        self.own: dict[bytes, IResource] = ownResources(self)
        self.factory.site = makeSite(self.factory.mounts, self.server.clock, self.own)
