"""
The chat's JSON: what clients send, and what is published, which clients get with a few
more keys.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from wsplug.broker import Publication
from wsplug.jsonmessages import RequestId, WirePosition
from wsplug.jsontext import decodeJSON

__all__ = [
    "CLASSIC",
    "REQUEST",
    "Change",
    "ClassicMessage",
    "ClassicNotice",
    "ClassicSaid",
    "Event",
    "Find",
    "Found",
    "Gap",
    "Hello",
    "Identity",
    "Join",
    "Joined",
    "Leave",
    "Left",
    "Named",
    "Notice",
    "OperatorNotice",
    "PersonInfo",
    "Ping",
    "Pong",
    "Presence",
    "Presences",
    "Rename",
    "Request",
    "Said",
    "Say",
    "Sent",
    "Typing",
    "Welcome",
    "encode",
    "placeEvent",
    "readEvent",
    "readPerson",
]

Identity = int | Annotated[str, Meta(min_length=1, max_length=64)]
"""
A client's own id, as the tutorials' clients register it, or a person's.
"""

_Name = Annotated[str, Meta(max_length=200)]
_Color = Annotated[str, Meta(max_length=64)] | None
_Room = Annotated[str, Meta(max_length=200)]


class Message(msgspec.Struct, tag_field="type", omit_defaults=True):
    """
    Anything with a C{type}.
    """


# What clients of wsplug.chat.v1 ask for


class Hello(Message, tag="hello"):
    """
    Who the client is.
    """

    name: _Name
    color: _Color = None
    key: Annotated[str, Meta(min_length=16, max_length=128)] | None = None
    request: RequestId = None


class Join(Message, tag="join"):
    """
    It wants to be in a room.
    """

    room: _Room
    since: WirePosition | None = None
    limit: Annotated[int, Meta(ge=0)] | None = None
    request: RequestId = None


class Leave(Message, tag="leave"):
    """
    It doesn't any more.
    """

    room: _Room
    request: RequestId = None


class Find(Message, tag="find"):
    """
    It wants to know what a room is called.
    """

    room: _Room
    request: RequestId = None


class Say(Message, tag="usermsg"):
    """
    It has something to say: to a room, or to somebody.
    """

    message: str
    room: _Room | None = None
    to_id: Identity | None = None
    ref: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    request: RequestId = None


class Typing(Message, tag="typing"):
    """
    It is writing something. What is published of it says who, what the client gets,
    where.
    """

    room: _Room | None = None
    id: str | None = None
    name: str | None = None


class Rename(Message, tag="name"):
    """
    It wants to be called otherwise.
    """

    name: _Name
    color: _Color = None
    request: RequestId = None


class Ping(Message, tag="ping"):
    """
    Whether the server is there.
    """

    request: RequestId = None


Request = Hello | Join | Leave | Find | Say | Typing | Rename | Ping

REQUEST: Final = msgspec.json.Decoder(Request)


# What they get


class Welcome(Message, tag="welcome"):
    """
    The answer to L{Hello}.
    """

    id: str
    name: str
    color: str
    room: str
    rooms: list[str]
    other_rooms: bool
    max_length: int
    fixed_name: bool = False
    request: RequestId = None


class Pong(Message, tag="pong"):
    """
    The answer to L{Ping}.
    """

    request: RequestId = None


class PersonInfo(msgspec.Struct, omit_defaults=True):
    """
    What the others know of somebody; what the broker has of who is present.
    """

    id: str
    name: str
    color: str
    guest: bool = False


class Joined(Message, tag="joined"):
    """
    The answer to L{Join}.
    """

    room: str
    name: str
    position: WirePosition
    recovered: bool
    messages: list[msgspec.Raw]
    people: list[PersonInfo]
    count: int
    request: RequestId = None


class Left(Message, tag="left"):
    """
    The answer to L{Leave}.
    """

    room: str
    request: RequestId = None


class Found(Message, tag="found"):
    """
    The answer to L{Find}.
    """

    room: str
    request: RequestId = None


class Sent(Message, tag="sent"):
    """
    The answer to L{Say}.
    """

    room: str
    id: str
    time: float
    request: RequestId = None


class Named(Message, tag="named"):
    """
    The answer to L{Rename}.
    """

    name: str
    color: str
    names: dict[str, str]
    request: RequestId = None


class Gap(Message, tag="gap"):
    """
    Some messages were dropped, because the client reads too slowly.
    """

    room: str
    count: int


class OperatorNotice(Message, tag="notice"):
    """
    The server's operator has something to say.
    """

    message: str


# What is published; clients get it with the room, and with what the broker knows of it


class Said(Message, tag="usermsg"):
    """
    Somebody has said something.
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
    Somebody has come, gone, or changed.
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
    What L{Presence} tells, among others of its kind.
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
    Several have come, gone, or changed: what each has done, or who is here now and how
    many have come and gone.
    """

    count: int
    events: list[Change] = []
    people: list[PersonInfo] | None = None
    joined: int = 0
    left: int = 0
    room: str | None = None


class Notice(Message, tag="system"):
    """
    A classic client has come or gone.
    """

    message: str
    room: str | None = None


Event = Said | Presence | Presences | Typing | Notice

_EVENT: Final = msgspec.json.Decoder(Event)
_PERSON: Final = msgspec.json.Decoder(PersonInfo)
_encoder: Final = msgspec.json.Encoder()


def encode(message: msgspec.Struct) -> bytes:
    """
    Make JSON.
    """
    return _encoder.encode(message)


def readEvent(publication: Publication, room: str) -> Event:
    """
    Read what was published.

    @param room: where: it is told to the client.
    @raise msgspec.MsgspecError: something else has published there.
    """
    return placeEvent(decodeJSON(_EVENT, publication.data), publication, room)


def placeEvent(event: Event, publication: Publication, room: str) -> Event:
    """
    Tell an event where and when it was published.

    @return: the event, as clients get it.
    """
    event.room = room
    if isinstance(event, Said):
        event.time = round(publication.time, 3)
        event.offset = publication.offset if publication.isStored else None
    return event


def readPerson(data: bytes) -> PersonInfo:
    """
    Read what the broker has of somebody.
    """
    return _PERSON.decode(data)


# The tutorials' clients


class ClassicMessage(msgspec.Struct):
    """
    Whatever a tutorial's client sends: they differ in what they leave out.
    """

    type: str | None = None
    name: str | int | float | None = None
    message: str | int | float | None = None
    color: str | int | None = None
    id: Identity | None = None
    to_id: int | Annotated[str, Meta(max_length=64)] | None = None
    request: RequestId = None


CLASSIC: Final = msgspec.json.Decoder(ClassicMessage)


class ClassicSaid(Message, tag="usermsg"):
    """
    What such a client gets of what was said: no key that it doesn't know.
    """

    name: str
    message: str
    color: str


class ClassicNotice(Message, tag="system"):
    """
    What it gets of all else.
    """

    message: str
