"""
The messages of classic clients: the browser clients of the WebSocket tutorials.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from wsplug.apps.chat.messages import Identity, Message
from wsplug.jsonmessages import RequestId

__all__ = ["CLASSIC", "ClassicMessage", "ClassicNotice", "ClassicSaid"]


class ClassicMessage(msgspec.Struct):
    """
    A message of a tutorial's client. The tutorials differ in which keys they send.
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
    A message, as classic clients get it: with only the keys that they know.
    """

    name: str
    message: str
    color: str


class ClassicNotice(Message, tag="system"):
    """
    A notice, which stands for all other events.
    """

    message: str
