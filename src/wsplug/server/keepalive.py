"""
Pings: a peer that has been silent is pinged, and dropped if it doesn't answer.

Only what the peer sends proves that it is alive: the kernel accepts bytes for a dead
peer for many minutes. But a ping can be queued behind megabytes in the kernel. As long
as the peer acknowledges those, the timeout doesn't end. It starts again when the ping
has reached the peer.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from wsplug.codec.closecodes import CloseCode
from wsplug.codec.frames import FIN, OP_PING
from wsplug.errors import Side
from wsplug.server.closehandshake import CloseHandshake
from wsplug.server.context import ConnectionContext
from wsplug.server.deadlines import Deadline
from wsplug.server.inputgate import InputGate
from wsplug.transport.progress import Progress
from wsplug.transport.sendqueue import SendQueue

__all__ = ["KEEPALIVE", "Keepalive", "KeepaliveOwner"]

KEEPALIVE: Final = b"wsplug keepalive"
"""
The payload of the server's own pings. It distinguishes their answers from those to the
application's pings.
"""


class KeepaliveOwner(Protocol):
    """
    The connection that is watched.
    """

    context: ConnectionContext
    gate: InputGate
    queue: SendQueue
    transport: Any

    @property
    def closing(self) -> CloseHandshake:
        """The closing handshake."""


class Keepalive:
    """
    Pings the peer of one connection. It needs one deadline, and no code for each
    message.
    """

    __slots__ = (
        "_context",
        "_deadline",
        "_owner",
        "_pinged",
        "_progress",
        "_target",
    )

    def __init__(self, owner: KeepaliveOwner) -> None:
        """
        @param owner: kept until L{stop}.
        """
        self._owner: KeepaliveOwner | None = owner
        self._context = owner.context
        # When the ping was sent that waits for an answer.
        self._pinged: float | None = None
        # How much of the output the peer had acknowledged at the last check; None if
        # that isn't known, or doesn't matter any more. And how much it has to
        # acknowledge until it has the ping.
        self._progress: Progress | None = None
        self._target = 0
        self._deadline: Deadline | None = None
        self._set(self._context.settings.ping_interval)

    def stop(self) -> None:
        """
        Stop pinging.
        """
        self._context.deadlines.clear(self._deadline)
        self._deadline = None
        self._owner = None

    def _set(self, seconds: float) -> None:
        self._deadline = self._context.deadlines.set(seconds, self._check)

    def _check(self) -> None:
        self._deadline = None
        owner = self._owner
        assert owner is not None
        settings = self._context.settings
        now = self._context.deadlines.now()
        heard = owner.gate.lastHeard(now)
        if self._pinged is not None and heard < self._pinged:
            if self._hasMoved(owner):
                self._set(settings.ping_timeout)
            else:
                owner.closing.abort(
                    CloseCode.ABNORMAL,
                    f"answered no ping in {settings.ping_timeout:g} seconds",
                    Side.SERVER,
                    "ping-timeout",
                )
            return
        self._pinged = self._progress = None
        silence = now - heard
        if silence < settings.ping_interval:
            self._set(settings.ping_interval - silence)
            return
        if settings.ping_timeout:
            self._pinged = now
            self._aim(owner)
        self._set(settings.ping_timeout or settings.ping_interval)
        owner.queue.frame(FIN | OP_PING, KEEPALIVE)

    def _aim(self, owner: KeepaliveOwner) -> None:
        """
        Record how much output is in front of the ping.
        """
        progress = self._context.askProgress(owner.transport)
        if progress is not None and progress.left:
            self._progress = progress
            self._target = progress.taken + progress.left

    def _hasMoved(self, owner: KeepaliveOwner) -> bool:
        """
        Return whether the peer has acknowledged output in front of the ping since the
        last check.
        """
        before = self._progress
        if before is None:
            return False
        progress = self._progress = self._context.askProgress(owner.transport)
        if progress is None or progress.taken <= before.taken:
            return False
        if progress.taken >= self._target:
            # It has received the ping, at an unknown time: the timeout starts again.
            self._progress = None
        return True
