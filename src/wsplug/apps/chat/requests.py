"""
The messages of the subprotocol C{wsplug.chat.v1}: requests and their answers.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from wsplug.apps.chat.messages import Identity, Message, PersonInfo
from wsplug.jsonmessages import RequestId, WirePosition

__all__ = [
    "REQUEST",
    "Changed",
    "Delete",
    "Edit",
    "Find",
    "Found",
    "Gap",
    "Hello",
    "Join",
    "Joined",
    "Leave",
    "Left",
    "Named",
    "Older",
    "OlderMessages",
    "OperatorNotice",
    "Ping",
    "Pong",
    "Rename",
    "Request",
    "Say",
    "Sent",
    "Typing",
    "Welcome",
]

_Name = Annotated[str, Meta(max_length=200)]
_Color = Annotated[str, Meta(max_length=64)] | None
_Room = Annotated[str, Meta(max_length=200)]
_MessageId = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]


# Requests


class Hello(Message, tag="hello"):
    """
    Say who the client is.
    """

    name: _Name
    color: _Color = None
    key: Annotated[str, Meta(min_length=16, max_length=128)] | None = None
    request: RequestId = None


class Join(Message, tag="join"):
    """
    Join a room.
    """

    room: _Room
    since: WirePosition | None = None
    limit: Annotated[int, Meta(ge=0)] | None = None
    request: RequestId = None


class Leave(Message, tag="leave"):
    """
    Leave a room.
    """

    room: _Room
    request: RequestId = None


class Find(Message, tag="find"):
    """
    Ask for the canonical name of a room.
    """

    room: _Room
    request: RequestId = None


class Say(Message, tag="usermsg"):
    """
    Send a message to a room or a person.
    """

    message: str
    room: _Room | None = None
    to_id: Identity | None = None
    ref: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    reply_to: _MessageId | None = None
    request: RequestId = None


class Edit(Message, tag="edit"):
    """
    Change the text of one's own message.
    """

    room: _Room
    id: _MessageId
    message: str
    request: RequestId = None


class Delete(Message, tag="delete"):
    """
    Delete one's own message.
    """

    room: _Room
    id: _MessageId
    request: RequestId = None


class Older(Message, tag="history"):
    """
    Ask for the messages before a position.
    """

    room: _Room
    before: WirePosition
    limit: Annotated[int, Meta(ge=1, le=100)] = 50
    request: RequestId = None


class Typing(Message, tag="typing"):
    """
    Say that the user is typing. The published event has the person, and the one that
    clients get has the room as well.
    """

    room: _Room | None = None
    id: str | None = None
    name: str | None = None


class Rename(Message, tag="name"):
    """
    Change the name or the colour.
    """

    name: _Name
    color: _Color = None
    request: RequestId = None


class Ping(Message, tag="ping"):
    """
    Ask the server for a pong.
    """

    request: RequestId = None


Request = (
    Hello | Join | Leave | Find | Say | Edit | Delete | Older | Typing | Rename | Ping
)

REQUEST: Final = msgspec.json.Decoder(Request)


# Answers, and what else only the client gets


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


class Changed(Message, tag="changed"):
    """
    The answer to L{Edit} and L{Delete}.
    """

    room: str
    id: str
    request: RequestId = None


class OlderMessages(Message, tag="history"):
    """
    The answer to L{Older}.

    @ivar before: the position to ask with for still older messages.
    """

    room: str
    messages: list[msgspec.Raw]
    more: bool
    before: WirePosition
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
    Messages were dropped because the client reads too slowly.
    """

    room: str
    count: int


class OperatorNotice(Message, tag="notice"):
    """
    A notice of the server's operator.
    """

    message: str
