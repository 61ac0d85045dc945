"""
The events that a chat publishes through the broker. Clients get them with the room, the
time and the position added.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from wsplug.apps.chat.messages import Message, PersonInfo
from wsplug.apps.chat.requests import Typing
from wsplug.broker import Publication
from wsplug.jsontext import decodeJSON

__all__ = [
    "Change",
    "Deleted",
    "Edited",
    "Event",
    "Notice",
    "Presence",
    "Presences",
    "Said",
    "addMetadata",
    "applyChanges",
    "isChange",
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
    reply_to: str | None = None
    edited: bool = False
    deleted: bool = False
    room: str | None = None
    offset: int | None = None
    time: float | None = None


class Edited(Message, tag="edited"):
    """
    A person has changed the text of their message.
    """

    id: str
    from_id: str
    message: str
    room: str | None = None
    offset: int | None = None
    time: float | None = None


class Deleted(Message, tag="deleted"):
    """
    A person has deleted their message.
    """

    id: str
    from_id: str
    room: str | None = None
    offset: int | None = None
    time: float | None = None


class Presence(Message, tag="presence"):
    """
    A person has joined, left, or changed their name or colour.
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


Event = Said | Edited | Deleted | Presence | Presences | Typing | Notice

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
    if isinstance(event, (Said, Edited, Deleted)):
        event.time = round(publication.time, 3)
        event.offset = publication.offset if publication.isStored else None
    return event


def isChange(publication: Publication) -> bool:
    """
    Tell whether a publication is an L{Edited} or a L{Deleted}, which begin with their
    tag.
    """
    return publication.data.startswith((b'{"type":"edited"', b'{"type":"deleted"'))


def applyChanges(events: Iterable[Event]) -> list[Event]:
    """
    Show messages as they are now.

    @param events: in the order of publishing.
    @return: the events, without the changes that are applied to one of them.
    """
    shown: dict[str, Said] = {}
    others: list[Event] = []
    for event in events:
        said = shown.get(event.id) if isinstance(event, (Edited, Deleted)) else None
        if isinstance(event, Said):
            shown[event.id] = event
            others.append(event)
        elif said is None or event.from_id != said.from_id:  # type: ignore[union-attr]
            others.append(event)
        elif isinstance(event, Edited) and not said.deleted:
            shown[said.id] = replace(said, message=event.message, edited=True)
        elif isinstance(event, Deleted):
            shown[said.id] = replace(said, message="", edited=False, deleted=True)
    return [shown[each.id] if isinstance(each, Said) else each for each in others]
