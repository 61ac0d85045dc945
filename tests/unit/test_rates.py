"""How often a client may do something (wsplug's token buckets)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from wsplug.rates import RateLimiter, TokenBucket


def test_burst_and_rate() -> None:
    """A burst passes at once, then one action in each interval.

    After a pause, a burst passes again.
    """
    clock = Clock()
    clock.advance(1000)
    rate = RateLimiter(clock, 2.0, 3)
    assert [rate.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert rate.take("b") == 0
    clock.advance(0.25)
    assert rate.take("a") == 0.25
    clock.advance(0.25)
    assert [rate.take("a") for _ in range(2)] == [0, 0.5]
    clock.advance(60)
    assert [rate.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


@given(st.lists(st.floats(0, 3), max_size=60))
def test_never_more(waits: list[float]) -> None:
    """In no period do more actions pass than the burst plus the rate for that
    period.
    """
    clock = Clock()
    rate = RateLimiter(clock, 2.0, 5)
    done = []
    for wait in waits:
        clock.advance(wait)
        if not rate.take("a"):
            done.append(clock.seconds())
    for first, start in enumerate(done):
        for last in range(first, len(done)):
            assert last - first + 1 <= 5 + 2.0 * (done[last] - start) + 1e-6


def test_pause() -> None:
    """A pause refills the bucket up to the burst, and no further."""
    clock = Clock()
    rate = RateLimiter(clock, 2.0, 5)
    assert rate.take("a") == 0
    clock.advance(3)
    assert [rate.take("a") for _ in range(6)] == [0] * 5 + [0.5]


def test_refused_counts_nothing() -> None:
    """Refused attempts don't extend the wait."""
    clock = Clock()
    rate = RateLimiter(clock, 1.0, 1)
    rate.take("a")
    for _ in range(10):
        assert rate.take("a") == pytest.approx(1 - clock.seconds())
        clock.advance(0.0625)
    clock.advance(0.375)
    assert rate.take("a") == 0


def test_given_back() -> None:
    """An action that is given back doesn't count.

    Giving back to a full bucket changes nothing.
    """
    clock = Clock()
    rate = RateLimiter(clock, 1.0, 2)
    rate.refund("a")
    for _ in range(5):
        assert rate.take("a") == 0
        rate.refund("a")
    assert [rate.take("a") for _ in range(3)] == [0, 0, 1]
    rate.refund("a")
    assert [rate.take("a") for _ in range(2)] == [0, 1]


def test_forgets() -> None:
    """Only clients that have done something recently take up memory."""
    clock = Clock()
    rate = RateLimiter(clock, 1.0, 2)
    for number in range(20_000):
        rate.take(str(number))
        clock.advance(0.001)
    assert len(rate) < 4096


def test_debt() -> None:
    """Spending more than is left creates a debt, which the refill pays off first.

    Taking more than is left changes nothing.
    """
    bucket = TokenBucket(1.0, 10.0, 100.0)
    assert bucket.spend(10, 100.0)
    assert not bucket.spend(5, 100.0)
    assert bucket.take(100.0) == 6.0
    assert bucket.take(103.0) == 3.0
    assert bucket.take(106.0) == 0.0
    assert not bucket.isFull(115.0)
    assert bucket.isFull(116.0)


def test_clock_set_back() -> None:
    """If the clock is set back, a bucket refills from the new time on."""
    bucket = TokenBucket(1.0, 1.0, 1_000_000.0)
    assert bucket.take(1_000_000.0) == 0.0
    assert bucket.take(5.0) == 1.0
    assert bucket.take(6.0) == 0.0
