"""
What coroutines of applications may await, with and without asyncio's event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure

from wsplug import awaiting

Work = Callable[[], Coroutine[Any, Any, object]]


def outcome(done: Deferred[Any]) -> list[Any]:
    """Give a list that receives the result of a Deferred."""
    got: list[Any] = []
    done.addBoth(got.append)
    return got


async def settle(got: list[Any]) -> Any:
    """
    Wait for a result within the event loop.
    """
    async with asyncio.timeout(20) if hasattr(asyncio, "timeout") else _Never():
        while not got:
            await asyncio.sleep(0)
    return got[0]


class _Never:
    """
    No limit, for versions of Python without C{asyncio.timeout}.
    """

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


def inLoop(work: Work) -> Any:
    """
    Start a coroutine while an event loop runs, and return its result.
    """

    async def main() -> Any:
        return await settle(outcome(awaiting.fromCoroutine(work())))

    return asyncio.run(main())


def test_without_a_loop() -> None:
    """Without an event loop, a coroutine starts at once and waits for Deferreds."""
    waiting: Deferred[int] = Deferred()

    async def work() -> int:
        return await waiting + 1

    got = outcome(awaiting.fromCoroutine(work()))
    assert got == []
    waiting.callback(1)
    assert got == [2]


def test_both_kinds() -> None:
    """While an event loop runs, a coroutine awaits asyncio's awaitables and Deferreds
    in any order, and has a current task.
    """

    async def work() -> list[object]:
        loop = asyncio.get_running_loop()
        later: Deferred[str] = Deferred()
        loop.call_soon(later.callback, "deferred")
        got: list[object] = [await asyncio.sleep(0, "slept"), await later]
        got.append(await succeed("at once"))
        got.append(asyncio.current_task() is not None)
        got += await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2))
        return got

    assert inLoop(work) == ["slept", "deferred", "at once", True, 1, 2]


def test_errors_of_deferreds() -> None:
    """A Deferred that fails raises in the coroutine, which may continue."""

    async def work() -> str:
        later: Deferred[None] = Deferred()
        asyncio.get_running_loop().call_soon(later.errback, ValueError("no"))
        try:
            await later
        except ValueError as error:
            return str(error)
        return "nothing was raised"

    assert inLoop(work) == "no"


def test_in_any_task() -> None:
    """Tasks that wsplug didn't start can await what wsplug's sockets return, too."""
    fires: Deferred[int] = awaiting.TaskDeferred()
    fails: Deferred[int] = awaiting.TaskDeferred()
    cancelled: Deferred[int] = awaiting.TaskDeferred()
    fired: Deferred[int] = awaiting.TaskDeferred()
    fired.callback(4)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(fires.callback, 1)
        loop.call_soon(fails.errback, KeyError("x"))
        waits = [asyncio.ensure_future(wait(each)) for each in (fires, fails, fired)]
        one, error, four = await asyncio.gather(*waits, return_exceptions=True)
        assert (one, four) == (1, 4)
        assert isinstance(error, KeyError)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(wait(cancelled), 0.001)

    async def wait(done: Deferred[int]) -> int:
        return await done

    asyncio.run(main())
    assert cancelled.called


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3), KeyboardInterrupt()])
def test_errors(error: BaseException) -> None:
    """Whatever a coroutine raises becomes a failure: not even C{sys.exit} ends the
    event loop.
    """

    async def work() -> None:
        await asyncio.sleep(0)
        raise error

    failure = inLoop(work)
    assert isinstance(failure, Failure)
    assert failure.value is error


@pytest.mark.parametrize("kind", ["asyncio", "Deferred"])
def test_cancelled(kind: str) -> None:
    """Cancelling also cancels what the coroutine awaits.

    The coroutine sees asyncio's error, and can clean up; the caller that cancels sees
    Twisted's.
    """
    seen: list[object] = []

    async def main() -> Any:
        waits: Any = Deferred(lambda _: seen.append("the Deferred"))
        if kind == "asyncio":
            waits = asyncio.get_running_loop().create_future()

        async def work() -> None:
            try:
                await waits
            except asyncio.CancelledError:
                seen.append("cancelled")
                await asyncio.sleep(0)
                seen.append("cleaned up")
                raise

        done = awaiting.fromCoroutine(work())
        got = outcome(done)
        await asyncio.sleep(0)
        done.cancel()
        return await settle(got), waits

    failure, waits = asyncio.run(main())
    assert failure.check(CancelledError)
    assert seen[-2:] == ["cancelled", "cleaned up"]
    assert seen[0] == "the Deferred" if kind == "Deferred" else waits.cancelled()


def test_a_limit_in_time() -> None:
    """
    C{asyncio.wait_for} ends the wait for a Deferred, and cancels it.
    """
    seen: list[object] = []

    async def work() -> str:
        async def wait() -> None:
            await asyncio.sleep(0)
            await asyncio.Event().wait()

        try:
            await asyncio.wait_for(wait(), 0.001)
        except asyncio.TimeoutError:
            seen.append("too late")
        return "went on"

    assert inLoop(work) == "went on"
    assert seen == ["too late"]


@pytest.mark.parametrize("isRunning", [False, True])
def test_functions(isRunning: bool) -> None:
    """
    A function may return a value, a coroutine, a Deferred or a Failure, or raise.
    """

    async def work() -> str:
        return "coroutine"

    def leave() -> None:
        raise SystemExit

    def everything() -> list[list[Any]]:
        answers: list[Callable[[], Any]] = [
            lambda: "value",
            work,
            lambda: succeed("Deferred"),
        ]
        got = [outcome(awaiting.maybeAwait(each)) for each in answers]
        failures: list[Callable[[], Any]] = [lambda: Failure(KeyError("x")), leave]
        for each, error in zip(failures, (KeyError, SystemExit), strict=True):
            assert outcome(awaiting.maybeAwait(each))[0].check(error)
        return got

    async def main() -> list[Any]:
        return [await settle(each) for each in everything()]

    got = asyncio.run(main()) if isRunning else [each[0] for each in everything()]
    assert got == ["value", "coroutine", "Deferred"]


def test_futures() -> None:
    """
    A function may return one of asyncio's futures, which is cancelled with the
    Deferred.
    """

    async def main() -> tuple[Any, bool]:
        loop = asyncio.get_running_loop()
        first: asyncio.Future[int] = loop.create_future()
        second: asyncio.Future[int] = loop.create_future()
        got = outcome(awaiting.maybeAwait(lambda: first))
        first.set_result(1)
        value = await settle(got)
        done = awaiting.maybeAwait(lambda: second)
        got = outcome(done)
        await asyncio.sleep(0)
        done.cancel()
        assert (await settle(got)).check(CancelledError)
        return value, second.cancelled()

    assert asyncio.run(main()) == (1, True)


def test_explained() -> None:
    """A coroutine that needs an event loop, but has none, gets an error that says how
    to get one. The traceback still shows its line.
    """

    async def waitForSleep() -> None:
        await asyncio.sleep(1)

    async def waitForFuture() -> None:
        await future

    loop = asyncio.new_event_loop()
    future = loop.create_future()
    for work in (waitForSleep, waitForFuture):
        (failure,) = outcome(awaiting.fromCoroutine(work()))
        assert "twistd --reactor=asyncio" in failure.getErrorMessage()
        assert work.__name__ in failure.getTraceback()
    loop.close()

    async def otherwise() -> None:
        raise RuntimeError("other")

    (failure,) = outcome(awaiting.fromCoroutine(otherwise()))
    assert failure.getErrorMessage() == "other"
