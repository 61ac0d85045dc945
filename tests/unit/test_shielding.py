"""Work that continues although its caller no longer waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from tests.server.kit import Logs
from wsplug import ConnectionClosed, Side, shielded


def ofCoroutine(work: Deferred[str]) -> Any:
    async def wait() -> str:
        return await work

    return wait()


SHAPES = [
    pytest.param(lambda work: work, id="Deferred"),
    pytest.param(ofCoroutine, id="coroutine"),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_waits(shape: Callable[[Deferred[str]], Any]) -> None:
    """The result is that of the work, success or failure."""
    works: list[Deferred[str]] = [Deferred(), Deferred()]
    results: list[Any] = []
    for work in works:
        shielded(shape(work)).addBoth(results.append)
    assert results == []
    works[0].callback("done")
    works[1].errback(KeyError("no"))
    assert results[0] == "done"
    assert results[1].check(KeyError)


@pytest.mark.parametrize("shape", SHAPES)
def test_goes_on(shape: Callable[[Deferred[str]], Any]) -> None:
    """If it is cancelled, it fails, but the work continues to its end."""
    cancelled: list[object] = []
    work: Deferred[str] = Deferred(cancelled.append)
    results: list[Any] = []
    waiting = shielded(shape(work))
    waiting.addBoth(results.append)
    waiting.cancel()
    assert isinstance(results[0], Failure)
    assert results[0].check(CancelledError)
    assert cancelled == []
    work.callback("done")
    assert len(results) == 1


@pytest.mark.parametrize(
    ("error", "count"),
    [
        (KeyError("no"), 1),
        (ConnectionClosed(1006, "gone", Side.PEER, None), 0),
    ],
)
def test_fails_alone(error: Exception, count: int, logs: Logs) -> None:
    """A later failure is logged, unless it says that the connection has closed."""
    work: Deferred[str] = Deferred()
    waiting = shielded(work)
    waiting.addErrback(lambda failure: failure.trap(CancelledError))
    waiting.cancel()
    work.errback(error)
    assert len(logs.failures()) == count
