"""
A server's own part of channels: its subscribers, and who is present.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from wsplug.broker.publication import Publication, toData
from wsplug.interfaces import ISubscriber

__all__ = ["LocalPresence", "Subscribers", "holdsAll"]

_log = Logger()


def holdsAll(name: str, words: Sequence[str]) -> bool:
    """
    Tell whether a name contains all words, which are in lower case.
    """
    name = name.lower()
    return all(word in name for word in words)


class Subscribers:
    """
    The subscribers of all channels. Channels without subscribers take no memory.
    """

    def __init__(self) -> None:
        # Dictionaries for sets that keep their order.
        self._channels: dict[str, dict[ISubscriber, None]] = {}

    def __contains__(self, channel: str) -> bool:
        return channel in self._channels

    def __len__(self) -> int:
        return len(self._channels)

    def count(self, channel: str) -> int:
        """
        @return: how many subscribers a channel has.
        """
        return len(self._channels.get(channel, ()))

    def busiest(self, words: Sequence[str], limit: int) -> list[str]:
        """
        @param words: what names have to contain, in lower case.
        @return: the channels with the most subscribers, at most so many.
        """
        found: Iterable[str] = self._channels
        if words:
            found = (each for each in found if holdsAll(each, words))
        return nlargest(limit, found, key=self.count)

    def channels(self) -> list[str]:
        """
        @return: the channels that have subscribers.
        """
        return list(self._channels)

    def add(self, channel: str, subscriber: ISubscriber) -> None:
        """
        Add a subscriber. Adding it again does nothing.
        """
        self._channels.setdefault(channel, {})[subscriber] = None

    def remove(self, channel: str, subscriber: ISubscriber) -> None:
        """
        Remove a subscriber. Removing a stranger does nothing.
        """
        subscribers = self._channels.get(channel)
        if subscribers is None:
            return
        subscribers.pop(subscriber, None)
        if not subscribers:
            del self._channels[channel]

    def deliver(self, channel: str, publication: Publication) -> None:
        """
        Call all subscribers of a channel. If one raises, the others are called, too.
        """
        for subscriber in tuple(self._channels.get(channel, ())):
            try:
                subscriber.published(channel, publication)
            except BaseException:
                # Applications' subscribers may raise anything.
                _log.failure("a subscriber of {channel} failed", channel=channel)


class LocalPresence:
    """
    The presence of channels that only one server has; see
    L{wsplug.interfaces.IBroker}.
    """

    def __init__(self) -> None:
        self._present: dict[str, dict[str, bytes]] = {}

    def enter(self, channel: str, key: str, info: bytes = b"") -> Deferred[bool]:
        info = toData(channel, info)
        present = self._present.setdefault(channel, {})
        if key in present:
            return succeed(False)
        present[key] = info
        return succeed(True)

    def update(self, channel: str, key: str, info: bytes) -> Deferred[bool]:
        info = toData(channel, info)
        present = self._present.get(channel, {})
        if key not in present:
            return succeed(False)
        present[key] = info
        return succeed(True)

    def leave(self, channel: str, key: str) -> Deferred[None]:
        present = self._present.get(channel)
        if present is not None:
            present.pop(key, None)
            if not present:
                del self._present[channel]
        return succeed(None)

    def presence(self, channel: str) -> Deferred[Mapping[str, bytes]]:
        return succeed(dict(self._present.get(channel, {})))
