"""
The broker that keeps channels in an SQLite file. Publications that a publisher knows to
be stored survive the process.

Publications that arrive while a batch is being stored form the next batch, so a busy
server stores hundreds in one transaction. The reactor never waits for the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wsplug.broker.keyvalues import SqliteKeyValues
from wsplug.broker.local import LocalPresence, Subscribers
from wsplug.broker.publication import (
    ChannelState,
    History,
    Position,
    Publication,
    toData,
)
from wsplug.broker.retention import DEFAULT_RETENTION, ChannelRetention, Retention
from wsplug.broker.store import Draft, Store
from wsplug.broker.trouble import Trouble
from wsplug.broker.worker import Worker
from wsplug.clocks import timeOfDay
from wsplug.errors import BrokerError, StartupError
from wsplug.interfaces import IBroker, IKeyValueStore, IListsChannels, ISubscriber

__all__ = ["MAX_PENDING_SIZE", "PENDING_OVERHEAD", "SqliteBroker"]

MAX_PENDING_SIZE: Final = 64 * 1024 * 1024
"""
The maximum of bytes that wait to be stored. Beyond it, publishing fails.
"""

PENDING_OVERHEAD: Final = 900
"""
The memory, in bytes, that a waiting publication takes in addition to its data.
"""

_BATCH: Final = 1000
"""
The maximum of publications in one transaction.
"""

_T = TypeVar("_T")


@implementer(IBroker, IListsChannels)
class SqliteBroker(LocalPresence):
    """
    The channels of one process, in a file.
    """

    _log = Logger()

    def __init__(
        self,
        path: str,
        reactor: Any,
        retention: Retention = DEFAULT_RETENTION,
        worker: Worker | None = None,
    ) -> None:
        """
        @param path: the path of the file, which is created if it is missing.
        @param reactor: an C{IReactorTime}, whose seconds count from 1970, and
            C{IReactorFromThreads}, which gets the results of the thread.
        @param retention: how much of each channel is kept.
        @param worker: executes what blocks; by default, in a thread of its own.
        """
        super().__init__()
        self._path = path
        self._reactor = reactor
        self._retention = retention
        self._worker = worker or Worker(reactor, "wsplug-sqlite")
        self._store = Store(path, retention)
        self._subscribers = Subscribers()
        self._pending: list[tuple[Draft, Deferred[Publication]]] = []
        self._pendingSize = 0
        self._storing: Deferred[None] | None = None
        self._sweep: IDelayedCall | None = None
        self._troubles = {
            word: Trouble(reactor, f"{word} {where}")
            for word, where in (
                ("store", f"in {path}"),
                ("read", path),
                ("sweep", path),
                ("use", f"the applications' store in {path}"),
            )
        }

    # Starting and stopping

    def start(self) -> Deferred[None]:
        self._worker.start()
        opened = self._worker.do(self._store.open)
        return opened.addCallbacks(self._started, self._startFailed)

    def _started(self, isUnchanged: bool) -> None:
        if not isUnchanged:
            self._log.warn(
                "broker: {path} isn't as it was left: it was restored from a backup, "
                "or the machine failed; subscribers that return to a channel are told "
                "that messages may be missing",
                path=self._path,
            )
        self._sweepLater()

    def _startFailed(self, failure: Failure) -> None:
        # First, for every error: the thread runs even if nobody waits for the start.
        self._worker.stop()
        failure.trap(sqlite3.Error, OSError)
        reason = getattr(failure.value, "strerror", None) or str(failure.value)
        if "locked" in reason:
            reason = "another process uses it"
        raise StartupError(f"broker: can't use {self._path}: {reason}") from None

    def stop(self) -> Deferred[None]:
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        stopped = self._storing or succeed(None)
        done: Deferred[None] = Deferred()
        stopped.addCallback(lambda _: self._worker.do(self._store.close))
        stopped.addErrback(
            lambda failure: self._log.failure("broker: can't close", failure)
        )
        stopped.addCallback(lambda _: self._worker.stop())
        stopped.addCallback(lambda _: self._tellTroubles())
        stopped.chainDeferred(done)
        return done

    def _tellTroubles(self) -> None:
        for trouble in self._troubles.values():
            trouble.close()

    # Publishing

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
        if self._pendingSize + _weigh(data) > MAX_PENDING_SIZE:
            waiting = f"{self._pendingSize} bytes wait to be stored"
            return fail(BrokerError(f"{channel}: {waiting}, which is the limit"))
        draft = Draft(channel, data, timeOfDay(self._reactor), store, retention)
        published: Deferred[Publication] = Deferred()
        self._pending.append((draft, published))
        self._pendingSize += _weigh(data)
        if self._storing is None:
            self._storing = Deferred()
            self._storeNext()
        return published

    def _storeNext(self) -> None:
        """
        Store the waiting publications, one batch at a time.
        """
        if not self._pending:
            done, self._storing = self._storing, None
            if done is not None:
                done.callback(None)
            return
        batch = self._pending[:_BATCH]
        del self._pending[:_BATCH]
        drafts = [draft for draft, _ in batch]
        stored = self._worker.do(lambda: self._store.add(drafts))
        stored.addCallbacks(
            self._stored, self._notStored, callbackArgs=(batch,), errbackArgs=(batch,)
        )
        stored.addErrback(
            lambda failure: self._log.failure(
                "broker: a callback failed after storing", failure
            )
        )
        stored.addCallback(lambda _: self._storeNext())

    def _stored(
        self,
        publications: list[Publication],
        batch: list[tuple[Draft, Deferred[Publication]]],
    ) -> None:
        for publication, (draft, published) in zip(publications, batch, strict=True):
            self._pendingSize -= _weigh(draft.data)
            self._subscribers.deliver(draft.channel, publication)
            published.callback(publication)

    def _notStored(
        self, failure: Failure, batch: list[tuple[Draft, Deferred[Publication]]]
    ) -> None:
        self._troubles["store"].add(failure, len(batch))
        for draft, published in batch:
            self._pendingSize -= _weigh(draft.data)
            published.errback(
                BrokerError(f"{draft.channel}: not stored: {failure.value}")
            )

    # Subscribing and reading

    def subscribe(self, channel: str, subscriber: ISubscriber) -> Deferred[Position]:
        self._subscribers.add(channel, subscriber)
        return self._read(channel, lambda: self._store.position(channel))

    def unsubscribe(self, channel: str, subscriber: ISubscriber) -> Deferred[None]:
        self._subscribers.remove(channel, subscriber)
        return succeed(None)

    def history(
        self, channel: str, since: Position | None = None, limit: int | None = None
    ) -> Deferred[History]:
        now = timeOfDay(self._reactor)
        return self._read(
            channel, lambda: self._store.history(channel, since, limit, now)
        )

    def listChannels(self, search: str, limit: int) -> Deferred[list[ChannelState]]:
        words = search.lower().split()
        subscribed = self._subscribers.busiest(words, limit)
        listed = self._read(
            "channels", lambda: self._store.listChannels(subscribed, words, limit)
        )
        return listed.addCallback(self._count)

    def _count(self, found: list[tuple[str, int, int]]) -> list[ChannelState]:
        count = self._subscribers.count
        return [
            ChannelState(name, count(name), kept, size) for name, kept, size in found
        ]

    def _read(self, channel: str, work: Callable[[], _T]) -> Deferred[_T]:
        read = self._worker.do(work)
        read.addErrback(self._notRead, channel)
        return read

    def _notRead(self, failure: Failure, channel: str) -> Any:
        failure.trap(sqlite3.Error)
        self._troubles["read"].add(failure)
        raise BrokerError(f"{channel}: not read: {failure.value}") from None

    # The applications' store

    def openStore(self, application: str) -> IKeyValueStore:
        return SqliteKeyValues(
            application, self._store, self._worker, self._troubles["use"]
        )

    # Forgetting

    def _sweepLater(self) -> None:
        self._sweep = self._reactor.callLater(
            self._retention.sweepInterval, self._sweepNow
        )

    def _sweepNow(self) -> None:
        self._sweep = None
        now = timeOfDay(self._reactor)
        channels = self._subscribers.channels()
        swept = self._worker.do(lambda: self._store.sweep(now, channels))
        swept.addErrback(self._troubles["sweep"].add)
        self._sweepLater()


def _weigh(data: bytes) -> int:
    """
    Return the memory, in bytes, that a waiting publication takes.
    """
    return len(data) + PENDING_OVERHEAD
