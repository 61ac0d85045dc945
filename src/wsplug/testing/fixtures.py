"""
Fixtures for pytest. Name this module in your C{conftest.py}::

    pytest_plugins = ["wsplug.testing.fixtures"]

Only this module of wsplug imports pytest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from twisted.python.failure import Failure

from wsplug.interfaces import IWebSocketApplication, IWebSocketApplicationPlugin
from wsplug.testing.server import MemoryServer

__all__ = ["MakeServer", "memory_server"]

_PATIENCE = 60.0
"""
Seconds of the server's clock that a stop may take.
"""


class MakeServer(Protocol):
    """
    The type of the fixture C{memory_server}.
    """

    def __call__(
        self,
        application: IWebSocketApplication | IWebSocketApplicationPlugin | type,
        **options: Any,
    ) -> MemoryServer:
        """
        Make a server.

        @param options: the parameters of L{MemoryServer}.
        """


@pytest.fixture
def memory_server() -> Iterator[MakeServer]:
    """
    Make servers in memory, and stop them after the test, the last one first. The test
    fails if one of them can't be stopped, so that C{stopApplication} is tested, too::

        def test_shout(memory_server):
            client = memory_server(shout).connect()
            client.send("hello")
            assert client.receive() == "HELLO"
    """
    servers: list[MemoryServer] = []

    def make(application: Any, **options: Any) -> MemoryServer:
        servers.append(MemoryServer(application, **options))
        return servers[-1]

    yield make
    for server in reversed(servers):
        _stop(server)


def _stop(server: MemoryServer) -> None:
    """
    Stop a server, for as long as that takes by its clock.

    @raise AssertionError: it takes too long.
    @raise Exception: C{stopApplication} failed with it.
    """
    results: list[Any] = []
    server.stop().addBoth(results.append)
    waited = 0.0
    while not results and waited < _PATIENCE:
        server.advance(1)
        waited += 1
    if not results:
        raise AssertionError(f"the server doesn't stop within {_PATIENCE:g} seconds")
    if isinstance(results[0], Failure):
        results[0].raiseException()
