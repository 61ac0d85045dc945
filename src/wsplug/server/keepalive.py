"""
Signs of life: a peer that has been silent is asked for one, and dropped without it.

Only what the peer sends counts: bytes can be sent to a dead one for many minutes. But a
ping may lie behind megabytes in the kernel: one that takes what is in front of it, and
the network says that it does, has its time from when the ping has come to it.
"""

from __future__ import annotations

from typing import Protocol

from wsplug.server.deadlines import Deadline, Deadlines
from wsplug.server.settings import Settings
from wsplug.transport.progress import Progress

__all__ = ["Keepalive", "KeepaliveOwner"]


class KeepaliveOwner(Protocol):
    """
    Whose life it is about.
    """

    def lastHeard(self) -> float:
        """
        When a byte last came, by the clock; now, while nothing is read on purpose.
        """

    def askProgress(self) -> Progress | None:
        """
        Say how far the peer has come with what it was sent; C{None} where nobody knows.
        """

    def sendPing(self) -> None:
        """Ask the peer for a sign of life."""

    def pingTimedOut(self) -> None:
        """It gave none."""


class Keepalive:
    """
    Watches over one connection, with one deadline and without a look at any byte.
    """

    __slots__ = (
        "_deadline",
        "_deadlines",
        "_owner",
        "_pinged",
        "_progress",
        "_settings",
        "_target",
    )

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
        # How far the peer had come when it was looked at last; None where that says
        # nothing, or nothing more. And how far it has to come to get the ping.
        self._progress: Progress | None = None
        self._target = 0
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
            if self._hasMoved(owner):
                self._set(settings.ping_timeout)
            else:
                owner.pingTimedOut()
            return
        self._pinged = self._progress = None
        now = self._deadlines.now()
        silence = now - heard
        if silence < settings.ping_interval:
            self._set(settings.ping_interval - silence)
            return
        if settings.ping_timeout:
            self._pinged = now
            self._aim(owner)
        self._set(settings.ping_timeout or settings.ping_interval)
        owner.sendPing()

    def _aim(self, owner: KeepaliveOwner) -> None:
        """
        Note what lies in front of the ping.
        """
        progress = owner.askProgress()
        if progress is not None and progress.left:
            self._progress = progress
            self._target = progress.taken + progress.left

    def _hasMoved(self, owner: KeepaliveOwner) -> bool:
        """
        Say whether the peer has taken something of what was in front of the ping since
        it was looked at last.
        """
        before = self._progress
        if before is None:
            return False
        progress = self._progress = owner.askProgress()
        if progress is None or progress.taken <= before.taken:
            return False
        if progress.taken >= self._target:
            # The ping has come to it, nobody knows when: it has its time once more.
            self._progress = None
        return True
