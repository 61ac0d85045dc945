"""
Base classes for applications and their protocols. They are a convenience: any object
with the interface's methods works.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from os import PathLike
from typing import Any

from twisted.python.failure import Failure
from twisted.web.resource import IResource
from zope.interface import implementer

from wsplug.interfaces import (
    IHandshakeRequest,
    IPlainResource,
    IWebSocketApplication,
    IWebSocketProtocol,
    IWebSocketTransport,
)
from wsplug.mistakes import APPLICATION, PROTOCOL, checkNames

__all__ = ["WebSocketApplication", "WebSocketProtocol"]


@implementer(IWebSocketApplication)
class WebSocketApplication(ABC):
    """
    An application without subprotocols and pages, which has nothing to start or stop.
    Override C{buildProtocol}, and whatever else you need.
    """

    subprotocols: Sequence[str] = ()
    pages: str | PathLike[str] | IPlainResource | IResource | None = None

    def __init_subclass__(cls, **more: Any) -> None:
        """
        @raise TypeError: a method has nearly the name of one of the interface.
        """
        super().__init_subclass__(**more)
        checkNames(cls, APPLICATION)

    @abstractmethod
    def buildProtocol(self, request: IHandshakeRequest) -> Any:
        """
        Make the protocol for a connection; see L{IWebSocketApplication}.
        """

    def startApplication(self) -> Any:
        return None

    def stopApplication(self) -> Any:
        return None


@implementer(IWebSocketProtocol)
class WebSocketProtocol:
    """
    A protocol that ignores everything. Override the methods that you need.

    @ivar transport: the L{IWebSocketTransport}, set by C{negotiationStarted}.
    """

    transport: IWebSocketTransport

    def __init_subclass__(cls, **more: Any) -> None:
        """
        @raise TypeError: a method has nearly the name of one of the interface.
        """
        super().__init_subclass__(**more)
        checkNames(cls, PROTOCOL)

    def negotiationStarted(self, transport: IWebSocketTransport) -> None:
        self.transport = transport

    def negotiationFinished(self) -> Any:
        pass

    def textMessageReceived(self, message: str) -> Any:
        pass

    def bytesMessageReceived(self, data: bytes) -> Any:
        pass

    def pongReceived(self, payload: bytes) -> Any:
        pass

    def connectionLost(self, reason: Failure) -> Any:
        pass
