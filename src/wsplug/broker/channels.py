"""
An application's connections in the broker's channels, with limits for slow readers.

A server gets each publication once. It is encoded and framed once, and sent to all
connections that keep up in one pass. A slow connection has a backlog in each channel,
limited in bytes and seconds; the others don't wait for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug.broker.publication import History, Position, Publication
from wsplug.codec import CloseCode
from wsplug.interfaces import IBroker, ISubscriber, IWebSocketTransport
from wsplug.server import PreparedMessage, broadcast
from wsplug.transport.bursts import Burst, TurnCount

__all__ = ["Backlog", "Channels", "Overflow"]


class Overflow(str, Enum):
    """
    What happens when a subscriber's backlog is full.
    """

    CLOSE = "close"
    """The connection is closed with 1013. The client may reconnect and recover."""

    OLDEST = "oldest"
    """The oldest messages are dropped, and the client is told how many."""

    LATEST = "latest"
    """All messages but the newest are dropped, and the client is told how many."""


@dataclass(frozen=True)
class Backlog:
    """
    The limits on the messages that wait for one subscriber in one channel.

    @ivar size: bytes of messages. Messages published in a single turn of the reactor
        may exceed it, because no client could have read them.
    @ivar age: seconds that the oldest message may wait; 0 for no limit.
    @ivar overflow: what happens when a limit is exceeded.
    """

    size: int = 256 * 1024
    age: float = 30.0
    overflow: Overflow = Overflow.CLOSE


DEFAULT_BACKLOG: Final = Backlog()


class _Subscription:
    """
    One connection in one channel.
    """

    __slots__ = ("_burst", "dropped", "joining", "size", "waiting")

    def __init__(self) -> None:
        self.joining = True
        self.waiting: deque[tuple[float, int, PreparedMessage]] = deque()
        self.size = 0
        self.dropped = 0
        self._burst = Burst()

    def isOver(self, size: int, turn: int) -> bool:
        """
        Return whether the newest message exceeds the limit; see L{Burst}.

        @param size: the limit, in bytes.
        @param turn: the number of this turn.
        """
        newest = len(self.waiting[-1][2].payload)
        return not self._burst.allows(turn, self.size - newest, newest, size)

    def queue(self, now: float, offset: int, message: PreparedMessage) -> None:
        self.waiting.append((now, offset, message))
        self.size += len(message.payload)

    def take(self) -> PreparedMessage:
        _, _, message = self.waiting.popleft()
        self.size -= len(message.payload)
        return message

    def drop(self) -> None:
        self.take()
        self.dropped += 1

    def forget(self, item: tuple[float, int, PreparedMessage]) -> None:
        self.waiting.remove(item)
        self.size -= len(item[2].payload)


class _Channel:
    """
    One channel's connections.
    """

    __slots__ = ("queued", "ready")

    def __init__(self) -> None:
        # Dictionaries for sets that keep their order.
        self.ready: dict[IWebSocketTransport, None] = {}
        self.queued: dict[IWebSocketTransport, _Subscription] = {}

    def __len__(self) -> int:
        return len(self.ready) + len(self.queued)


@implementer(IPushProducer)
class _Member:
    """
    One connection: a producer that its transport pauses and resumes.
    """

    def __init__(self, channels: Channels, transport: IWebSocketTransport) -> None:
        self._channels = channels
        self._transport = transport
        self.names: dict[str, None] = {}
        self.isSlow = False

    def pauseProducing(self) -> None:
        self.isSlow = True
        self._channels.pause(self._transport)

    def resumeProducing(self) -> None:
        self.isSlow = False
        self._channels.resume(self._transport)

    def stopProducing(self) -> None:
        self.isSlow = True


Encode = Callable[[str, Publication], str | bytes | None]
EncodeGap = Callable[[str, int], str | bytes | None]
Exclude = Callable[[str, Publication], IWebSocketTransport | None]
Attach = Callable[[IWebSocketTransport, IPushProducer], object]
Detach = Callable[[IWebSocketTransport], object]


def _attach(transport: IWebSocketTransport, producer: IPushProducer) -> None:
    transport.attachProducer(producer)


def _detach(transport: IWebSocketTransport) -> None:
    transport.detachProducer()


@implementer(ISubscriber)
class Channels:
    """
    Sends publications to an application's connections.

    It attaches a producer to the transports. The application can't attach one, unless
    it passes on to this one what its own is told: see C{attach}.

    @ivar dropped: how many messages were dropped for slow subscribers.
    """

    def __init__(
        self,
        broker: IBroker,
        clock: IReactorTime,
        encode: Encode,
        encodeGap: EncodeGap,
        backlog: Backlog = DEFAULT_BACKLOG,
        *,
        exclude: Exclude | None = None,
        attach: Attach = _attach,
        detach: Detach = _detach,
    ) -> None:
        """
        @param encode: makes the message for a channel's publication: text or bytes, or
            C{None} to send nothing. It is called once for each publication.
        @param encodeGap: makes the message that tells a subscriber how many of a
            channel's messages it has missed; C{None} to send nothing.
        @param exclude: says which connection doesn't get a channel's publication;
            C{None} if all do.
        @param attach: has a producer paused and resumed as a connection's peer reads.
        @param detach: undoes that.
        """
        self._exclude = exclude
        self._attach = attach
        self._detach = detach
        self._broker = broker
        self._clock = clock
        self._encode = encode
        self._encodeGap = encodeGap
        self._backlog = backlog
        self._turns = TurnCount(clock)
        self._channels: dict[str, _Channel] = {}
        self._members: dict[IWebSocketTransport, _Member] = {}
        self.dropped = 0

    # For the application

    def count(self, channel: str) -> int:
        """
        @return: how many connections of this server are in a channel.
        """
        return len(self._channels.get(channel, ()))

    def join(
        self,
        transport: IWebSocketTransport,
        channel: str,
        since: Position | None = None,
        limit: int | None = None,
    ) -> Deferred[History]:
        """
        Subscribe a connection to a channel.

        @param since: the client's last position, to recover from.
        @param limit: the maximum number of publications from the history.
        @return: fires with the history after C{since}; see L{IBroker.history}. What the
            callbacks send is sent before all new publications, and no publication comes
            twice. If it fails with L{wsplug.errors.BrokerError}, the connection isn't
            subscribed.
        @raise ValueError: the connection is subscribed already.
        """
        member = self._members.get(transport)
        if member is not None and channel in member.names:
            raise ValueError(f"the connection is in {channel!r} already")
        there = self._channels.get(channel)
        subscription = _Subscription()
        joined: Deferred[History] = Deferred()
        if there is None:
            there = self._channels[channel] = _Channel()
            reading = self._broker.subscribe(channel, self).addCallback(
                lambda _: self._broker.history(channel, since, limit)
            )
        else:
            reading = self._broker.history(channel, since, limit)
        there.queued[transport] = subscription
        if member is None:
            member = self._members[transport] = _Member(self, transport)
            member.names[channel] = None
            self._attach(transport, member)
        else:
            member.names[channel] = None

        def failed(failure: Failure) -> None:
            if there.queued.get(transport) is subscription:  # else it has left already
                self.leave(transport, channel)
            joined.errback(failure)

        def read(history: History) -> None:
            joined.callback(history)
            self._settle(transport, channel, subscription, history.position.offset)

        reading.addCallbacks(read, failed)
        return joined

    def leave(self, transport: IWebSocketTransport, channel: str) -> None:
        """
        Unsubscribe a connection from a channel. Does nothing if it isn't subscribed.
        """
        member = self._members.get(transport)
        if member is None or channel not in member.names:
            return
        del member.names[channel]
        if not member.names:
            del self._members[transport]
            self._detach(transport)
        there = self._channels[channel]
        there.ready.pop(transport, None)
        there.queued.pop(transport, None)
        if not there:
            del self._channels[channel]
            self._broker.unsubscribe(channel, self)

    def leaveAll(self, transport: IWebSocketTransport) -> None:
        """
        Unsubscribe a connection from all channels, for instance when it is closed.
        """
        member = self._members.get(transport)
        if member is not None:
            for channel in list(member.names):
                self.leave(transport, channel)

    # For the broker

    def published(self, channel: str, publication: Publication) -> None:
        there = self._channels.get(channel)
        if there is None:
            return
        encoded = self._encode(channel, publication)
        if encoded is None:
            return
        message = PreparedMessage(encoded)
        queued = list(there.queued.items())
        excluded = (
            None if self._exclude is None else self._exclude(channel, publication)
        )
        if excluded is None:
            broadcast(message, there.ready)
        else:
            broadcast(message, [each for each in there.ready if each is not excluded])
        if queued:
            now = self._clock.seconds()
            offset = publication.offset if publication.isStored else 0
            for transport, subscription in queued:
                if transport is excluded:
                    continue
                subscription.queue(now, offset, message)
                self._bound(transport, subscription, now)

    # Slow readers

    def pause(self, transport: IWebSocketTransport) -> None:
        """
        Pause a connection: its transport's buffer is full.
        """
        for channel in self._members[transport].names:
            there = self._channels[channel]
            if transport in there.ready:
                del there.ready[transport]
                there.queued[transport] = subscription = _Subscription()
                subscription.joining = False

    def resume(self, transport: IWebSocketTransport) -> None:
        """
        Resume a connection: send its backlog.
        """
        member = self._members.get(transport)
        if member is None:
            return
        for channel in list(member.names):
            subscription = self._channels[channel].queued.get(transport)
            if subscription is not None and not subscription.joining:
                self._drain(member, transport, channel, subscription)

    def _settle(
        self,
        transport: IWebSocketTransport,
        channel: str,
        subscription: _Subscription,
        offset: int,
    ) -> None:
        """
        Send what was published while the history was read, except what is in it.
        """
        there = self._channels.get(channel)
        if there is None or there.queued.get(transport) is not subscription:
            return  # it has left meanwhile, or has left and joined again
        subscription.joining = False
        for item in list(subscription.waiting):
            if 0 < item[1] <= offset:
                subscription.forget(item)
        member = self._members[transport]
        if not member.isSlow:
            self._drain(member, transport, channel, subscription)

    def _drain(
        self,
        member: _Member,
        transport: IWebSocketTransport,
        channel: str,
        subscription: _Subscription,
    ) -> None:
        if subscription.dropped:
            gap = self._encodeGap(channel, subscription.dropped)
            subscription.dropped = 0
            if gap is not None:
                transport.sendPreparedMessage(PreparedMessage(gap))
        while subscription.waiting and not member.isSlow:
            transport.sendPreparedMessage(subscription.take())
        if not member.isSlow and channel in member.names:
            there = self._channels[channel]
            there.queued.pop(transport, None)
            there.ready[transport] = None

    def _bound(
        self, transport: IWebSocketTransport, subscription: _Subscription, now: float
    ) -> None:
        backlog = self._backlog
        before = subscription.dropped
        turn = self._turns.number()
        while subscription.waiting and (
            subscription.isOver(backlog.size, turn)
            or 0 < backlog.age < now - subscription.waiting[0][0]
        ):
            if backlog.overflow is Overflow.CLOSE:
                self.leaveAll(transport)
                transport.loseConnection(
                    CloseCode.TRY_AGAIN_LATER, "does not read fast enough"
                )
                return
            subscription.drop()
            if backlog.overflow is Overflow.LATEST:
                while len(subscription.waiting) > 1:
                    subscription.drop()
        self.dropped += subscription.dropped - before
