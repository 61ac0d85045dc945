"""
Work that continues when its waiter is cancelled.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.awaiting import toDeferred
from wsplug.errors import ConnectionClosed

__all__ = ["shielded"]

_log = Logger(__name__)

_T = TypeVar("_T")


def shielded(work: Awaitable[_T]) -> Deferred[_T]:
    """
    Shield work from cancellation, such as that of a handler whose connection is lost.

    @param work: a coroutine, an C{asyncio.Future}, or a C{Deferred} that nobody else
        adds callbacks to.
    @return: fires or fails with the work's result. If it is cancelled, the work
        continues; if the work then fails, the failure is logged.
    """
    isWaitedFor = True

    def leave(_: object) -> None:
        nonlocal isWaitedFor
        isWaitedFor = False

    waiting: Deferred[_T] = Deferred(leave)

    def done(result: _T | Failure) -> None:
        if isWaitedFor:
            waiting.callback(result)  # a Failure makes it fail
        elif isinstance(result, Failure) and not result.check(ConnectionClosed):
            _log.failure("shielded work failed after its waiter was cancelled", result)

    toDeferred(work).addBoth(done)
    return waiting
