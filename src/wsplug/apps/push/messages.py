"""
The messages of subscribers, and those that they get.
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
    Subscribe to a channel.

    @ivar since: the position after which the client wants what it has missed.
    @ivar limit: the most messages of the past that the client wants.
    """

    channel: str
    since: WirePosition | None = None
    limit: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    request: RequestId = None


class Unsubscribe(msgspec.Struct, tag_field="type", tag="unsubscribe"):
    """
    Unsubscribe from a channel.
    """

    channel: str
    request: RequestId = None


class Ping(msgspec.Struct, tag_field="type", tag="ping"):
    """
    Ask the server for a pong.
    """

    request: RequestId = None


FROM_CLIENTS: Final = msgspec.json.Decoder(Subscribe | Unsubscribe | Ping)
"""
Decodes what clients may send.
"""


class Subscribed(
    msgspec.Struct, tag_field="type", tag="subscribed", omit_defaults=True
):
    """
    The answer to L{Subscribe}.

    @ivar position: the channel's latest position.
    @ivar recovered: whether C{messages} has everything after the position in the
        request; unset without one.
    @ivar messages: messages of the past, as L{encodeMessage} makes them.
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
    The answer to L{Unsubscribe}.
    """

    channel: str
    request: RequestId = None


class Pong(msgspec.Struct, tag_field="type", tag="pong", omit_defaults=True):
    """
    The answer to L{Ping}.
    """

    request: RequestId = None


class Gap(msgspec.Struct, tag_field="type", tag="gap"):
    """
    Messages were dropped because the client reads too slowly.
    """

    channel: str
    count: int


class Notice(msgspec.Struct, tag_field="type", tag="notice"):
    """
    A notice of the server's operator.
    """

    message: str


class _Message(
    msgspec.Struct,
    tag_field="type",
    tag="message",
    kw_only=True,
):
    """
    A publication. It has an offset only if it is stored.
    """

    channel: str
    offset: int | UnsetType
    time: float
    data: Raw | UnsetType = UNSET
    data64: str | UnsetType = UNSET


_encoder: Final = msgspec.json.Encoder()


def encodeMessage(channel: str, publication: Publication) -> bytes:
    """
    Encode a publication as JSON. Data that is JSON is embedded unchanged, other UTF-8
    as a string, and everything else in base64.

    @param channel: the channel's name for clients.
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
        return checkJSON(text)  # not decoded and encoded again
    except NotJSON:
        return Raw(_encoder.encode(text))


def encodeBare(publication: Publication) -> str | bytes:
    """
    Make a message of a publication's bare data: a text message if it is UTF-8, else a
    binary one.
    """
    try:
        return publication.data.decode("utf-8")
    except UnicodeDecodeError:
        return publication.data
