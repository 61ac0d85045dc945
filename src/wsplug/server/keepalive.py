"""
Signs of life: a peer that has been silent is asked for one, and dropped without it.

Only what the peer sends counts: bytes can be sent to a dead one for many minutes.
"""

from __future__ import annotations

from typing import Protocol

from wsplug.server.deadlines import Deadline, Deadlines
from wsplug.server.settings import Settings

__all__ = ["Keepalive", "KeepaliveOwner"]


class KeepaliveOwner(Protocol):
    """
    Whose life it is about.
    """

    def lastHeard(self) -> float:
        """
        When a byte last came, by the clock; now, while nothing is read on purpose.
        """

    def sendPing(self) -> None:
        """Ask the peer for a sign of life."""

    def pingTimedOut(self) -> None:
        """It gave none."""


class Keepalive:
    """
    Watches over one connection, with one deadline and without a look at any byte.
    """

    __slots__ = ("_deadline", "_deadlines", "_owner", "_pinged", "_settings")

    def __init__(
        self, owner: KeepaliveOwner, settings: Settings, deadlines: Deadlines
    ) -> None:
        """
        @param owner: is referred to until L{stop}.
        @param settings: C{ping_interval} seconds of silence lead to a ping, and
            C{ping_timeout} seconds more to the end, 0 for never.
        """
        self._owner: KeepaliveOwner | None = owner
        self._settings = settings
        self._deadlines = deadlines
        # When a ping went out that waits for an answer.
        self._pinged: float | None = None
        self._deadline: Deadline | None = None
        self._set(settings.ping_interval)

    def stop(self) -> None:
        """
        Ask for nothing any more.
        """
        self._deadlines.clear(self._deadline)
        self._deadline = None
        self._owner = None

    def _set(self, seconds: float) -> None:
        self._deadline = self._deadlines.set(seconds, self._check)

    def _check(self) -> None:
        self._deadline = None
        owner = self._owner
        assert owner is not None
        settings = self._settings
        heard = owner.lastHeard()
        if self._pinged is not None and heard < self._pinged:
            owner.pingTimedOut()
            return
        self._pinged = None
        now = self._deadlines.now()
        silence = now - heard
        if silence < settings.ping_interval:
            self._set(settings.ping_interval - silence)
            return
        if settings.ping_timeout:
            self._pinged = now
        self._set(settings.ping_timeout or settings.ping_interval)
        owner.sendPing()
