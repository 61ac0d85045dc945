"""
A server in memory with an admin endpoint, on the same clock.
"""

from __future__ import annotations

import json
from typing import Any

from wsplug import Settings
from wsplug.admin.access import Access
from wsplug.admin.messages import SUBPROTOCOL
from wsplug.admin.status import PATH, StatusApplication
from wsplug.apps.echo import echo
from wsplug.guard.hosts import HostRules
from wsplug.testing import MemoryClient, MemoryServer
from wsplug.testing.server import CLIENT

__all__ = ["TOKEN", "Board", "Operator"]

TOKEN = "0123456789abcdef0123456789abcdef"


class Operator:
    """
    An operator who watches the server.

    @ivar client: the connection.
    """

    def __init__(self, board: Board, client: MemoryClient) -> None:
        self._board = board
        self.client = client
        self._count = 0

    def take(self) -> list[dict[str, Any]]:
        """
        Return all messages that have arrived.
        """
        messages, self.client.messages = self.client.messages, []
        return [json.loads(each) for each in messages]

    def ask(self, type: str, **values: Any) -> dict[str, Any]:
        """
        Send a request.

        @return: the answer.
        """
        self._count += 1
        self.take()
        self.client.send(json.dumps({"type": type, "request": self._count, **values}))
        self._board.run()
        answer: dict[str, Any]
        (answer,) = (each for each in self.take() if each.get("request") == self._count)
        return answer


class Board:
    """
    A server with one application, and its status page.

    @ivar server: the server.
    @ivar admin: the admin endpoint.
    @ivar drained: for each drain, whether it was for good.
    """

    def __init__(
        self,
        application: Any = echo,
        *,
        token: str | None = None,
        hosts: HostRules | None = None,
        **settings: Any,
    ) -> None:
        self.server = MemoryServer(application, settings=Settings(**settings))
        self.factory = self.server.factory
        self.clock = self.server.clock
        self.broker = self.server.broker
        self.isReady = True
        self.drained: list[bool] = []
        self.access = Access(self.clock, token)
        self.status = StatusApplication(self.access)
        self.status.watch(self)
        self.admin = MemoryServer(self.status, path=PATH, clock=self.clock)
        if hosts is not None:
            self.admin.factory.hosts = hosts

    def drain(self, forGood: bool = False) -> None:
        self.drained.append(forGood)

    def connect(self, address: str = CLIENT, **options: Any) -> Operator:
        """
        Connect an operator.
        """
        options = {"subprotocols": [SUBPROTOCOL], **options}
        client = self.admin.connect(PATH, address=address, **options)
        return Operator(self, client)

    def run(self) -> None:
        self.server.run()
        self.admin.run()

    def advance(self, seconds: float) -> None:
        """
        Let time pass.
        """
        while seconds > 0:
            self.clock.advance(0.125)
            self.run()
            seconds -= 0.125
