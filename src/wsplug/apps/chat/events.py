"""
The events that a chat publishes through the broker. Clients get them with the room, the
time and the position added.
"""

from __future__ import annotations

from typing import Final

import msgspec

from wsplug.apps.chat.messages import Message, PersonInfo
from wsplug.apps.chat.requests import Typing
from wsplug.broker import Publication
from wsplug.jsontext import decodeJSON

__all__ = [
    "Change",
    "Event",
    "Notice",
    "Presence",
    "Presences",
    "Said",
    "addMetadata",
    "readEvent",
]


class Said(Message, tag="usermsg"):
    """
    A message to a room or a person.
    """

    id: str
    from_id: str
    name: str
    color: str
    message: str
    to_id: str | None = None
    to_name: str | None = None
    guest: bool = False
    ref: str | None = None
    room: str | None = None
    offset: int | None = None
    time: float | None = None


class Presence(Message, tag="presence"):
    """
    Somebody has joined, left, or changed their name or colour.
    """

    event: str
    id: str
    name: str
    color: str
    count: int
    was: str | None = None
    quiet: bool = False
    guest: bool = False
    room: str | None = None


class Change(msgspec.Struct, omit_defaults=True):
    """
    One of the changes in L{Presences}; the same as a L{Presence}.
    """

    event: str
    id: str
    name: str
    color: str
    was: str | None = None
    quiet: bool = False
    guest: bool = False


class Presences(Message, tag="presences"):
    """
    Several people have joined, left or changed. It has each change or, if there are too
    many of them, the people who are present and how many have joined and left.
    """

    count: int
    events: list[Change] = msgspec.field(default_factory=list)
    people: list[PersonInfo] | None = None
    joined: int = 0
    left: int = 0
    room: str | None = None


class Notice(Message, tag="system"):
    """
    A classic client has connected or disconnected.
    """

    message: str
    room: str | None = None


Event = Said | Presence | Presences | Typing | Notice

_EVENT: Final = msgspec.json.Decoder(Event)


def readEvent(publication: Publication, room: str) -> Event:
    """
    Decode a publication.

    @param room: the room to name in the event.
    @raise msgspec.MsgspecError: the publication isn't one of the chat's.
    """
    return addMetadata(decodeJSON(_EVENT, publication.data), publication, room)


def addMetadata(event: Event, publication: Publication, room: str) -> Event:
    """
    Add to an event where and when it was published.

    @return: the event, as clients get it.
    """
    event.room = room
    if isinstance(event, Said):
        event.time = round(publication.time, 3)
        event.offset = publication.offset if publication.isStored else None
    return event
