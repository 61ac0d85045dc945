"""
Tasks and timers, which end with their owner: a connection, or the server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredList,
)
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsplug.awaiting import LATER, toDeferred

__all__ = ["Task", "Tasks", "Timer"]


_ROUNDS: Final = 100
"""
How many times tasks may start others while they end. Then the last ones go on.
"""


class Task:
    """
    Work that runs concurrently with the rest of the application.

    @ivar done: whether it has ended.
    @ivar over: fires once it has ended.
    """

    def __init__(
        self,
        work: Awaitable[Any],
        clock: IReactorTime,
        ended: Callable[[Task, Failure | None], object],
    ) -> None:
        """
        @param ended: is called with the failure, if it failed, once it has ended.
        """
        self.done = False
        self.over: Deferred[None] = Deferred()
        self._work = work
        self._clock = clock
        self._ended = ended
        self._running: Deferred[Any] | None = None
        self._isCancelled = False

    def start(self) -> None:
        """
        Start it.
        """
        self._running = toDeferred(self._work)
        self._running.addBoth(self._finish)

    def cancel(self) -> None:
        """
        Cancel it: it gets a C{CancelledError} where it waits. You may cancel it from
        within, and when it has ended.
        """
        if self.done:
            return
        self._isCancelled = True
        if self._running is None or getattr(self._work, "cr_running", False):
            # A coroutine can't be cancelled while it runs.
            self._clock.callLater(0, self._cancel)
        else:
            self._cancel()

    def _cancel(self) -> None:
        if self._running is not None and not self.done:
            self._running.cancel()

    def _finish(self, result: object) -> None:
        self.done = True
        failure = result if isinstance(result, Failure) else None
        if failure is not None and self._isCancelled and failure.check(CancelledError):
            failure.cleanFailure()
            failure = None
        self._ended(self, failure)
        if failure is not None:
            # The failure and the frames in its traceback refer to each other.
            failure.cleanFailure()
        self.over.callback(None)


class Timer:
    """
    A call that is due later, once or again and again.
    """

    def __init__(
        self,
        tasks: Tasks,
        clock: IReactorTime,
        seconds: float,
        call: Callable[[], Any],
        repeats: bool,
    ) -> None:
        self._tasks = tasks
        self._clock = clock
        self._seconds = seconds
        self._call = call
        self._repeats = repeats
        self._due = clock.seconds() + seconds
        self._waiting: IDelayedCall | None = clock.callLater(seconds, self._fire)
        self._task: Task | None = None
        self._failures = 0
        self._isCancelled = False

    def cancel(self) -> None:
        """
        Cancel it: it isn't called any more, and what it has started is cancelled. You
        may cancel it from within, and when it is over.
        """
        self._isCancelled = True
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()
        if self._task is not None:
            self._task.cancel()
        self._tasks.forget(self)

    def _fire(self) -> None:
        self._waiting = None
        try:
            work = self._call()
        except BaseException:  # an application's sys.exit() doesn't end the server
            self._finish(None, Failure())
            return
        if not isinstance(work, LATER):
            self._finish(None, None)
            return
        if self._isCancelled:  # from within the function
            _discard(work)
            self._finish(None, None)
            return
        self._task = task = self._tasks.add(work, self._finish)
        task.start()

    def _finish(self, _: Task | None, failure: Failure | None) -> None:
        self._task = None
        if failure is None:
            if self._failures > 1:
                self._tasks.works(self._call, self._failures)
            self._failures = 0
        else:
            self._failures += 1
            if self._failures == 1:
                self._tasks.failed(self._call, failure)
        if self._isCancelled or not self._repeats:
            self._tasks.forget(self)
            return
        now = self._clock.seconds()
        self._due += self._seconds
        late = now - self._due
        if late >= 0:  # the last call took longer: missed ones are left out
            self._due += self._seconds * (late // self._seconds + 1)
        self._waiting = self._clock.callLater(self._due - now, self._fire)


class Tasks:
    """
    The tasks and timers of a connection or of an application.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        name: str,
        whenFailed: Callable[[Failure], object] | None = None,
    ) -> None:
        """
        @param name: what the log calls the application.
        @param whenFailed: handles failures instead of the log.
        """
        self._clock = clock
        self._name = name
        self._whenFailed = whenFailed
        # Dictionaries for sets that keep their order.
        self._tasks: dict[Task, None] = {}
        self._timers: dict[Timer, None] = {}

    def spawn(self, work: Coroutine[Any, Any, object]) -> Task:
        """
        Run a coroutine beside the others. It begins at once.

        @raise TypeError: it isn't a coroutine.
        """
        if not isinstance(work, Coroutine):
            raise TypeError(f"spawn takes a coroutine, not {work!r}")

        def ended(task: Task, failure: Failure | None) -> None:
            if failure is not None:
                self.failed(work, failure)

        task = self.add(work, ended)
        task.start()
        return task

    def add(
        self,
        work: Awaitable[Any],
        ended: Callable[[Task, Failure | None], object],
    ) -> Task:
        """
        Make a task, which is to be started.

        @param ended: see L{Task}.
        """

        def forget(task: Task, failure: Failure | None) -> None:
            del self._tasks[task]
            ended(task, failure)

        task = Task(work, self._clock, forget)
        self._tasks[task] = None
        return task

    def call(
        self,
        seconds: float,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        repeats: bool,
    ) -> Timer:
        """
        Call a function after some seconds.

        @param repeats: whether it is called again and again.
        @raise TypeError: it isn't a function.
        @raise ValueError: the seconds are negative, or 0 although it repeats.
        """
        if not callable(function):
            if isinstance(function, Coroutine):
                function.close()
            raise TypeError(
                f"a timer takes a function, not {function!r}: write its name without "
                "parentheses"
            )
        if not seconds >= 0 or (repeats and not seconds):
            least = "more than 0" if repeats else "0 or more"
            raise ValueError(f"a timer takes {least} seconds, not {seconds!r}")
        call = _Call(function, arguments)
        timer = Timer(self, self._clock, seconds, call, repeats)
        self._timers[timer] = None
        return timer

    def forget(self, timer: Timer) -> None:
        """
        Forget a timer that is over.
        """
        self._timers.pop(timer, None)

    def failed(self, what: object, failure: Failure) -> None:
        """
        Handle a failure.
        """
        if self._whenFailed is not None:
            self._whenFailed(failure)
            return
        self._log.failure(
            "{application}: {what} failed",
            failure,
            application=self._name,
            what=getattr(what, "__qualname__", str(what)),
        )

    def works(self, what: object, failures: int) -> None:
        """
        Log that a timer's function, which has failed several times, works again.
        """
        self._log.info(
            "{application}: {what} works again, after {failures} failures",
            application=self._name,
            what=str(what),
            failures=failures,
        )

    def end(self) -> Deferred[Any]:
        """
        Cancel all of them, and those that they start while they end.

        @return: fires once all have ended.
        """
        return self._end(_ROUNDS)

    def _end(self, rounds: int) -> Deferred[Any]:
        tasks = list(self._tasks)
        over: Deferred[Any] = DeferredList([task.over for task in tasks])
        for timer in list(self._timers):
            timer.cancel()
        for task in tasks:
            task.cancel()
        if rounds:
            over.addCallback(
                lambda _: self._end(rounds - 1) if self._tasks or self._timers else None
            )
        return over


def _discard(work: Awaitable[Any]) -> None:
    """
    Cancel work that nobody waits for.
    """
    if isinstance(work, Coroutine):
        work.close()
        return
    done = toDeferred(work)
    done.addErrback(lambda failure: failure.cleanFailure())
    done.cancel()


class _Call:
    """
    A function with its arguments.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        self._function = function
        self._arguments = arguments

    def __call__(self) -> Any:
        return self._function(*self._arguments)

    def __str__(self) -> str:
        name: str = getattr(self._function, "__qualname__", repr(self._function))
        return name
