"""
Connections for coroutines.

This module uses only the public interfaces: a L{CoroutineProtocol} is an
L{IWebSocketProtocol} like any other. It registers itself as a producer, so that it is
paused while the peer is slow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from copy import copy
from types import SimpleNamespace
from typing import Any, Final, Generic, TypeVar, overload

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug.authoring.tasks import Task, Tasks
from wsplug.awaiting import TaskDeferred, fromCoroutine
from wsplug.errors import BrokerError, ConnectionClosed
from wsplug.interfaces import (
    IHandshakeRequest,
    IServices,
    IWebSocketProtocol,
    IWebSocketTransport,
)
from wsplug.jsonmessages import (
    RequestId,
    RequestRefused,
    decoderOf,
    read,
    refusal,
    write,
)
from wsplug.networks import nameOfAddress
from wsplug.payloads import toMessage

__all__ = ["CoroutineProtocol", "SocketProtocol", "WebSocket", "requestOf"]

_INTERNAL_ERROR: Final = 1011

_PLAIN: Final = (str, bytes)
"""
The types of messages that need no conversion.
"""


Refuse = Callable[[RequestRefused], object]

_T = TypeVar("_T")


class WebSocket:
    """
    A connection, as the coroutine that serves it sees it.

    C{async for} iterates over the messages, C{str} for text and C{bytes} for binary,
    until the connection ends. The next message is only read from the peer when you
    have taken the last one.

    @ivar transport: the L{IWebSocketTransport} behind it.
    @ivar delivers: whether messages come by L{receive}.
    @ivar closed: why the connection ended; C{None} while it is open. Methods raise
        copies of it, because an error's traceback refers to the frames that it passed
        through, and those refer to this object.
    """

    _log = Logger()

    delivers = True

    # Most connections don't have these.
    _state: SimpleNamespace | None = None
    _tasks: Tasks | None = None
    _endings: dict[object, Callable[[], object]] | None = None
    _producer: IPushProducer | None = None

    def __init__(
        self, transport: IWebSocketTransport, services: IServices, name: str
    ) -> None:
        """
        @param name: what the log calls the application.
        """
        self.transport = transport
        self.closed: ConnectionClosed | None = None
        self._services = services
        self._name = name
        # A message that waits for the coroutine, and what fires when it is taken.
        self._message: str | bytes | None = None
        self._taken: Deferred[None] | None = None
        # What fires for the coroutine that waits for a message.
        self._asked: Deferred[None] | None = None
        self._drained: Deferred[None] | None = None
        self._slow = False
        self._sleeps: dict[Deferred[None], IDelayedCall] = {}

    @property
    def request(self) -> IHandshakeRequest:
        """
        The opening handshake's request.
        """
        return self.transport.request

    @property
    def state(self) -> SimpleNamespace:
        """
        A namespace for the application's data about this connection.
        """
        if self._state is None:
            self._state = SimpleNamespace()
        return self._state

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
        while self._message is None:
            self.check()
            if self._asked is not None:
                raise RuntimeError("another coroutine is already waiting for a message")
            if not self.delivers:
                raise RuntimeError(
                    "messages come to 'received'; only 'serve' asks for them"
                )
            self._asked = TaskDeferred(self._forget)
            await self._asked
        message, self._message = self._message, None
        taken, self._taken = self._taken, None
        if taken is not None:
            taken.callback(None)
        return message

    async def send(self, message: str | bytes) -> None:
        """
        Send a message, and wait while the peer is slow.

        @param message: a C{str} for a text message, C{bytes} for a binary one.
        @raise ConnectionClosed: the connection is closed.
        @raise TypeError: the message is neither a C{str} nor bytes-like.
        """
        plain = message if type(message) in _PLAIN else toMessage(message)
        self.check()
        if isinstance(plain, str):
            self.transport.sendTextMessage(plain)
        else:
            self.transport.sendBytesMessage(plain)
        await self.drained()

    # JSON

    async def send_json(self, value: object) -> None:
        """
        Send a value as JSON, as L{send} does.

        @param value: whatever msgspec can encode: dictionaries, lists, texts, numbers,
            C{Struct} and C{dataclass} objects, times.
        @raise TypeError: it can't encode this.
        """
        await self.send(write(value))

    @overload
    async def receive_json(
        self, type: type[_T], refuse: Refuse | None = None
    ) -> _T: ...

    @overload
    async def receive_json(
        self, type: Any = Any, refuse: Refuse | None = None
    ) -> Any: ...

    async def receive_json(self, type: Any = Any, refuse: Refuse | None = None) -> Any:
        """
        Wait for the next message that fits a type. One that doesn't is answered with an
        error, in the form that the bundled applications use: see
        L{wsplug.jsonmessages.ErrorMessage}.

        @param type: a type that msgspec can decode, such as a C{Struct}, or a union of
            C{Struct} types with tags.
        @param refuse: makes a different answer to a message that doesn't fit: a value
            that is sent as JSON, or C{None} for no answer.
        @raise ConnectionClosed: the connection is closed, and no message is left.
        """
        decoder = decoderOf(type)
        while True:
            message = await self.receive()
            try:
                return read(decoder, message)
            except RequestRefused as error:
                await self._refuse(error, refuse)

    async def _refuse(self, error: RequestRefused, refuse: Refuse | None) -> None:
        if refuse is None:
            await self.send(refusal(error))
            return
        answer = refuse(error)
        if answer is not None:
            await self.send_json(answer)

    @overload
    def json(
        self, type: type[_T], refuse: Refuse | None = None
    ) -> AsyncIterator[_T]: ...

    @overload
    def json(
        self, type: Any = Any, refuse: Refuse | None = None
    ) -> AsyncIterator[Any]: ...

    def json(self, type: Any = Any, refuse: Refuse | None = None) -> AsyncIterator[Any]:
        """
        Iterate over the messages that fit a type, until the connection ends; see
        L{receive_json}.
        """
        return _JSONMessages(self, type, refuse)

    @asynccontextmanager
    async def answering(self, message: object = None) -> AsyncIterator[None]:
        """
        Answer an error with the error message that the bundled applications use, and go
        on::

            async for wish in socket.json(Wish):
                async with socket.answering(wish):
                    raise RequestRefused("too-long", "at most 100 characters")

        The errors are L{wsplug.jsonmessages.RequestRefused} and
        L{wsplug.errors.BrokerError}. All others go on as usual.

        @param message: the message that is answered. If it has a C{request}, the answer
            has the same one.
        """
        try:
            yield
        except (RequestRefused, BrokerError) as error:
            await self.send(refusal(error, requestOf(message)))

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
        self.check()

    async def sleep(self, seconds: float) -> None:
        """
        Wait for some seconds.

        @raise ConnectionClosed: the connection is closed meanwhile.
        """
        self.check()
        sleep: Deferred[None] = TaskDeferred(self._forgetSleep)
        clock = self._services.clock
        self._sleeps[sleep] = clock.callLater(seconds, self._wake, sleep)
        await sleep
        self.check()

    def spawn(self, work: Coroutine[Any, Any, object]) -> Task:
        """
        Run a coroutine beside the others, until the connection ends: then it is
        cancelled. If it fails, that is logged, and the connection is closed with 1011.

        @return: the task, which you may cancel.
        @raise ConnectionClosed: the connection is closed.
        @raise TypeError: it isn't a coroutine.
        """
        if self.closed is not None and isinstance(work, Coroutine):
            work.close()  # or else Python warns that it was never awaited
        self.check()
        if self._tasks is None:
            self._tasks = Tasks(self._services.clock, self._name, self.fail)
        return self._tasks.spawn(work)

    def close(self, code: int | None = 1000, reason: str | None = "") -> None:
        """
        Close the connection; see L{IWebSocketTransport.loseConnection}.
        """
        self.transport.loseConnection(code, reason)

    # What the protocol and rooms call

    def check(self) -> None:
        """
        Raise L{ConnectionClosed} if the connection is closed.
        """
        if self.closed is not None:
            raise copy(self.closed)

    def deliver(self, message: str | bytes) -> Deferred[None] | None:
        """
        Deliver a message to the coroutine.

        @return: fires when the coroutine has taken it; C{None} if it was waiting.
        """
        self._message = message
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.callback(None)
            # A task of asyncio takes it later, unless it is cancelled before.
            if self._message is None:
                return None
        self._taken = Deferred()
        return self._taken

    def setSlow(self, slow: bool) -> None:
        """
        Make senders wait, or resume them.
        """
        self._slow = slow
        if self._producer is not None:
            # It may send at once, and so make the peer slow again.
            if slow:
                self._producer.pauseProducing()
            else:
                self._producer.resumeProducing()
            slow = self._slow
        drained, self._drained = self._drained, None
        if not slow and drained is not None:
            drained.callback(None)
        elif drained is not None:
            self._drained = drained

    def stop(self) -> None:
        """
        Nothing is sent any more. Senders wait until the connection is lost, which is
        soon, instead of going on.
        """
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        self.setSlow(True)

    def end(self, closed: ConnectionClosed) -> None:
        """
        The connection is closed: wake everything that waits.
        """
        self.closed = closed
        self._producer = None
        # First what belongs to the server, since those who are woken do what they want.
        endings, self._endings = self._endings, None
        for ending in (endings or {}).values():
            ending()
        self.setSlow(False)
        # They are woken without an error, and then see that the connection is closed.
        # Twisted's frames and the traceback of a failure would keep each other alive.
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.callback(None)
        while self._sleeps:
            # One that is woken may cancel others.
            sleep = next(iter(self._sleeps))
            self._sleeps[sleep].cancel()
            self._wake(sleep)
        tasks, self._tasks = self._tasks, None
        if tasks is not None:
            tasks.end()

    def whenEnded(self, owner: object, ending: Callable[[], object]) -> None:
        """
        Have a function called when the connection ends.

        @param owner: the owner of the function; an owner has one function.
        """
        if self._endings is None:
            self._endings = {}
        self._endings[owner] = ending

    def forgetEnding(self, owner: object) -> None:
        """
        Undo L{whenEnded}.
        """
        if self._endings is not None:
            self._endings.pop(owner, None)

    def attach(self, producer: IPushProducer) -> None:
        """
        Pause and resume a producer as the peer reads.
        """
        self._producer = producer
        if self._slow:
            producer.pauseProducing()

    def detach(self) -> None:
        """
        Stop pausing and resuming the producer.
        """
        self._producer = None

    def fail(self, failure: Failure) -> None:
        """
        The application has failed: log it, and close the connection.
        """
        # ConnectionClosed is expected once this connection is closed. Otherwise it is
        # another connection's, such as one to a backend: a failure like any other.
        if self.closed is None or not failure.check(ConnectionClosed):
            self._log.failure(
                "{application} failed while serving {peer}",
                failure,
                application=self._name,
                peer=nameOfAddress(self.request.getClientAddress()),
            )
            self.close(_INTERNAL_ERROR, "internal error")
        # The failure and the frames in its traceback refer to each other.
        failure.cleanFailure()

    def _wake(self, sleep: Deferred[None]) -> None:
        del self._sleeps[sleep]
        sleep.callback(None)

    def _forget(self, asked: Deferred[None]) -> None:
        if self._asked is asked:
            self._asked = None

    def _forgetSleep(self, sleep: Deferred[None]) -> None:
        self._sleeps.pop(sleep).cancel()


class _JSONMessages(Generic[_T]):
    """
    The messages of a connection that fit a type.
    """

    def __init__(self, socket: WebSocket, type: Any, refuse: Refuse | None) -> None:
        self._socket = socket
        self._type = type
        self._refuse = refuse

    def __aiter__(self) -> AsyncIterator[_T]:
        return self

    async def __anext__(self) -> _T:
        try:
            found: Any = await self._socket.receive_json(self._type, self._refuse)
        except ConnectionClosed:
            raise StopAsyncIteration from None
        return found  # type: ignore[no-any-return]


def requestOf(message: object) -> RequestId:
    """
    Return the identifier for a request that a client's message has.
    """
    if isinstance(message, Mapping):
        request = message.get("request")
    else:
        request = getattr(message, "request", None)
    return request if isinstance(request, (int, str)) else None


@implementer(IPushProducer)
class SocketProtocol:
    """
    The base of protocols that give their application a L{WebSocket}.

    @ivar socket: the connection, set by C{negotiationStarted}.
    """

    socket: WebSocket

    def __init__(self, name: str, services: IServices) -> None:
        """
        @param name: what the log calls the application.
        """
        self._name = name
        self._services = services

    def negotiationStarted(self, transport: IWebSocketTransport) -> None:
        self.socket = WebSocket(transport, self._services, self._name)
        transport.attachProducer(self)

    def pongReceived(self, payload: bytes) -> None:
        pass

    def pauseProducing(self) -> None:
        self.socket.setSlow(True)

    def resumeProducing(self) -> None:
        self.socket.setSlow(False)

    def stopProducing(self) -> None:
        self.socket.stop()


@implementer(IWebSocketProtocol)
class CoroutineProtocol(SocketProtocol):
    """
    Runs a coroutine for one connection.
    """

    def __init__(
        self,
        function: Callable[[WebSocket], Coroutine[Any, Any, object]],
        name: str,
        services: IServices,
    ) -> None:
        super().__init__(name, services)
        self._function = function

    def negotiationFinished(self) -> None:
        running = fromCoroutine(self._function(self.socket))
        running.addCallbacks(lambda _: self.socket.close(), self.socket.fail)

    def textMessageReceived(self, message: str) -> Deferred[None] | None:
        return self.socket.deliver(message)

    def bytesMessageReceived(self, data: bytes) -> Deferred[None] | None:
        return self.socket.deliver(data)

    def connectionLost(self, reason: Failure) -> None:
        closed: Any = reason.value
        self.socket.end(closed)
