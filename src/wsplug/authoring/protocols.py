"""
The protocol for the connections of an L{Application} that has a method for each event.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug.authoring.coroutine import SocketProtocol, WebSocket, requestOf
from wsplug.awaiting import LATER, toDeferred
from wsplug.errors import BrokerError, ConnectionClosed
from wsplug.interfaces import IServices, IWebSocketProtocol, IWebSocketTransport
from wsplug.jsonmessages import RequestRefused, decoderOf, read, refusal

__all__ = ["EventProtocol", "Events", "JSONEventProtocol"]


class Events(Protocol):
    """
    The methods of an L{Application}.
    """

    name: str
    services: IServices
    messages: Any

    def opened(self, socket: WebSocket) -> Any:
        """A connection is open."""

    def received(self, socket: WebSocket, message: Any) -> Any:
        """A message has come."""

    def closed(self, socket: WebSocket, reason: ConnectionClosed) -> Any:
        """It is closed."""


@implementer(IWebSocketProtocol)
class EventProtocol(SocketProtocol):
    """
    Calls an application's methods for one connection.
    """

    def __init__(self, application: Events) -> None:
        super().__init__(application.name, application.services)
        self._application = application

    def negotiationStarted(self, transport: IWebSocketTransport) -> None:
        super().negotiationStarted(transport)
        self.socket.delivers = False

    def negotiationFinished(self) -> Any:
        return self._application.opened(self.socket)

    def textMessageReceived(self, message: str) -> Any:
        return self._application.received(self.socket, message)

    def bytesMessageReceived(self, data: bytes) -> Any:
        return self._application.received(self.socket, data)

    def connectionLost(self, reason: Failure) -> Any:
        closed: Any = reason.value
        self.socket.end(closed)
        return self._application.closed(self.socket, closed)


class JSONEventProtocol(EventProtocol):
    """
    Decodes messages to the application's declared type, C{messages}, and answers
    errors.
    """

    def __init__(self, application: Events) -> None:
        super().__init__(application)
        self._decoder = decoderOf(application.messages)

    def textMessageReceived(self, message: str) -> Any:
        return self._received(message)

    def bytesMessageReceived(self, data: bytes) -> Any:
        return self._received(data)

    def _received(self, message: str | bytes) -> Any:
        asked: Any = None
        try:
            asked = read(self._decoder, message)
            result = self._application.received(self.socket, asked)
        except (RequestRefused, BrokerError) as error:
            self._answer(error, asked)
            return None
        if isinstance(result, LATER):
            result = toDeferred(result)
            result.addErrback(self._failed, asked)
        return result

    def _failed(self, failure: Failure, asked: object) -> None:
        failure.trap(RequestRefused, BrokerError)
        error: Any = failure.value
        self._answer(error, asked)
        # The failure and the frames in its traceback refer to each other.
        failure.cleanFailure()

    def _answer(self, error: RequestRefused | BrokerError, asked: object) -> None:
        self.socket.transport.sendTextMessage(refusal(error, requestOf(asked)))
