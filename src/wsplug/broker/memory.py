"""
The broker that keeps channels in memory, up to a count, a size and an age. They are
lost when the process ends.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from itertools import islice

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from wsplug.broker.keyvalues import MemoryKeyValues
from wsplug.broker.local import LocalPresence, Subscribers, holdsAll
from wsplug.broker.publication import (
    ChannelState,
    History,
    Position,
    Publication,
    toData,
)
from wsplug.broker.retention import (
    DEFAULT_RETENTION,
    OVERHEAD,
    ChannelRetention,
    Retention,
    channelCost,
)
from wsplug.clocks import timeOfDay
from wsplug.interfaces import IBroker, IKeyValueStore, IListsChannels, ISubscriber

__all__ = ["MemoryBroker"]


class _Channel:
    """
    A channel and its history.
    """

    __slots__ = ("_overhead", "epoch", "kept", "limits", "offset", "size")

    def __init__(self, name: str, epoch: str) -> None:
        self._overhead = channelCost(name)
        self.epoch = epoch
        self.offset = 0
        self.kept: deque[Publication] = deque()
        self.limits: ChannelRetention | None = None
        self.size = 0

    @property
    def position(self) -> Position:
        return Position(self.offset, self.epoch)

    @property
    def cost(self) -> int:
        """
        The bytes that it counts for in the total.
        """
        return self.size + self._overhead if self.kept else 0

    def add(self, publication: Publication) -> None:
        """
        Store the newest publication.
        """
        self.kept.append(publication)
        self.size += len(publication.data) + OVERHEAD

    def forget(self) -> None:
        """
        Forget the oldest publication.
        """
        self.size -= len(self.kept.popleft().data) + OVERHEAD

    def history(self, since: Position | None, limit: int | None) -> History:
        """
        Return a part of the history, as L{IBroker.history} does.
        """
        first = 0
        limit = None if limit is None else max(limit, 0)
        isComplete = since is None
        if since is not None and since.epoch == self.epoch:
            first = len(self.kept) - (self.offset - since.offset)
            isComplete = 0 <= first <= len(self.kept)
            first = first if isComplete else 0
        if limit is not None and len(self.kept) - first > limit:
            first = len(self.kept) - limit
            isComplete = since is None
        # From the end: iterating from the beginning would cost the whole history.
        wanted = islice(reversed(self.kept), len(self.kept) - first)
        return History(tuple(wanted)[::-1], self.position, isComplete)


@implementer(IBroker, IListsChannels)
class MemoryBroker(LocalPresence):
    """
    Channels of one process.
    """

    def __init__(
        self, clock: IReactorTime, retention: Retention = DEFAULT_RETENTION
    ) -> None:
        """
        @param clock: the reactor, or a fake clock.
        @param retention: the limits on the history.
        """
        super().__init__()
        self._clock = clock
        self._retention = retention
        # The most recently published to is the last.
        self._channels: OrderedDict[str, _Channel] = OrderedDict()
        self._size = 0
        # The epoch of new channels. A channel in which nothing was ever stored can be
        # forgotten and begin again with the same one.
        self._epoch = secrets.token_hex(4)
        self._subscribers = Subscribers()
        self._sweep: IDelayedCall | None = None
        self._stores: dict[str, MemoryKeyValues] = {}

    def start(self) -> Deferred[None]:
        return succeed(None)

    def stop(self) -> Deferred[None]:
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        return succeed(None)

    def publish(
        self,
        channel: str,
        data: bytes,
        store: bool = True,
        retention: ChannelRetention | None = None,
    ) -> Deferred[Publication]:
        data = toData(channel, data)
        refusal = self._retention.refusalOf(channel, data, retention) if store else None
        if refusal is not None:
            return fail(refusal)
        now = timeOfDay(self._clock)
        kept = self._open(channel)
        limits = retention or kept.limits
        store = store and (limits or self._retention).count > 0
        if store:
            kept.limits = limits
            kept.offset += 1
        publication = Publication(kept.offset, kept.epoch, data, now, store)
        if store:
            self._size -= kept.cost
            kept.add(publication)
            self._size += kept.cost
            self._channels.move_to_end(channel)
            self._trim(kept, now)
            self._trimAll()
            self._sweepLater()
        self._subscribers.deliver(channel, publication)
        self._closeUnused(channel)
        return succeed(publication)

    def subscribe(self, channel: str, subscriber: ISubscriber) -> Deferred[Position]:
        self._subscribers.add(channel, subscriber)
        return succeed(self._open(channel).position)

    def unsubscribe(self, channel: str, subscriber: ISubscriber) -> Deferred[None]:
        self._subscribers.remove(channel, subscriber)
        self._closeUnused(channel)
        return succeed(None)

    def history(
        self, channel: str, since: Position | None = None, limit: int | None = None
    ) -> Deferred[History]:
        kept = self._open(channel)
        self._trim(kept, timeOfDay(self._clock))
        history = kept.history(since, limit)
        self._closeUnused(channel)
        return succeed(history)

    def openStore(self, application: str) -> IKeyValueStore:
        store = self._stores.get(application)
        if store is None:
            store = self._stores[application] = MemoryKeyValues()
        return store

    def listChannels(self, search: str, limit: int) -> Deferred[list[ChannelState]]:
        words = search.lower().split()
        names = dict.fromkeys(self._subscribers.busiest(words, limit))
        # The most recently published to first.
        recent = (
            name
            for name, kept in reversed(self._channels.items())
            if kept.kept and holdsAll(name, words)
        )
        for name in recent:
            if len(names) >= limit:
                break
            names[name] = None
        return succeed([self._stateOf(name) for name in names])

    def _stateOf(self, name: str) -> ChannelState:
        kept = self._channels.get(name)
        count, size = (len(kept.kept), kept.size) if kept is not None else (0, 0)
        return ChannelState(name, self._subscribers.count(name), count, size)

    # Keeping and forgetting

    def _open(self, channel: str) -> _Channel:
        kept = self._channels.get(channel)
        if kept is None:
            kept = self._channels[channel] = _Channel(channel, self._epoch)
        return kept

    def _closeUnused(self, channel: str) -> None:
        """
        Forget an empty channel without subscribers. It begins again with another epoch.
        """
        kept = self._channels.get(channel)
        if kept is not None and not kept.kept and channel not in self._subscribers:
            del self._channels[channel]
            if kept.offset:
                self._epoch = secrets.token_hex(4)

    def _trim(self, kept: _Channel, now: float) -> None:
        retention = kept.limits or self._retention
        oldest = now - retention.age
        self._size -= kept.cost
        while kept.kept and (
            len(kept.kept) > retention.count
            or kept.size > retention.size
            or kept.kept[0].time <= oldest
        ):
            kept.forget()
        self._size += kept.cost

    def _trimAll(self) -> None:
        """
        Enforce the limit on the total, beginning with the channel that was published to
        least recently.
        """
        while self._size > self._retention.total:
            channel, kept = next(iter(self._channels.items()))
            self._size -= kept.cost
            while kept.kept and self._size + kept.cost > self._retention.total:
                kept.forget()
            self._size += kept.cost
            if not kept.kept:
                # There is nothing left to forget in it.
                self._channels.move_to_end(channel)
                self._closeUnused(channel)

    def _sweepLater(self) -> None:
        if self._sweep is None:
            self._sweep = self._clock.callLater(
                self._retention.sweepInterval, self._sweepAll
            )

    def _sweepAll(self) -> None:
        """
        Forget expired publications, also in channels that nobody uses.
        """
        self._sweep = None
        now = timeOfDay(self._clock)
        for channel, kept in list(self._channels.items()):
            self._trim(kept, now)
            self._closeUnused(channel)
        if any(kept.kept for kept in self._channels.values()):
            self._sweepLater()
