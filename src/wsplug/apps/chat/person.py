"""
A person, with their connections and their memberships in rooms.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IDelayedCall

from wsplug.apps.chat.messages import PersonInfo
from wsplug.apps.chat.sanitizing import nameKey
from wsplug.interfaces import IWebSocketTransport

__all__ = ["Membership", "Person", "locked"]

_T = TypeVar("_T")


class Membership:
    """
    A person's membership in a room.

    @ivar transports: the person's connections in the room; none while the person is
        away and may come back.
    @ivar leaving: the call that ends the membership then.
    @ivar isTold: whether the room was told that the person has joined.
    """

    def __init__(self) -> None:
        self.transports: set[IWebSocketTransport] = set()
        self.leaving: IDelayedCall | None = None
        self.isTold = False


class Person:
    """
    A person, with any number of connections.

    @ivar id: the id that others know.
    @ivar uid: the first id, which doesn't change when a classic client registers one.
    @ivar wanted: the name that the person asked for.
    @ivar name: the name that the person has.
    @ivar nameKey: the key of the name, which is unique; empty without a name.
    @ivar color: the colour of the name.
    @ivar network: the network that the person connects from.
    @ivar rank: who gets a name that two people want: 2 for a login with exactly this
        name, 1 for a login whose name looks like it, 0 for all others.
    @ivar isGuest: whether others are told that the person hasn't logged in.
    @ivar rateKey: the key for rate limits. People without a key of their own are told
        apart by network and name.
    @ivar isClassic: whether this is a classic client without a login.
    @ivar isKnown: whether the person is in the broker's presence.
    @ivar memberships: by room.
    @ivar transports: the person's connections.
    @ivar yieldId: has a classic client give up the id that it has registered; C{None}
        if it may not be taken.
    @ivar lock: held while the name or the memberships change.
    """

    def __init__(
        self, id: str, name: str, color: str, network: str, *, rank: int, isGuest: bool
    ) -> None:
        self.id = self.uid = id
        self.wanted = self.name = name
        self.nameKey = ""
        self.color = color
        self.network = network
        self.rank = rank
        self.isGuest = isGuest
        self.rateKey = f"{network} {nameKey(name)}"
        self.isClassic = False
        self.isKnown = False
        self.memberships: dict[str, Membership] = {}
        self.transports: set[IWebSocketTransport] = set()
        self.yieldId: Callable[[], Awaitable[None]] | None = None
        self.lock = DeferredLock()

    def info(self) -> PersonInfo:
        """
        Return what others know of the person.
        """
        return PersonInfo(self.id, self.name, self.color, self.isGuest)


async def locked(person: Person, work: Callable[[], Awaitable[_T]]) -> _T:
    """
    Do something while holding a person's lock.
    """
    await person.lock.acquire()
    try:
        return await work()
    finally:
        person.lock.release()
