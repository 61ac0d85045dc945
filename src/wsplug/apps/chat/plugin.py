"""
C{--app chat}: the plugin and its options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from zope.interface import implementer

from wsplug import Option
from wsplug.apps.chat.application import ChatApplication
from wsplug.apps.chat.notices import NoticePolicy
from wsplug.apps.chat.sanitizing import cleanRoom
from wsplug.broker import backlogOptions
from wsplug.interfaces import (
    IServices,
    IWebSocketApplication,
    IWebSocketApplicationPlugin,
)
from wsplug.options import boolean, choice, delay, integer, number

__all__ = ["chat"]


def _rooms(value: str) -> tuple[str, ...]:
    rooms = [cleanRoom(name) for name in value.split(",")]
    if None in rooms or len(set(rooms)) < len(rooms):
        raise ValueError("different room names separated by commas, like lobby,news")
    return tuple(room for room in rooms if room is not None)


OPTIONS: Final = (
    Option(
        "rooms",
        _rooms,
        ("lobby",),
        "the rooms that the page offers, separated by commas; / is the first one",
    ),
    Option(
        "other-rooms", boolean, True, "whether people may join rooms of any other name"
    ),
    Option(
        "history",
        integer(0, 500),
        50,
        "latest messages that a person gets when joining a room",
    ),
    Option(
        "names",
        choice("suffix", "refuse"),
        "suffix",
        "what happens if a name is taken: it gets a number, or is refused",
    ),
    Option(
        "ids",
        choice("refuse", "newest"),
        "refuse",
        "what happens if a classic client's id is taken: it is refused, or the newest "
        "client has it",
    ),
    Option(
        "login-names",
        boolean,
        True,
        "whether people who have logged in always have that name",
    ),
    Option(
        "notices",
        choice(*(each.value for each in NoticePolicy)),
        NoticePolicy.AT_ONCE.value,
        "when rooms are told that a classic client connects or disconnects: at-once, "
        "grace or off",
    ),
    Option(
        "grace",
        delay,
        5.0,
        "seconds after which a person who is disconnected has left",
    ),
    Option(
        "max-length", integer(1, 100_000), 2000, "characters that a message may have"
    ),
    Option("max-rooms", integer(1, 1000), 20, "rooms that a connection may join"),
    Option(
        "rate",
        number(0.001, 1e6),
        5.0,
        "messages a second that a person may send in the long run",
    ),
    Option(
        "burst", integer(1, 1_000_000), 50, "messages that a person may send at once"
    ),
    *backlogOptions("bytes of a room that may wait for a client that reads too slowly"),
)


@implementer(IWebSocketApplicationPlugin)
class _ChatPlugin:
    """
    Makes chats.
    """

    name = "chat"
    help = "Chat rooms with names, history, direct messages, and a page."
    options: Sequence[Option] = OPTIONS

    def makeApplication(
        self, options: Mapping[str, Any], services: IServices
    ) -> IWebSocketApplication:
        return ChatApplication(options, services)


chat: Final = _ChatPlugin()
