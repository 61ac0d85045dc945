"""
The names of a chat's channels in the broker.
"""

from __future__ import annotations

from typing import Final

__all__ = ["DIRECT", "ChannelNames"]

DIRECT: Final = "@"
"""
The room that clients join to get direct messages.
"""


class ChannelNames:
    """
    The channels of one chat. Chats that are mounted at different paths share none.

    @ivar people: the channel whose presence has all people of the chat.
    @ivar names: the channel whose presence has all names that are in use.
    """

    def __init__(self, path: str) -> None:
        """
        @param path: the path that the chat is mounted at.
        """
        self._room = f"chat:{path}:room:"
        self._direct = f"chat:{path}:to:"
        self.people = f"chat:{path}:people"
        self.names = f"chat:{path}:names"

    def forRoom(self, room: str) -> str:
        """
        Return the channel of a room.
        """
        return self._room + room

    def forPerson(self, id: str) -> str:
        """
        Return the channel of a person's direct messages.
        """
        return self._direct + id

    def roomOf(self, channel: str) -> str:
        """
        Return the room of a channel; L{DIRECT} for a person's channel.
        """
        if channel.startswith(self._room):
            return channel[len(self._room) :]
        return DIRECT
