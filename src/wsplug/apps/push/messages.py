"""
What goes over the wire: the messages of subscribers, and those to them.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from wsplug.broker import Publication
from wsplug.jsonmessages import RequestId, WirePosition
from wsplug.jsontext import NotJSON, checkJSON

__all__ = [
    "FROM_CLIENTS",
    "Gap",
    "Notice",
    "Ping",
    "Pong",
    "Subscribe",
    "Subscribed",
    "Unsubscribe",
    "Unsubscribed",
    "encodeBare",
    "encodeMessage",
]


class Subscribe(msgspec.Struct, tag_field="type", tag="subscribe"):
    """
    A client wants what is published in a channel.

    @ivar since: the position that it has already.
    @ivar limit: how many messages of the past it wants at most.
    """

    channel: str
    since: WirePosition | None = None
    limit: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    request: RequestId = None


class Unsubscribe(msgspec.Struct, tag_field="type", tag="unsubscribe"):
    """
    It wants no more of that.
    """

    channel: str
    request: RequestId = None


class Ping(msgspec.Struct, tag_field="type", tag="ping"):
    """
    It wants to know whether the server is there.
    """

    request: RequestId = None


FROM_CLIENTS: Final = msgspec.json.Decoder(Subscribe | Unsubscribe | Ping)
"""
Reads whatever clients may send.
"""


class Subscribed(
    msgspec.Struct, tag_field="type", tag="subscribed", omit_defaults=True
):
    """
    It has the channel from now on.

    @ivar position: where the channel is.
    @ivar recovered: whether C{messages} has all since the position that it named; there
        only if it named one.
    @ivar messages: the past, as L{encodeMessage} makes it.
    """

    channel: str
    position: WirePosition
    messages: list[Raw]
    request: RequestId = None
    recovered: bool | UnsetType = UNSET


class Unsubscribed(
    msgspec.Struct, tag_field="type", tag="unsubscribed", omit_defaults=True
):
    """
    It has it no more.
    """

    channel: str
    request: RequestId = None


class Pong(msgspec.Struct, tag_field="type", tag="pong", omit_defaults=True):
    """
    The server is there.
    """

    request: RequestId = None


class Gap(msgspec.Struct, tag_field="type", tag="gap"):
    """
    It has missed some messages, because it reads too slowly.
    """

    channel: str
    count: int


class Notice(msgspec.Struct, tag_field="type", tag="notice"):
    """
    The server's operator has something to say.
    """

    message: str


class _Message(
    msgspec.Struct,
    tag_field="type",
    tag="message",
    kw_only=True,
):
    """
    A publication. What isn't stored has no offset.
    """

    channel: str
    offset: int | UnsetType
    time: float
    data: Raw | UnsetType = UNSET
    data64: str | UnsetType = UNSET


_encoder: Final = msgspec.json.Encoder()


def encodeMessage(channel: str, publication: Publication) -> bytes:
    """
    Make the message for a publication, as JSON: its bytes as they are if they are JSON,
    as a string if they are other UTF-8, else in base64.

    @param channel: as clients call it.
    """
    message = _Message(
        channel=channel,
        offset=publication.offset if publication.isStored else UNSET,
        time=round(publication.time, 3),
    )
    try:
        text = publication.data.decode("utf-8")
    except UnicodeDecodeError:
        message.data64 = b64encode(publication.data).decode("ascii")
    else:
        message.data = _asJSON(text)
    return _encoder.encode(message)


def _asJSON(text: str) -> Raw:
    try:
        return checkJSON(text)  # neither built nor encoded again
    except NotJSON:
        return Raw(_encoder.encode(text))


def encodeBare(publication: Publication) -> str | bytes:
    """
    Make the message for a publication that is nothing but its bytes: a text message if
    they are UTF-8.
    """
    try:
        return publication.data.decode("utf-8")
    except UnicodeDecodeError:
        return publication.data
