"""
Connections of subscribers, which subscribe by their URL or by messages.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw, Struct
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from wsplug import CloseCode, WebSocketProtocol
from wsplug.apps.push.feeds import Feeds
from wsplug.apps.push.messages import (
    FROM_CLIENTS,
    Notice,
    Ping,
    Pong,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    encodeBare,
    encodeMessage,
)
from wsplug.apps.push.names import checkName
from wsplug.broker import History
from wsplug.errors import BrokerError
from wsplug.jsonmessages import RequestRefused, WirePosition, read, refusal, write

__all__ = ["BareSubscriber", "Subscriber"]


class Subscriber(WebSocketProtocol):
    """
    A subscriber that speaks JSON.
    """

    def __init__(self, feeds: Feeds, wanted: Sequence[Subscribe]) -> None:
        """
        @param wanted: the subscriptions of the URL.
        """
        self._feeds = feeds
        self._wanted = wanted
        self._names: set[str] = set()

    def negotiationFinished(self) -> Deferred[None] | None:
        wanted, self._wanted = self._wanted, ()
        return Deferred.fromCoroutine(self._subscribeAll(wanted)) if wanted else None

    def textMessageReceived(self, message: str) -> Deferred[None] | None:
        try:
            request = read(FROM_CLIENTS, message)
        except RequestRefused as error:
            self.transport.sendTextMessage(refusal(error))
            return None
        if isinstance(request, Subscribe):
            # Nothing more is read until this is answered: answers come in order.
            return Deferred.fromCoroutine(self._subscribe(request))
        if isinstance(request, Unsubscribe):
            self._unsubscribe(request)
        elif isinstance(request, Ping):
            self._send(Pong(request.request))
        return None

    def bytesMessageReceived(self, data: bytes) -> None:
        error = RequestRefused(
            "not-json", "binary messages aren't supported; send JSON as text"
        )
        self.transport.sendTextMessage(refusal(error))

    def noticeReceived(self, text: str) -> None:
        self._send(Notice(text))

    def connectionLost(self, reason: Failure) -> None:
        self._feeds.messages.leaveAll(self.transport)

    def _send(self, message: Struct) -> None:
        self.transport.sendTextMessage(write(message))

    async def _subscribeAll(self, wanted: Sequence[Subscribe]) -> None:
        for request in wanted:
            await self._subscribe(request)

    async def _subscribe(self, request: Subscribe) -> None:
        try:
            self._check(request)
            history = await self._join(request)
        except RequestRefused as error:
            self.transport.sendTextMessage(refusal(error))
        else:
            self._send(self._answer(request, history))

    def _check(self, request: Subscribe) -> None:
        limits = self._feeds.limits
        checkName(request.channel, limits.maxChannelLength, request.request)
        if request.channel in self._names:
            raise RequestRefused(
                "already-subscribed",
                f"already subscribed to {request.channel}",
                request.request,
            )
        if len(self._names) >= limits.maxChannels:
            raise RequestRefused(
                "too-many",
                f"already subscribed to {limits.maxChannels} channels, the maximum",
                request.request,
            )

    async def _join(self, request: Subscribe) -> History:
        feeds = self._feeds
        since = None if request.since is None else request.since.position()
        self._names.add(request.channel)
        try:
            return await feeds.messages.join(
                self.transport,
                feeds.channelOf(request.channel),
                since,
                self._limitOf(request),
            )
        except BrokerError:
            self._names.discard(request.channel)
            raise RequestRefused(
                "unavailable",
                f"{request.channel} can't be read; try again later",
                request.request,
            ) from None

    def _limitOf(self, request: Subscribe) -> int:
        """
        Return how many messages of the past a request gets at most.
        """
        limits = self._feeds.limits
        default = limits.history if request.since is None else limits.maxHistory
        wanted = default if request.limit is None else request.limit
        return min(wanted, limits.maxHistory)

    def _answer(self, request: Subscribe, history: History) -> Subscribed:
        """
        Make the answer, with as many messages of the past as fit into the backlog.
        """
        room = self._feeds.backlog.size - self.transport.bufferedAmount
        messages: list[Raw] = []
        for publication in reversed(history.publications):
            message = encodeMessage(request.channel, publication)
            room -= len(message)
            if room < 0:
                break
            messages.append(Raw(message))
        messages.reverse()
        answer = Subscribed(
            request.channel,
            WirePosition.of(history.position),
            messages,
            request.request,
        )
        if request.since is not None:
            isWhole = len(messages) == len(history.publications)
            answer.recovered = history.isComplete and isWhole
        return answer

    def _unsubscribe(self, request: Unsubscribe) -> None:
        feeds = self._feeds
        if request.channel not in self._names:
            error = RequestRefused(
                "not-subscribed",
                f"not subscribed to {request.channel[:100]!r}",
                request.request,
            )
            self.transport.sendTextMessage(refusal(error))
            return
        self._names.discard(request.channel)
        feeds.messages.leave(self.transport, feeds.channelOf(request.channel))
        self._send(Unsubscribed(request.channel, request.request))


class BareSubscriber(WebSocketProtocol):
    """
    A subscriber that gets the bare data of publications.
    """

    def __init__(self, feeds: Feeds, wanted: Sequence[Subscribe]) -> None:
        self._feeds = feeds
        self._wanted = wanted

    def negotiationFinished(self) -> Deferred[None]:
        wanted, self._wanted = self._wanted, ()
        return Deferred.fromCoroutine(self._subscribeAll(wanted))

    async def _subscribeAll(self, wanted: Sequence[Subscribe]) -> None:
        feeds = self._feeds
        limits = feeds.limits
        for request in wanted:
            limit = limits.history if request.limit is None else request.limit
            try:
                history = await feeds.bare.join(
                    self.transport,
                    feeds.channelOf(request.channel),
                    None,
                    min(limit, limits.maxHistory),
                )
            except BrokerError:
                reason = f"{request.channel} can't be read; try again later"
                self.transport.loseConnection(CloseCode.TRY_AGAIN_LATER, reason)
                return
            self._sendPast(history)

    def _sendPast(self, history: History) -> None:
        room = self._feeds.backlog.size - self.transport.bufferedAmount
        first = len(history.publications)
        while first and room >= len(history.publications[first - 1].data):
            first -= 1
            room -= len(history.publications[first].data)
        for publication in history.publications[first:]:
            message = encodeBare(publication)
            if isinstance(message, str):
                self.transport.sendTextMessage(message)
            else:
                self.transport.sendBytesMessage(message)

    def textMessageReceived(self, message: str) -> None:
        self._refuseMessage()

    def bytesMessageReceived(self, data: bytes) -> None:
        self._refuseMessage()

    def _refuseMessage(self) -> None:
        self.transport.loseConnection(
            CloseCode.UNSUPPORTED_DATA, "format=raw doesn't accept messages"
        )

    def connectionLost(self, reason: Failure) -> None:
        self._feeds.bare.leaveAll(self.transport)
