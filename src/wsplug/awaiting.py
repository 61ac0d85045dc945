"""
What applications may await: Deferreds, and under the asyncio reactor asyncio's
awaitables too.

Twisted runs a coroutine by itself, and gives it only what Deferreds yield. A library
for asyncio needs more: a running event loop, futures that wake it, and a current task,
which C{asyncio.timeout} and most HTTP clients ask for. So where an event loop runs,
coroutines run as asyncio tasks here, and what waits for a Deferred waits for a future
that the Deferred wakes. Without a loop, everything is as Twisted has it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any, Final, ParamSpec, TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.python.failure import Failure

__all__ = [
    "LATER",
    "TaskDeferred",
    "fromCoroutine",
    "maybeAwait",
    "toDeferred",
    "whenLoopRuns",
]

_P = ParamSpec("_P")
_T = TypeVar("_T")

LATER: Final = (Deferred, Coroutine, asyncio.Future)
"""
The types of results that come later.
"""

_tasks: Final[set[asyncio.Task[Any]]] = set()
"""
The tasks that run. An event loop refers to its tasks weakly.
"""

_LOOP_MISSING: Final = (
    "no running event loop",
    "await wasn't used with future",
)
"""
Messages of asyncio's errors if a coroutine awaits one of its awaitables, and no event
loop runs.
"""

_EAGER: Final[dict[str, Any]] = (
    {"eager_start": True} if sys.version_info >= (3, 12) else {}
)
"""
Has a task begin at once, as Twisted's coroutines do. Older versions of Python begin it
in the loop's next turn.
"""


class TaskDeferred(Deferred[_T]):
    """
    A C{Deferred} that any asyncio task may await, also one that isn't wsplug's: within
    C{asyncio.gather}, for example.
    """

    def __await__(self) -> Generator[Any, None, _T]:
        if not self.called and _runsLoop():
            return self._awaitInTask()
        return self.__iter__()

    def _awaitInTask(self) -> Generator[Any, None, _T]:
        yield from _watch(self)
        return (yield from self.__iter__())


def fromCoroutine(work: Coroutine[Any, Any, _T]) -> Deferred[_T]:
    """
    Start a coroutine.

    @param work: a coroutine that awaits Deferreds and, while asyncio's event loop runs,
        asyncio's awaitables.
    @return: fires or fails with the coroutine's result. Cancelling it cancels what the
        coroutine waits for. If an event loop runs, the coroutine gets an
        C{asyncio.CancelledError} then, as tasks do. The Deferred fails with Twisted's
        C{CancelledError} in both cases.
    """
    loop = asyncio._get_running_loop()
    if loop is None:
        return Deferred.fromCoroutine(work).addErrback(_explain)
    task: asyncio.Task[Any] = asyncio.Task(_run(work), loop=loop, **_EAGER)
    if not task.done():
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
        return Deferred.fromFuture(task).addErrback(_translate)
    if task.cancelled():
        return fail(CancelledError())
    result = task.result()
    return fail(result) if isinstance(result, Failure) else succeed(result)


def maybeAwait(
    function: Callable[_P, Any], *args: _P.args, **kwargs: _P.kwargs
) -> Deferred[Any]:
    """
    Call a function of an application, as C{maybeDeferred} does.

    @return: fires or fails with the function's result: with that of the coroutine,
        C{Deferred} or C{asyncio.Future} that it returned, if it did.
    """
    try:
        result = function(*args, **kwargs)
    except BaseException:  # an application's sys.exit() doesn't end the server
        return fail(Failure())
    if isinstance(result, LATER):
        return toDeferred(result)
    if isinstance(result, Failure):
        return fail(result)
    return succeed(result)


def toDeferred(result: Awaitable[Any]) -> Deferred[Any]:
    """
    Convert a result that comes later.

    @param result: an instance of one of L{LATER}.
    @return: the same C{Deferred}, or one for the coroutine or the C{asyncio.Future}.
        Cancelling it cancels the future.
    """
    if isinstance(result, Deferred):
        return result
    if isinstance(result, Coroutine):
        return fromCoroutine(result)
    assert isinstance(result, asyncio.Future)
    return Deferred.fromFuture(result).addErrback(_translate)


def whenLoopRuns(reactor: Any) -> Deferred[None]:
    """
    Wait until coroutines may await everything that a reactor has to offer.

    @return: fires at once, except under asyncio's reactor before it runs.
    """
    runs: Deferred[None] = Deferred()
    # Whoever uses that reactor has imported its module, which takes a while.
    module = sys.modules.get("twisted.internet.asyncioreactor")
    isAsyncio = module is not None and isinstance(
        reactor, module.AsyncioSelectorReactor
    )
    if isAsyncio and not _runsLoop():
        # What is called at the reactor's start comes before the loop's.
        reactor.callLater(0, runs.callback, None)
    else:
        runs.callback(None)
    return runs


def _runsLoop() -> bool:
    return asyncio._get_running_loop() is not None


async def _run(work: Coroutine[Any, Any, _T]) -> _T | Failure:
    """
    Be what a task runs: only a coroutine may.
    """
    return await _drive(work)


@coroutine
def _drive(work: Coroutine[Any, Any, _T]) -> Generator[Any, Any, _T | Failure]:
    """
    Run a coroutine in a task, and wait for Deferreds on its behalf.

    @return: its result, or what it failed with: an asyncio task that raises
        C{SystemExit} would end the event loop.
    """
    step: Callable[[], Any] = partial(work.send, None)
    while True:
        try:
            awaited = step()
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException:
            return Failure()
        try:
            if isinstance(awaited, Deferred):
                yield from _watch(awaited)
                value = None  # the one that awaits it finds its result
            else:
                value = yield awaited
        except BaseException as error:
            step = partial(work.throw, error)
        else:
            step = partial(work.send, value)


def _watch(awaited: Deferred[Any]) -> Generator[Any, Any, None]:
    """
    Wait until a C{Deferred} has fired. Its result stays for the one that awaits it.
    """
    fired = asyncio.get_running_loop().create_future()

    def wake(result: _T) -> _T:
        if not fired.done():
            fired.set_result(None)
        return result

    awaited.addBoth(wake)
    try:
        yield from fired
    except asyncio.CancelledError:
        awaited.addErrback(Failure.trap, CancelledError)
        awaited.cancel()
        raise


def _translate(failure: Failure) -> Failure:
    """
    Convert the failure of a task that was cancelled.
    """
    return (
        Failure(CancelledError()) if failure.check(asyncio.CancelledError) else failure
    )


def _explain(failure: Failure) -> Failure:
    """
    Name the way out if a coroutine awaits what only asyncio's event loop can give it,
    and none runs. The traceback stays.
    """
    if failure.check(RuntimeError) and str(failure.value) in _LOOP_MISSING:
        failure.value = RuntimeError(
            "asyncio's event loop doesn't run, which this coroutine awaits: start the "
            "server with 'twistd --reactor=asyncio'; make a test a coroutine, for "
            "asyncio.run"
        )
    return failure
