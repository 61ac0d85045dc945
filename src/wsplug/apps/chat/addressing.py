"""
What a chat's rooms and its people's direct messages are called in the broker.
"""

from __future__ import annotations

from typing import Final

__all__ = ["DIRECT", "Addressing"]

DIRECT: Final = "@"
"""
What a client calls the room of what is meant for itself.
"""


class Addressing:
    """
    The channels of one chat: two that are mounted at different paths share none.

    @ivar people: the channel in which all of the chat's people are present.
    """

    def __init__(self, path: str) -> None:
        """
        @param path: where the chat is mounted.
        """
        self._room = f"chat:{path}:room:"
        self._direct = f"chat:{path}:to:"
        self.people = f"chat:{path}:people"
        self.names = f"chat:{path}:names"

    def ofRoom(self, room: str) -> str:
        """
        @return: a room's channel.
        """
        return self._room + room

    def ofPerson(self, id: str) -> str:
        """
        @return: the channel of what is meant for somebody.
        """
        return self._direct + id

    def shown(self, channel: str) -> str:
        """
        @return: what a client calls a channel of the chat's.
        """
        if channel.startswith(self._room):
            return channel[len(self._room) :]
        return DIRECT
