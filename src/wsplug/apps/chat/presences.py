"""
Tells rooms who has joined, left, or changed their name. Few changes are sent at once,
more of them in batches. If a batch has too many changes, the room is told who is there
instead.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from wsplug.apps.chat.channelnames import ChannelNames
from wsplug.apps.chat.collecting import Collected
from wsplug.apps.chat.events import Change, Event, Presence, Presences
from wsplug.apps.chat.messages import encode, readPerson
from wsplug.errors import BrokerError
from wsplug.interfaces import IBroker

__all__ = ["SHOWN", "Teller", "summary", "words"]

SHOWN: Final = 200
"""
How many people of a room clients are told of.
"""

_LISTED: Final = 20
"""
How many changes a batch lists. With more, it lists who is there instead.
"""

_SELDOM: Final = 5.0
"""
Seconds until the next batch after such a one.
"""

_NAMED: Final = 3
"""
How many people a notice in words names.
"""


class Teller:
    """
    Tells the rooms of a chat.
    """

    _log = Logger()

    def __init__(
        self, broker: IBroker, clock: IReactorTime, channelNames: ChannelNames
    ) -> None:
        self._broker = broker
        self._channelNames = channelNames
        # By the person's id.
        self._collected: Collected[dict[str, Change]] = Collected(
            clock, dict, self._flush
        )

    async def tell(self, room: str, change: Change) -> None:
        """
        Tell a room of a change, at once or in a batch.

        @raise BrokerError: the broker failed.
        """
        waiting = self._collected.add(room)
        if waiting is None:
            await self._publish(room, [change])
            return
        merged = _merge(waiting.get(change.id), change)
        if merged is None:
            del waiting[change.id]
        else:
            waiting[change.id] = merged

    def stop(self) -> None:
        """
        Drop all batches.
        """
        self._collected.stop()

    def _flush(self, room: str, waiting: dict[str, Change]) -> None:
        changes = list(waiting.values())
        if not changes:
            return
        if len(changes) > _LISTED:
            self._collected.wait(room, _SELDOM)

        async def publish() -> None:
            try:
                await self._publish(room, changes)
            except BrokerError as error:
                self._log.error(
                    "chat: a room wasn't told who is there: {error}", error=error
                )

        Deferred.fromCoroutine(publish())

    async def _publish(self, room: str, changes: list[Change]) -> None:
        channel = self._channelNames.forRoom(room)
        present = await self._broker.presence(channel)
        event: Event
        if len(changes) == 1:
            event = _single(changes[0], len(present))
        elif len(changes) <= _LISTED:
            event = Presences(len(present), changes)
        else:
            people = [readPerson(info) for info in islice(present.values(), SHOWN)]
            loud = [change.event for change in changes if not change.quiet]
            joined, left = loud.count("joined"), loud.count("left")
            event = Presences(len(present), people=people, joined=joined, left=left)
        await self._broker.publish(channel, encode(event), store=False)


def _single(change: Change, count: int) -> Presence:
    return Presence(
        change.event,
        change.id,
        change.name,
        change.color,
        count,
        change.was,
        change.quiet,
        change.guest,
    )


def _merge(before: Change | None, now: Change) -> Change | None:
    """
    Merge two changes of a person.

    @return: C{None} if they cancel each other.
    """
    if before is None:
        return now
    if now.event == "left":
        if before.event == "joined":
            return None
        return replace(now, name=before.was or before.name)
    if before.event == "joined":
        return replace(now, event="joined", was=None, quiet=before.quiet)
    was = before.name if before.event == "left" else before.was or now.was
    return replace(now, event="changed", was=None if was == now.name else was)


def summary(event: Presence | Presences) -> str:
    """
    Describe in words who has joined and left.

    @return: empty if clients needn't mention anything.
    """
    if isinstance(event, Presence):
        return words([event.name], 0, event.event) if _isTold(event) else ""
    told = [change for change in event.events if _isTold(change)]
    parts = [
        words([each.name for each in told if each.event == kind], more, kind)
        for kind, more in (("joined", event.joined), ("left", event.left))
    ]
    return "; ".join(filter(None, parts))


def _isTold(change: Change | Presence) -> bool:
    return not change.quiet and change.event != "changed"


def words(names: list[str], more: int, event: str) -> str:
    """
    Name some people, and count the others.

    @param more: the number of people that C{names} doesn't have.
    @return: empty without people.
    """
    more += len(names[_NAMED:])
    shown = ", ".join(names[:_NAMED])
    if not more:
        return f"{shown} {event}" if shown else ""
    if not shown:
        return f"{more} {'person' if more == 1 else 'people'} {event}"
    return f"{shown} and {more} other{'' if more == 1 else 's'} {event}"
