"""
A thread of one's own for what would hold the reactor up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

__all__ = ["Worker"]

_T = TypeVar("_T")


class Worker:
    """
    Does one thing after another in one thread.
    """

    def __init__(self, reactor: Any, name: str) -> None:
        """
        @param reactor: an C{IReactorFromThreads}: what came out is reported there.
        @param name: of the thread.
        """
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=0, maxthreads=1, name=name)

    def start(self) -> None:
        """
        Begin.
        """
        self._pool.start()

    def do(self, work: Callable[[], _T]) -> Deferred[_T]:
        """
        Have something done behind what is being done already.

        @return: fires with what it returns, or fails with what it raises.
        """
        return deferToThreadPool(self._reactor, self._pool, work)

    def stop(self) -> None:
        """
        End the thread, once it has done all that it was given. It has to be little: the
        reactor waits.
        """
        self._pool.stop()
