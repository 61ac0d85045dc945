"""
The messages of rooms: as they are in the broker's channels, and as clients get them.

In a channel, a text message is its UTF-8. Everything else begins with a byte that UTF-8
doesn't have. So a room also accepts text that other programs publish to its channel.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from wsplug.broker import Position, Publication
from wsplug.jsonmessages import RequestId, WirePosition, decoderOf, write
from wsplug.jsontext import NotJSON, checkJSON, decodeJSON
from wsplug.payloads import toMessage

__all__ = [
    "NOBODY",
    "RoomMessage",
    "Unpacked",
    "encodeGap",
    "encodeJoined",
    "encodeLeft",
    "encodePositioned",
    "pack",
    "unpack",
]

_MARK: Final = 0xFF
_TEXT: Final = 0x74
_BINARY: Final = 0x62

_SENDER_SIZE: Final = 8
_HEAD: Final = 2 + _SENDER_SIZE

NOBODY: Final = bytes(_SENDER_SIZE)
"""
The sender of a message that all members get.
"""


@dataclass(frozen=True)
class Unpacked:
    """
    What a publication in a room's channel contains.

    @ivar sender: the identifier of the connection that doesn't get it, or L{NOBODY}.
    """

    message: str | bytes
    sender: bytes = NOBODY


def pack(message: str | bytes, sender: bytes = NOBODY) -> bytes:
    """
    Encode the data of a publication.

    @param sender: the identifier of the connection that doesn't get it.
    @raise TypeError: the message is neither a C{str} nor bytes-like.
    @raise UnicodeEncodeError: the text has lone surrogates.
    """
    plain = toMessage(message)
    if isinstance(plain, str):
        data = plain.encode("utf-8")
        if sender == NOBODY:
            return data
        return bytes((_MARK, _TEXT)) + sender + data
    return bytes((_MARK, _BINARY)) + sender + plain


def unpack(data: bytes) -> Unpacked:
    """
    Read the data of a publication, from any publisher.
    """
    sender = NOBODY
    isText = True
    if len(data) >= _HEAD and data[0] == _MARK and data[1] in (_TEXT, _BINARY):
        isText = data[1] == _TEXT
        sender = data[2:_HEAD]
        data = data[_HEAD:]
    if not isText:
        return Unpacked(data, sender)
    try:
        return Unpacked(data.decode("utf-8"), sender)
    except UnicodeDecodeError:
        return Unpacked(data, sender)


@dataclass(frozen=True)
class RoomMessage:
    """
    A message of a room's history.

    @ivar message: C{str} for text, C{bytes} for a binary message.
    @ivar position: the position after it.
    @ivar time: when it was sent, in seconds since 1970.
    """

    message: str | bytes
    position: Position
    time: float

    @classmethod
    def of(cls, publication: Publication) -> RoomMessage:
        """
        Read a publication.
        """
        message = unpack(publication.data).message
        return cls(message, publication.position, publication.time)

    def json(self, type: Any = Any) -> Any:
        """
        Decode the message.

        @param type: a type that msgspec can decode.
        @raise msgspec.MsgspecError: it isn't JSON, or not of this type.
        """
        return decodeJSON(decoderOf(type), self.message)


# What clients get


class _Gap(msgspec.Struct, tag_field="type", tag="gap", omit_defaults=True):
    room: str
    count: int | None = None


class _Joined(msgspec.Struct, tag_field="type", tag="joined", omit_defaults=True):
    room: str
    position: WirePosition
    messages: list[Raw] | None
    request: RequestId = None
    recovered: bool | UnsetType = UNSET


class _Left(msgspec.Struct, tag_field="type", tag="left", omit_defaults=True):
    room: str
    request: RequestId = None


class _Other(msgspec.Struct, tag_field="type", tag="message", kw_only=True):
    """
    A message that isn't a JSON object.
    """

    room: str
    offset: int | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    data64: str | UnsetType = UNSET


_objects: Final = msgspec.json.Decoder(dict[str, Raw])


def encodeGap(room: str, count: int | None) -> str:
    """
    Encode what tells a client that it has missed messages.
    """
    return write(_Gap(room, count))


def encodeLeft(room: str, request: RequestId) -> str:
    """
    Encode the answer to a client that has left a room.
    """
    return write(_Left(room, request))


def encodeJoined(
    room: str,
    position: Position,
    messages: Sequence[str],
    request: RequestId,
    recovered: bool | None,
) -> str:
    """
    Encode the answer to a client that has joined a room.

    @param messages: as L{encodePositioned} makes them.
    @param recovered: whether they are all since the position that the client has asked
        for; C{None} if it hasn't asked.
    """
    raw = [Raw(message.encode("utf-8")) for message in messages]
    known = UNSET if recovered is None else recovered
    return write(_Joined(room, WirePosition.of(position), raw, request, known))


def encodePositioned(room: str, message: str | bytes, publication: Publication) -> str:
    """
    Encode a message together with its room and its offset, which it has only if it is
    stored. A JSON object gets two more keys; everything else is put into one.
    """
    offset = publication.offset if publication.isStored else UNSET
    if isinstance(message, bytes):
        data64 = b64encode(message).decode("ascii")
        return write(_Other(room=room, offset=offset, data64=data64))
    try:
        fields = decodeJSON(_objects, message)
    except (NotJSON, msgspec.ValidationError):
        return write(_Other(room=room, offset=offset, data=_asJSON(message)))
    fields["room"] = Raw(write(room).encode("utf-8"))
    fields.pop("offset", None)
    if publication.isStored:
        fields["offset"] = Raw(b"%d" % publication.offset)
    return write(fields)


def _asJSON(text: str) -> Raw:
    try:
        return checkJSON(text)  # not decoded and encoded again
    except NotJSON:
        return Raw(write(text).encode("utf-8"))
