"""
Edits and deletes messages, and reads older ones.

A channel's history can't be changed. So a change is published as an event of its own,
and readers of the history get messages as they are now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import msgspec
from twisted.internet.interfaces import IReactorTime

from wsplug.apps.chat.channelnames import ChannelNames
from wsplug.apps.chat.delivery import Delivery, fitHistory
from wsplug.apps.chat.events import Deleted, Edited, Said, isChange, readEvent
from wsplug.apps.chat.messages import encode
from wsplug.apps.chat.person import Person
from wsplug.apps.chat.presencelimits import MAX_PEOPLE
from wsplug.apps.chat.requests import OlderMessages
from wsplug.broker import Position, Publication
from wsplug.interfaces import IBroker
from wsplug.jsonmessages import RequestRefused, WirePosition
from wsplug.rates import RateLimiter

__all__ = ["MAX_CHANGEABLE", "Changes"]

MAX_CHANGEABLE: Final = 500
"""
Publications of a room, from its end, in which a message is looked for.
"""

_MAX_SCANNED: Final = 5000
"""
Publications of a room, from its end, in which older messages are looked for.
"""

_READ_RATE: Final = 2.0
"""
Requests for older messages a second that a person may send in the long run.
"""

_READ_BURST: Final = 20
"""
Those that they may send at once.
"""


class Changes:
    """
    What people do with messages that were sent before.
    """

    def __init__(
        self,
        broker: IBroker,
        clock: IReactorTime,
        channelNames: ChannelNames,
        delivery: Delivery,
    ) -> None:
        self._broker = broker
        self._channelNames = channelNames
        self._delivery = delivery
        self._reads = RateLimiter(clock, _READ_RATE, _READ_BURST)
        self._networkReads = RateLimiter(
            clock, MAX_PEOPLE * _READ_RATE, MAX_PEOPLE * _READ_BURST
        )

    async def edit(self, person: Person, channel: str, id: str, text: str) -> None:
        """
        Change the text of a message that the person has sent.

        @param channel: the room's, or the person's own.
        @param text: the text, checked as that of a new message.
        @raise RequestRefused: there is no such message, or another person sent it.
        @raise BrokerError: the change couldn't be published in all channels.
        """
        said = await self._find(person, channel, id)
        await self._publish(said, channel, Edited(id, person.id, text))

    async def delete(self, person: Person, channel: str, id: str) -> None:
        """
        Delete a message that the person has sent.

        @raise RequestRefused: as for L{edit}.
        @raise BrokerError: as for L{edit}.
        """
        said = await self._find(person, channel, id)
        await self._publish(said, channel, Deleted(id, person.id))

    async def older(
        self, person: Person, room: str, channel: str, before: Position, limit: int
    ) -> OlderMessages:
        """
        Read the messages before a position, as they are now.

        @raise RequestRefused: the person asks too often.
        @raise BrokerError: they can't be read.
        """
        wait = self._reads.take(person.rateKey) or self._networkReads.take(
            person.network
        )
        if wait:
            raise RequestRefused(
                "rate-limited",
                f"too many requests; try again in {wait:.1f} seconds",
                retryAfter=round(wait, 3),
            )
        start = max(before.offset - 1 - limit, 0)
        since = Position(start, before.epoch)
        history = await self._broker.history(channel, since, _MAX_SCANNED)
        if history.position.epoch != before.epoch:
            return OlderMessages(room, [], False, WirePosition.of(before))
        wanted = [each for each in history.publications if each.offset < before.offset]
        later = history.publications[len(wanted) :]
        fitting = fitHistory(replace(history, publications=tuple(wanted)))
        isCut = len(fitting.publications) < len(wanted)
        messages = self._delivery.encodeHistory(
            room, fitting.publications, filter(isChange, later), onlyMessages=True
        )
        # There may be changes only, of which the client sees nothing.
        first = fitting.publications[0].offset if fitting.publications else start + 1
        return OlderMessages(
            room,
            messages,
            isCut or (history.isComplete and start > 0),
            WirePosition(first, before.epoch),
        )

    async def _find(self, person: Person, channel: str, id: str) -> Said:
        history = await self._broker.history(channel, limit=MAX_CHANGEABLE)
        found = _lookFor(id, history.publications)
        if found is None:
            raise RequestRefused("no-such-message", "this message isn't here any more")
        if found.from_id != person.id:
            raise RequestRefused("not-yours", "this message is somebody else's")
        return found

    async def _publish(self, said: Said, channel: str, event: Edited | Deleted) -> None:
        """
        Publish a change where the message was published: the recipient's channel comes
        first.
        """
        channels = {channel: True}
        if said.to_id is not None:
            other = self._channelNames.forPerson(said.to_id)
            channels = {other: said.to_id.startswith("p-"), channel: True}
        for name, isStored in channels.items():
            await self._broker.publish(name, encode(event), store=isStored)


def _lookFor(id: str, publications: Iterable[Publication]) -> Said | None:
    """
    Find a message that isn't deleted.
    """
    found: Said | None = None
    for publication in publications:
        if id.encode() not in publication.data:
            continue
        try:
            event = readEvent(publication, "")
        except msgspec.MsgspecError:
            continue  # not the chat's
        if isinstance(event, Said) and event.id == id:
            found = event
        elif isinstance(event, Deleted) and event.id == id:
            found = None
    return found
