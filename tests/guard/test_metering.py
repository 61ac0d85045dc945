"""
Rates of messages and bytes.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wsplug.guard.metering import BURST, Meter, Rates


def test_burst_and_rate() -> None:
    """
    Ten seconds' worth may come at once, then as many as the rate allows.
    """
    meter = Meter(Rates(2, 100, 0), 50.0)
    assert [meter.messages.spend(1, 50.0) for _ in range(21)] == [True] * 20 + [False]
    assert not meter.messages.spend(1, 50.5)
    assert meter.messages.spend(1, 52.0)
    assert meter.bytes.spend(1000, 50.0)
    assert not meter.bytes.spend(1, 50.0)


def test_whole_message() -> None:
    """
    A message within the size limit is always possible, however low the rate of bytes.
    """
    meter = Meter(Rates(1, 1, 5000), 0.0)
    assert meter.bytes.spend(5000, 0.0)
    assert not meter.bytes.spend(1, 0.0)


@given(
    st.lists(st.tuples(st.floats(0, 8), st.integers(0, 300)), max_size=80),
    st.floats(0, 2e9),
)
def test_never_more(takes: list[tuple[float, int]], now: float) -> None:
    """
    In any period, no more is accepted than two bursts and what the rate allows for it.
    A client that keeps to the rate is never refused.
    """
    rates = Rates(1000, 10, 0)
    meter = Meter(rates, now)
    done: list[tuple[float, int]] = []
    for wait, size in takes:
        now += wait
        if meter.bytes.spend(size, now):
            done.append((now, size))
    for first, (start, _) in enumerate(done):
        total = 0
        for end, size in done[first:]:
            total += size
            assert total <= 2 * BURST * 10 + 10 * (end - start) + 1e-3
    gentle = Meter(rates, now)
    for wait, _ in takes:
        now += wait
        assert gentle.bytes.spend(int(wait * 10), now)


def test_clock_set_back() -> None:
    """
    If the machine's clock is set back, no client is limited more than before.
    """
    meter = Meter(Rates(1, 1000, 0), 1_000_000.0)
    for _ in range(10):
        assert meter.messages.spend(1, 1_000_000.0)
    assert not meter.messages.spend(1, 5.0)
    assert meter.messages.spend(1, 8.0)
