"""
What goes through channels, and where it is in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from wsplug.payloads import toBytes

__all__ = ["History", "Position", "Publication", "toData"]


def toData(channel: object, data: object) -> bytes:
    """
    Judge what somebody wants to have in a channel, before anything changes.

    @return: the data, as plain C{bytes}.
    @raise TypeError: the channel's name is no text, or the data isn't bytes-like.
    """
    if not isinstance(channel, str):
        raise TypeError(f"a channel's name is a str, not {type(channel).__name__}")
    if type(data) is bytes:
        return data
    return toBytes(data, "what is in a channel", hint="; encode() makes bytes of text")


@dataclass(frozen=True)
class Position:
    """
    A place in a channel: everything up to it is known.

    @ivar offset: of the last publication before it; 0 at the beginning.
    @ivar epoch: which life of the channel the offset counts in. A channel that was
        forgotten and begins anew has another one.
    """

    offset: int
    epoch: str


# There may be hundreds of thousands of them, for hours, and they refer to nothing that
# could refer to them: the garbage collector needn't look at each again and again.
class Publication(msgspec.Struct, frozen=True, gc=False):
    """
    What was published once.

    @ivar offset: its number in the channel, from 1 on without gaps. One that isn't
        stored has that of the last stored one before it.
    @ivar epoch: which life of the channel the offset counts in.
    @ivar data: as it was given to C{publish}.
    @ivar time: when it was published, in seconds since 1970.
    @ivar isStored: whether it is in the history.
    """

    offset: int
    epoch: str
    data: bytes
    time: float
    isStored: bool = True

    @property
    def position(self) -> Position:
        """
        @return: the place behind it.
        """
        return Position(self.offset, self.epoch)


@dataclass(frozen=True)
class History:
    """
    A part of what a channel has kept.

    @ivar publications: in order, the oldest first.
    @ivar position: where the channel's end is.
    @ivar isComplete: whether nothing is missing between the position that was asked
        for and the first of the publications. Where it isn't, some of what came since
        is forgotten, or more than was wanted, or the channel has begun anew.
    """

    publications: tuple[Publication, ...]
    position: Position
    isComplete: bool
