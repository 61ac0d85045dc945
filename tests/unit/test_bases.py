"""The base classes for applications and their protocols."""

from __future__ import annotations

import pytest
from zope.interface.verify import verifyObject

from wsplug import CloseCode, WebSocketApplication, WebSocketProtocol
from wsplug.interfaces import IHandshakeRequest, IWebSocketApplication
from wsplug.testing import MemoryServer


class _Leaving(WebSocketProtocol):
    def textMessageReceived(self, message: str) -> None:
        self.transport.loseConnection(CloseCode.GOING_AWAY, message)


class _Smallest(WebSocketApplication):
    def buildProtocol(self, request: IHandshakeRequest) -> _Leaving:
        return _Leaving()


def test_smallest_application() -> None:
    """An application that derives from the base class only has to add buildProtocol."""
    verifyObject(IWebSocketApplication, _Smallest())
    server = MemoryServer(_Smallest())
    client = server.connect()
    client.send("enough")
    assert client.closed == (1001, "enough")
    server.stop()


def test_missing_method() -> None:
    """An application without buildProtocol is an error before a client connects."""

    class Unfinished(WebSocketApplication):
        pass

    with pytest.raises(TypeError, match="buildProtocol"):
        Unfinished()  # type: ignore[abstract]
