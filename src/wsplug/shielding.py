"""
Work that goes on though nobody waits for it any more.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.errors import ConnectionClosed

__all__ = ["shielded"]

_log = Logger(__name__)

_T = TypeVar("_T")


def shielded(work: Deferred[_T] | Coroutine[Any, Any, _T]) -> Deferred[_T]:
    """
    Have some work done to its end, though who waits for it is cancelled: a handler is
    when its connection is lost.

    @param work: a Deferred, which nobody else adds callbacks to, or a coroutine.
    @return: fires, or fails, as the work does. If it is cancelled the work goes on;
        what it fails with then is logged.
    """
    if isinstance(work, Coroutine):
        work = Deferred.fromCoroutine(work)
    isWaitedFor = True

    def leave(_: object) -> None:
        nonlocal isWaitedFor
        isWaitedFor = False

    waiting: Deferred[_T] = Deferred(leave)

    def done(result: _T | Failure) -> None:
        if isWaitedFor:
            waiting.callback(result)  # a failure is one to it, too
        elif isinstance(result, Failure) and not result.check(ConnectionClosed):
            _log.failure("work that nobody waits for any more has failed", result)

    work.addBoth(done)
    return waiting
