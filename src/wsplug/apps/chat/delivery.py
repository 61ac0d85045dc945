"""
Delivers what is published in a chat: to each connection, in the format of its client.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import Final

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from wsplug.apps.chat.channelnames import ChannelNames
from wsplug.apps.chat.classicmessages import ClassicNotice, ClassicSaid
from wsplug.apps.chat.events import (
    Event,
    Notice,
    Presence,
    Presences,
    Said,
    addMetadata,
    applyChanges,
    readEvent,
)
from wsplug.apps.chat.messages import encode
from wsplug.apps.chat.presences import summary
from wsplug.apps.chat.requests import Gap
from wsplug.broker import Backlog, Channels, History, Publication
from wsplug.interfaces import IBroker
from wsplug.jsonmessages import write

__all__ = ["MAX_RECOVERED", "Delivery", "fitHistory"]

MAX_RECOVERED: Final = 500
"""
Missed messages that a client gets when it comes back, at most.
"""

_MAX_RECOVERED_SIZE: Final = 512 * 1024
"""
Bytes of them, at most. The answer has to fit into what may wait for a client.
"""


class Delivery:
    """
    Subscribes connections to a chat's channels, and encodes events for them.

    @ivar modern: the connections that speak C{wsplug.chat.v1}.
    @ivar classic: the connections of classic clients.
    """

    _log = Logger()

    def __init__(
        self,
        broker: IBroker,
        clock: IReactorTime,
        channelNames: ChannelNames,
        backlog: Backlog,
    ) -> None:
        """
        @param backlog: how much may wait for a client that reads too slowly.
        """
        self._channelNames = channelNames
        self._latest: tuple[bytes, Event | None] = b"", None
        self.modern = Channels(
            broker, clock, self._encodeModern, self._encodeGap, backlog
        )
        self.classic = Channels(
            broker, clock, self._encodeClassic, self._encodeClassicGap, backlog
        )

    def expect(self, data: bytes, event: Event) -> None:
        """
        Remember an event that is about to be published, so that it needn't be decoded.
        """
        self._latest = data, event

    def encodeHistory(
        self,
        room: str,
        publications: Iterable[Publication],
        later: Iterable[Publication] = (),
        *,
        onlyMessages: bool = False,
    ) -> list[msgspec.Raw]:
        """
        Encode a room's history for clients that speak C{wsplug.chat.v1}: the messages
        as they are now.

        @param later: changes behind that part of the history.
        @param onlyMessages: whether changes of messages that aren't there are left out.
        """
        read = (self._read(each, room) for each in chain(publications, later))
        events = applyChanges(event for event in read if event is not None)
        return [
            msgspec.Raw(encode(event))
            for event in events
            if isinstance(event, Said) or not onlyMessages
        ]

    def _read(self, publication: Publication, room: str) -> Event | None:
        data, event = self._latest
        if publication.data is data and event is not None:
            return addMetadata(event, publication, room)
        try:
            return readEvent(publication, room)
        except msgspec.MsgspecError as error:
            self._log.warn(
                "chat: ignoring a publication in {room} that isn't the chat's: {error}",
                room=room,
                error=error,
            )
            return None

    def _encodeModern(self, channel: str, publication: Publication) -> str | None:
        event = self._read(publication, self._channelNames.roomOf(channel))
        return None if event is None else write(event)

    def _encodeGap(self, channel: str, count: int) -> str:
        return write(Gap(self._channelNames.roomOf(channel), count))

    def _encodeClassic(self, channel: str, publication: Publication) -> str | None:
        event = self._read(publication, self._channelNames.roomOf(channel))
        if isinstance(event, Said):
            said = ClassicSaid(event.name, event.message, event.color)
            return write(said)
        if isinstance(event, Notice):
            return write(ClassicNotice(event.message))
        if isinstance(event, (Presence, Presences)):
            words = summary(event)
            return write(ClassicNotice(words)) if words else None
        return None

    def _encodeClassicGap(self, channel: str, count: int) -> str:
        return write(ClassicNotice(f"{count} messages are missing here"))


def fitHistory(history: History) -> History:
    """
    Cut a history so that it fits into an answer. The latest messages remain.
    """
    size = 0
    publications = history.publications
    for index in range(len(publications) - 1, -1, -1):
        size += len(publications[index].data)
        if size > _MAX_RECOVERED_SIZE:
            return replace(
                history, publications=publications[index + 1 :], isComplete=False
            )
    return history
