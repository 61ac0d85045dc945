"""
The base of the chat's messages, and what several kinds of messages share.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

__all__ = ["Identity", "Message", "PersonInfo", "encode", "readPerson"]

Identity = int | Annotated[str, Meta(min_length=1, max_length=64)]
"""
A person's id, or the id that a tutorial's client has registered.
"""


class Message(msgspec.Struct, tag_field="type", omit_defaults=True):
    """
    A message with a C{type}.
    """


class PersonInfo(msgspec.Struct, omit_defaults=True):
    """
    A person, as others see them. The broker's presence has this data.
    """

    id: str
    name: str
    color: str
    guest: bool = False


_PERSON: Final = msgspec.json.Decoder(PersonInfo)
_encoder: Final = msgspec.json.Encoder()


def encode(message: msgspec.Struct) -> bytes:
    """
    Encode a message.
    """
    return _encoder.encode(message)


def readPerson(data: bytes) -> PersonInfo:
    """
    Decode a person from the broker's presence.
    """
    return _PERSON.decode(data)
