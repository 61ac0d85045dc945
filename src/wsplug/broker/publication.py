"""
Publications, and positions in channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from wsplug.payloads import toBytes

__all__ = ["ChannelState", "History", "Position", "Publication", "toData"]


def toData(channel: object, data: object) -> bytes:
    """
    Check a channel's name and data before they are used.

    @return: the data, as plain C{bytes}.
    @raise TypeError: the channel's name isn't a C{str}, or the data isn't bytes-like.
    """
    if not isinstance(channel, str):
        raise TypeError(f"a channel's name must be a str, not {type(channel).__name__}")
    if type(data) is bytes:
        return data
    return toBytes(data, "channel data", hint="; encode() makes bytes of text")


@dataclass(frozen=True)
class Position:
    """
    A position in a channel.

    @ivar offset: the offset of the last publication before the position; 0 at the
        beginning.
    @ivar epoch: identifies the sequence of offsets. A channel that was forgotten, and
        begins again, has another epoch.
    """

    offset: int
    epoch: str


# Hundreds of thousands of them may be kept for hours. They can't be part of a reference
# cycle, so the garbage collector needn't track them.
class Publication(msgspec.Struct, frozen=True, gc=False):
    """
    A publication.

    @ivar offset: its number in the channel, from 1 on without gaps. A publication that
        isn't stored has the offset of the last stored one.
    @ivar epoch: see L{Position}.
    @ivar data: as passed to C{publish}.
    @ivar time: when it was published, in seconds since 1970.
    @ivar isStored: whether it is stored in the history.
    """

    offset: int
    epoch: str
    data: bytes
    time: float
    isStored: bool = True

    @property
    def position(self) -> Position:
        """
        @return: the position after it.
        """
        return Position(self.offset, self.epoch)


@dataclass(frozen=True)
class ChannelState:
    """
    A channel, as operators see it.

    @ivar name: its name.
    @ivar subscribers: this server's subscribers.
    @ivar kept: the publications in its history.
    @ivar size: their bytes, with what each takes besides its data.
    """

    name: str
    subscribers: int
    kept: int
    size: int


@dataclass(frozen=True)
class History:
    """
    A part of a channel's history.

    @ivar publications: oldest first.
    @ivar position: the end of the channel.
    @ivar isComplete: whether the publications directly follow the requested position.
        If not, some are forgotten, or exceed the requested limit, or the channel has
        another epoch.
    """

    publications: tuple[Publication, ...]
    position: Position
    isComplete: bool
