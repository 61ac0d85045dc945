"""
A thread for work that would block the reactor.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

__all__ = ["Worker"]

_T = TypeVar("_T")


class _Thread(Thread):
    """
    A daemon thread: the process doesn't wait for it at its end, as a disk may hang.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, daemon=True, **keywords)


class Worker:
    """
    Executes functions one after another in a thread.
    """

    def __init__(self, reactor: Any, name: str) -> None:
        """
        @param reactor: an C{IReactorFromThreads}, which gets the results.
        @param name: the name of the thread.
        """
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=0, maxthreads=1, name=name)
        self._pool.threadFactory = _Thread
        # Each is written by one thread only.
        self._given = self._done = 0

    def start(self) -> None:
        """
        Start the thread.
        """
        self._pool.start()

    def do(self, work: Callable[[], _T]) -> Deferred[_T]:
        """
        Execute a function in the thread, after all earlier ones.

        @return: fires with the function's result, or fails with its error.
        """
        self._given += 1

        def count() -> _T:
            try:
                return work()
            finally:
                self._done += 1

        return deferToThreadPool(self._reactor, self._pool, count)

    def stop(self) -> None:
        """
        End the thread after its remaining work. The reactor doesn't wait for work that
        is still going on.
        """
        if self._done == self._given:
            self._pool.stop()
        else:
            _Thread(target=self._pool.stop).start()
