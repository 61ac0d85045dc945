"""
An operator's connection: authentication, requests and answers.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.admin.access import Access, AccessDenied
from wsplug.admin.actions import Actions
from wsplug.admin.channels import ChannelsOfBroker
from wsplug.admin.clients import SORTS, ClientList
from wsplug.admin.messages import (
    REQUEST,
    Authenticate,
    AuthRequired,
    BanAddress,
    CloseClients,
    Drain,
    LiftBan,
    ListChannels,
    ListClients,
    Ping,
    Pong,
    PublishData,
    SendNotice,
    Welcome,
)
from wsplug.admin.options import TOKEN_FILE
from wsplug.authoring.bases import WebSocketProtocol
from wsplug.codec.closecodes import CloseCode
from wsplug.errors import BrokerError, Side
from wsplug.interfaces import IServerConnection, IWebSocketTransport
from wsplug.jsonmessages import RequestRefused, brokerRefused, read, refusal, write
from wsplug.networks import nameOfAddress
from wsplug.server.factory import WebSocketFactory
from wsplug.shielding import shielded

__all__ = ["OperatorProtocol", "Status"]


class Status(Protocol):
    """
    The status page's application, as operators' connections use it.

    @ivar access: authenticates operators.
    @ivar server: the server's factory.
    @ivar clients: the server's clients.
    @ivar actions: the operators' actions.
    @ivar channels: the broker's channels.
    """

    access: Access
    server: WebSocketFactory
    clients: ClientList
    actions: Actions
    channels: ChannelsOfBroker

    @property
    def timeout(self) -> float:
        """
        Seconds in which operators have to log in; 0 for no limit.
        """

    def entered(self, transport: IWebSocketTransport) -> Welcome:
        """
        Keep an operator informed from now on.

        @return: the state so far.
        """

    def left(self, transport: IWebSocketTransport) -> None:
        """
        Stop informing an operator.
        """

    def isServed(self, transport: IWebSocketTransport) -> bool:
        """
        Return whether an operator is connected to the server's own endpoints.
        """


class OperatorProtocol(WebSocketProtocol):
    """
    Answers an operator's requests. If there is a token, it has to come first.
    """

    _log = Logger()

    def __init__(self, status: Status) -> None:
        self._status = status
        self._isKnown = False
        self._deadline: IDelayedCall | None = None

    def negotiationStarted(self, transport: IWebSocketTransport) -> None:
        super().negotiationStarted(transport)
        if self._status.access.isOpen:
            self._enter(None)
            return
        self._send(AuthRequired())
        timeout = self._status.timeout
        if timeout:
            clock = self._status.server.clock
            self._deadline = clock.callLater(timeout, self._tooLate)

    def textMessageReceived(self, message: str) -> Deferred[None] | None:
        try:
            asked = read(REQUEST, message)
        except RequestRefused as error:
            self._refuse(error, None)
            return None
        try:
            if isinstance(asked, Authenticate):
                self._authenticate(asked)
            elif not self._isKnown:
                raise RequestRefused("auth-required", "send auth with the token first")
            elif isinstance(asked, (ListChannels, PublishData)):
                # Shielded: what is being published isn't taken back.
                return shielded(self._useBroker(asked))
            else:
                answer: Any = self._answer(asked)
                answer.request = asked.request
                self._send(answer)
        except RequestRefused as error:
            self._refuse(error, asked.request)
        return None

    async def _useBroker(self, asked: ListChannels | PublishData) -> None:
        """
        Answer a request that the broker answers.
        """
        channels = self._status.channels
        answer: msgspec.Struct
        try:
            if isinstance(asked, ListChannels):
                answer = await channels.list(asked)
            else:
                operator = self.transport.request.getClientAddress()
                answer = await channels.publish(asked, operator)
        except RequestRefused as error:
            self._refuse(error, asked.request)
        except BrokerError as error:
            self._refuse(brokerRefused(error, asked.request), asked.request)
        else:
            self._send(answer)

    def bytesMessageReceived(self, data: bytes) -> None:
        self._refuse(RequestRefused("not-json", "send text messages only"), None)

    def connectionLost(self, reason: Failure) -> None:
        self._clearDeadline()
        self._status.left(self.transport)

    def _send(self, message: msgspec.Struct) -> None:
        self.transport.sendTextMessage(write(message))

    def _refuse(self, error: RequestRefused, request: Any) -> None:
        """
        Send an error. If the client isn't authenticated, also close the connection.
        """
        self.transport.sendTextMessage(refusal(error, request))
        if not self._isKnown:
            self._reject("not authenticated", TOKEN_FILE)

    def _reject(self, reason: str, setting: str) -> None:
        """
        Close the connection on behalf of the server.
        """
        connection = IServerConnection(self.transport)
        connection.close(CloseCode.POLICY_VIOLATION, reason, Side.SERVER, setting)

    # Authentication

    def _authenticate(self, asked: Authenticate) -> None:
        if self._isKnown:
            raise RequestRefused("invalid", "already authenticated")
        try:
            self._status.access.check(
                asked.token, self.transport.request.getClientAddress()
            )
        except AccessDenied as error:
            code = "rate-limited" if error.retryAfter else "unauthorized"
            raise RequestRefused(
                code, str(error), asked.request, error.retryAfter or None
            ) from None
        self._enter(asked.request)

    def _enter(self, request: Any) -> None:
        self._clearDeadline()
        self._isKnown = True
        welcome = self._status.entered(self.transport)
        welcome.request = request
        self._send(welcome)
        self._log.info(
            "{operator} watches the server",
            operator=nameOfAddress(self.transport.request.getClientAddress()),
        )

    def _tooLate(self) -> None:
        self._deadline = None
        self._reject("no token in time", "open-timeout")

    def _clearDeadline(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None:
            deadline.cancel()

    # Requests

    def _answer(self, asked: Any) -> msgspec.Struct:
        status = self._status
        actions = status.actions
        operator = self.transport.request.getClientAddress()
        if isinstance(asked, ListClients):
            if asked.sort not in SORTS:
                raise RequestRefused("invalid", f"sort: one of {', '.join(SORTS)}")
            return status.clients.list(asked.sort, asked.search, asked.limit)
        if isinstance(asked, SendNotice):
            return actions.notice(asked, operator)
        if isinstance(asked, CloseClients):
            return actions.close(asked, operator)
        if isinstance(asked, BanAddress):
            return actions.ban(asked, operator, status.isServed(self.transport))
        if isinstance(asked, LiftBan):
            return actions.lift(asked, operator)
        if isinstance(asked, Drain):
            return actions.drain(asked, operator)
        assert isinstance(asked, Ping)
        return Pong()
