"""
Connections for coroutines.

This module uses only the public interfaces: a L{CoroutineProtocol} is an
L{IWebSocketProtocol} like any other. It registers itself as a producer, and so learns
when the peer is slow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from copy import copy
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug.awaiting import TaskDeferred, fromCoroutine
from wsplug.errors import ConnectionClosed
from wsplug.interfaces import (
    IHandshakeRequest,
    IServices,
    IWebSocketProtocol,
    IWebSocketTransport,
)
from wsplug.networks import nameOfAddress
from wsplug.payloads import toMessage

__all__ = ["CoroutineProtocol", "WebSocket"]

_INTERNAL_ERROR: Final = 1011

_PLAIN: Final = (str, bytes)
"""
The types of messages that need no conversion.
"""


class WebSocket:
    """
    A connection, as the coroutine that serves it sees it.

    C{async for} iterates over the messages, C{str} for text and C{bytes} for binary,
    until the connection ends. The next message is only read from the peer when you
    have taken the last one.

    @ivar transport: the L{IWebSocketTransport} behind it.
    @ivar closed: why the connection ended; C{None} while it is open. Methods raise
        copies of it, because an error's traceback refers to the frames that it passed
        through, and those refer to this object.
    """

    def __init__(self, transport: IWebSocketTransport, services: IServices) -> None:
        self.transport = transport
        self.closed: ConnectionClosed | None = None
        self._services = services
        # A message that waits for the coroutine, and what fires when it is taken.
        self._message: str | bytes | None = None
        self._taken: Deferred[None] | None = None
        # What fires for the coroutine that waits for a message.
        self._asked: Deferred[str | bytes | None] | None = None
        self._drained: Deferred[None] | None = None
        self._slow = False
        self._sleeps: dict[Deferred[None], IDelayedCall] = {}

    @property
    def request(self) -> IHandshakeRequest:
        """
        The opening handshake's request.
        """
        return self.transport.request

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except ConnectionClosed:
            raise StopAsyncIteration from None

    async def receive(self) -> str | bytes:
        """
        Wait for the next message.

        @raise ConnectionClosed: the connection is closed, and no message is left.
        @raise RuntimeError: another coroutine is waiting for the next message.
        """
        message = self._message
        if message is not None:
            self._message = None
            taken, self._taken = self._taken, None
            if taken is not None:
                taken.callback(None)
            return message
        self._check()
        if self._asked is not None:
            raise RuntimeError("another coroutine is already waiting for a message")
        self._asked = TaskDeferred(self._forget)
        message = await self._asked
        if message is None:
            assert self.closed is not None
            raise copy(self.closed)
        return message

    async def send(self, message: str | bytes) -> None:
        """
        Send a message, and wait while the peer is slow.

        @param message: a C{str} for a text message, C{bytes} for a binary one.
        @raise ConnectionClosed: the connection is closed.
        @raise TypeError: the message is neither a C{str} nor bytes-like.
        """
        plain = message if type(message) in _PLAIN else toMessage(message)
        self._check()
        if isinstance(plain, str):
            self.transport.sendTextMessage(plain)
        else:
            self.transport.sendBytesMessage(plain)
        await self.drained()

    async def drained(self) -> None:
        """
        If the peer is slow, wait until the network has room; see
        L{IWebSocketTransport.whenDrained}.

        @raise ConnectionClosed: the connection is closed.
        """
        while self._slow and self.closed is None:
            if self._drained is None:
                self._drained = Deferred()
            waiting: Deferred[None] = TaskDeferred()
            self._drained.chainDeferred(waiting)
            await waiting
        self._check()

    async def sleep(self, seconds: float) -> None:
        """
        Wait for some seconds.

        @raise ConnectionClosed: the connection is closed meanwhile.
        """
        self._check()
        sleep: Deferred[None] = TaskDeferred(self._forgetSleep)
        clock = self._services.clock
        self._sleeps[sleep] = clock.callLater(seconds, self._wake, sleep)
        await sleep
        self._check()

    def close(self, code: int | None = 1000, reason: str | None = "") -> None:
        """
        Close the connection; see L{IWebSocketTransport.loseConnection}.
        """
        self.transport.loseConnection(code, reason)

    def _check(self) -> None:
        """
        Raise L{ConnectionClosed} if the connection is closed.
        """
        if self.closed is not None:
            raise copy(self.closed)

    # What the protocol calls

    def deliver(self, message: str | bytes) -> Deferred[None] | None:
        """
        Deliver a message to the coroutine.

        @return: fires when the coroutine has taken it; C{None} if it was waiting.
        """
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.callback(message)
            return None
        self._message = message
        self._taken = Deferred()
        return self._taken

    def setSlow(self, slow: bool) -> None:
        """
        Make senders wait, or resume them.
        """
        self._slow = slow
        drained, self._drained = self._drained, None
        if not slow and drained is not None:
            drained.callback(None)
        elif drained is not None:
            self._drained = drained

    def end(self, closed: ConnectionClosed) -> None:
        """
        The connection is closed: wake everything that waits.
        """
        self.closed = closed
        self.setSlow(False)
        # They are woken without an error, and then see that the connection is closed.
        # Twisted's frames and the traceback of a failure would keep each other alive.
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.callback(None)
        for sleep, call in list(self._sleeps.items()):
            call.cancel()
            self._wake(sleep)

    def _wake(self, sleep: Deferred[None]) -> None:
        del self._sleeps[sleep]
        sleep.callback(None)

    def _forget(self, asked: Deferred[str | bytes | None]) -> None:
        if self._asked is asked:
            self._asked = None

    def _forgetSleep(self, sleep: Deferred[None]) -> None:
        self._sleeps.pop(sleep).cancel()


@implementer(IWebSocketProtocol, IPushProducer)
class CoroutineProtocol:
    """
    Runs a coroutine for one connection.
    """

    _log = Logger()

    def __init__(
        self,
        function: Callable[[WebSocket], Coroutine[Any, Any, object]],
        name: str,
        services: IServices,
    ) -> None:
        self._function = function
        self._name = name
        self._services = services

    def negotiationStarted(self, transport: IWebSocketTransport) -> None:
        self._socket = WebSocket(transport, self._services)
        transport.attachProducer(self)

    def negotiationFinished(self) -> None:
        running = fromCoroutine(self._function(self._socket))
        running.addCallbacks(lambda _: self._socket.close(), self._failed)

    def textMessageReceived(self, message: str) -> Deferred[None] | None:
        return self._socket.deliver(message)

    def bytesMessageReceived(self, data: bytes) -> Deferred[None] | None:
        return self._socket.deliver(data)

    def pongReceived(self, payload: bytes) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        closed: Any = reason.value
        self._socket.end(closed)

    def pauseProducing(self) -> None:
        self._socket.setSlow(True)

    def resumeProducing(self) -> None:
        self._socket.setSlow(False)

    def stopProducing(self) -> None:
        # Nothing is sent any more. Senders wait until the connection is lost, which is
        # soon, instead of going on.
        self._socket.setSlow(True)

    def _failed(self, failure: Failure) -> None:
        # ConnectionClosed is expected once this connection is closed. Otherwise it is
        # another connection's, such as one to a backend: a failure like any other.
        if self._socket.closed is None or not failure.check(ConnectionClosed):
            self._log.failure(
                "{application} failed while serving {peer}",
                failure,
                application=self._name,
                peer=nameOfAddress(self._socket.request.getClientAddress()),
            )
            self._socket.close(_INTERNAL_ERROR, "internal error")
        # The failure and the frames in its traceback refer to each other.
        failure.cleanFailure()
