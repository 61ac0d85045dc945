"""
Tells rooms that classic clients connect and disconnect. They have no names before their
first message, so notices have their addresses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug import CloseCode
from wsplug.apps.chat.collecting import Collected
from wsplug.apps.chat.presences import words
from wsplug.errors import OPERATOR, BrokerError, ConnectionClosed, Side

__all__ = ["NoticePolicy", "Notices", "isServerShutdown"]

_SHUTDOWN_CODES = (CloseCode.GOING_AWAY, CloseCode.SERVICE_RESTART)


def isServerShutdown(reason: Failure) -> bool:
    """
    Return whether a connection was closed because the server stops or restarts. Then
    no client is left to get notices. An operator may close a single connection with the
    same codes.
    """
    closed: Any = reason.value
    return (
        isinstance(closed, ConnectionClosed)
        and closed.side is Side.SERVER
        and closed.code in _SHUTDOWN_CODES
        and closed.setting != OPERATOR
    )


def _nobody() -> dict[str, list[str]]:
    return {"connected": [], "disconnected": []}


class NoticePolicy(str, Enum):
    """
    When a room is told that a classic client connects or disconnects.
    """

    AT_ONCE = "at-once"
    GRACE = "grace"
    OFF = "off"


class Notices:
    """
    Sends notices at once, after a grace period, or never.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        say: Callable[[str, str], Awaitable[None]],
        isTooOften: Callable[[str], bool],
        grace: float,
        isOn: bool,
    ) -> None:
        """
        @param say: sends a notice to a room.
        @param isTooOften: counts a network's notices, and tells whether to leave one
            out.
        @param grace: seconds that an address may be disconnected before it has left.
        @param isOn: whether notices are sent at all.
        """
        self._clock = clock
        self._say = say
        self._isTooOften = isTooOften
        self._grace = grace
        self._isOn = isOn
        # How many connections an address has in a room, and the ends of grace periods.
        self._there: dict[tuple[str, str], int] = {}
        self._leaving: dict[tuple[str, str], IDelayedCall] = {}
        # The addresses, by event.
        self._collected = Collected(clock, _nobody, self._flush)

    async def came(self, room: str, address: str, network: str) -> None:
        """
        A client has connected.

        @param network: the network that it connects from.
        @raise BrokerError: the broker failed.
        """
        if not self._isOn:
            return
        key = room, address
        self._there[key] = self._there.get(key, 0) + 1
        leaving = self._leaving.pop(key, None)
        if leaving is not None:
            leaving.cancel()
        elif not self._grace or self._there[key] == 1:
            if self._isTooOften(network):
                return
            await self._tell(room, address, "connected")

    def left(self, room: str, address: str, network: str, reason: Failure) -> None:
        """
        A client has disconnected.
        """
        key = room, address
        if key not in self._there:
            return  # it has disconnected before it had joined
        self._there[key] -= 1
        isLast = not self._there[key]
        if isLast:
            del self._there[key]
        if isServerShutdown(reason):
            return
        if not self._grace:
            self._over(key, network)
        elif isLast:
            self._leaving[key] = self._clock.callLater(
                self._grace, self._over, key, network
            )

    def stop(self) -> None:
        """
        Send no more notices.
        """
        self._isOn = False
        for call in self._leaving.values():
            call.cancel()
        self._leaving.clear()
        self._collected.stop()

    def _over(self, key: tuple[str, str], network: str) -> None:
        self._leaving.pop(key, None)
        room, address = key
        if self._isOn and not self._isTooOften(network):
            self._later(self._tell(room, address, "disconnected"))

    async def _tell(self, room: str, address: str, event: str) -> None:
        """
        Send a notice, or add it to the room's batch.
        """
        waiting = self._collected.add(room)
        if waiting is None:
            await self._say(room, f"{address} {event}")
        else:
            waiting[event].append(address)

    def _flush(self, room: str, waiting: dict[str, list[str]]) -> None:
        parts = [words(addresses, 0, event) for event, addresses in waiting.items()]
        self._later(self._say(room, "; ".join(filter(None, parts))))

    def _later(self, telling: Awaitable[None]) -> None:
        """
        Send a notice without waiting for it. A failure is logged.
        """

        async def tell() -> None:
            try:
                await telling
            except BrokerError as error:
                self._log.error("chat: a notice wasn't sent: {error}", error=error)

        Deferred.fromCoroutine(tell())
