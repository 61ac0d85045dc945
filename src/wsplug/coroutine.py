"""
A connection as a coroutine uses it.

It is built on the plugin contract alone: a L{CoroutineProtocol} is an
L{IWebSocketProtocol} like any other, and attaches itself as a producer to learn when
the peer is slow.
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
What messages are made of; all else is looked at.
"""


class WebSocket:
    """
    One connection, from the inside of the coroutine that serves it.

    C{async for} gives message after message, C{str} for text and C{bytes} for binary,
    and ends when the connection does. No further message is read from the peer before
    the last one was taken.

    @ivar transport: the L{IWebSocketTransport} behind it.
    @ivar closed: why the connection ended; C{None} as long as it hasn't. What is raised
        is a copy each time: an error that was raised leads to the frames that it went
        through, and those lead here.
    """

    def __init__(self, transport: IWebSocketTransport, services: IServices) -> None:
        self.transport = transport
        self.closed: ConnectionClosed | None = None
        self._services = services
        # A message that waits for the coroutine, and what its taking releases.
        self._message: str | bytes | None = None
        self._taken: Deferred[None] | None = None
        # What the coroutine waits for.
        self._asked: Deferred[str | bytes | None] | None = None
        self._drained: Deferred[None] | None = None
        self._slow = False
        self._sleeps: dict[Deferred[None], IDelayedCall] = {}

    @property
    def request(self) -> IHandshakeRequest:
        """
        The handshake's request.
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

        @raise ConnectionClosed: none will come any more.
        @raise RuntimeError: it is being waited for already.
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
            raise RuntimeError("another coroutine waits for the next message already")
        self._asked = Deferred(self._forget)
        message = await self._asked
        if message is None:
            assert self.closed is not None
            raise copy(self.closed)
        return message

    async def send(self, message: str | bytes) -> None:
        """
        Send a message, and wait while the peer is too slow for more.

        @param message: text for a text message, bytes for a binary one.
        @raise ConnectionClosed: the connection is gone.
        @raise TypeError: it is neither text nor bytes-like.
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
        Wait until the network has room, if the peer is slow: see
        L{IWebSocketTransport.whenDrained}.

        @raise ConnectionClosed: the connection is gone.
        """
        while self._slow and self.closed is None:
            if self._drained is None:
                self._drained = Deferred()
            waiting: Deferred[None] = Deferred()
            self._drained.chainDeferred(waiting)
            await waiting
        self._check()

    async def sleep(self, seconds: float) -> None:
        """
        Wait for a while.

        @raise ConnectionClosed: the connection is gone before it is over.
        """
        self._check()
        sleep: Deferred[None] = Deferred(self._forgetSleep)
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
        Raise why the connection ended, if it has.
        """
        if self.closed is not None:
            raise copy(self.closed)

    # What the protocol calls

    def deliver(self, message: str | bytes) -> Deferred[None] | None:
        """
        Hand a message to the coroutine.

        @return: fires when the coroutine has taken it; C{None} if it did at once.
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
        Have senders wait, or go on.
        """
        self._slow = slow
        drained, self._drained = self._drained, None
        if not slow and drained is not None:
            drained.callback(None)
        elif drained is not None:
            self._drained = drained

    def end(self, closed: ConnectionClosed) -> None:
        """
        Wake whatever waits: the connection is gone.
        """
        self.closed = closed
        self.setSlow(False)
        # What waits is woken, and finds out by itself. A failure that went through
        # Twisted's frames would be kept by them, and its traceback would keep them.
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
        running = Deferred.fromCoroutine(self._function(self._socket))
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
        # Nothing is sent any more: who sends all the same waits for the end, which is
        # near, rather than go on and on.
        self._socket.setSlow(True)

    def _failed(self, failure: Failure) -> None:
        # What says that this connection is closed was told. That another one is, as of
        # a server behind this one, is a failure like any other.
        if self._socket.closed is None or not failure.check(ConnectionClosed):
            self._log.failure(
                "{application} failed while it served {peer}",
                failure,
                application=self._name,
                peer=nameOfAddress(self._socket.request.getClientAddress()),
            )
            self._socket.close(_INTERNAL_ERROR, "internal error")
        # The frames that its traceback leads to refer to it, Twisted's among them.
        failure.cleanFailure()
