"""
Rate limits: how often something may happen.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime

__all__ = ["RateLimiter", "TokenBucket"]

_SWEEP: Final = 1024
"""
The number of keys from which on idle ones are looked for and forgotten.
"""

_ROUNDING: Final = 1e-9
"""
The part of a token that may be missing: it is a rounding error.
"""


class TokenBucket:
    """
    A token bucket: it holds up to C{capacity} tokens, and C{rate} tokens a second
    refill it. The clock may be set back: then the bucket refills from the new time on.
    """

    __slots__ = ("_capacity", "_rate", "_tokens", "_updated")

    def __init__(self, rate: float, capacity: float, now: float) -> None:
        """
        @param rate: tokens per second.
        @param capacity: tokens in a full bucket. The bucket starts full.
        @param now: by the clock.
        """
        self._rate = rate
        self._capacity = capacity
        self._tokens = capacity
        self._updated = now

    def spend(self, amount: float, now: float) -> bool:
        """
        Remove tokens, even more than there are: the bucket then owes the rest.

        The bucket is refilled only when tokens are missing, so that this is usually one
        subtraction. After a pause, up to twice the capacity can be spent at once.

        @param amount: tokens.
        @param now: by the clock.
        @return: whether there were enough.
        """
        if self._tokens < amount:
            self._refill(now)
        self._tokens -= amount
        return self._tokens >= 0.0

    def take(self, now: float) -> float:
        """
        Remove one token, if there is one.

        @param now: by the clock.
        @return: 0 if it was removed; otherwise the seconds until there is one.
        """
        self._refill(now)
        missing = 1.0 - self._tokens
        if missing > _ROUNDING:
            return missing / self._rate
        self._tokens -= 1.0
        return 0.0

    def refund(self) -> None:
        """
        Put one token back: what it was taken for doesn't count after all.
        """
        self._tokens = min(self._capacity, self._tokens + 1.0)

    def isFull(self, now: float) -> bool:
        """
        Return whether the bucket is full, like a new one.

        @param now: by the clock.
        """
        self._refill(now)
        return self._tokens >= self._capacity

    def _refill(self, now: float) -> None:
        """
        Add the tokens for the time since the last refill.
        """
        passed = max(now - self._updated, 0.0)
        self._updated = now
        self._tokens = min(self._capacity, self._tokens + passed * self._rate)


class RateLimiter:
    """
    A L{TokenBucket} for each key, such as a client's address: a limit that a client
    can't escape by reconnecting. Keys whose bucket is full are forgotten.
    """

    def __init__(self, clock: IReactorTime, rate: float, burst: int) -> None:
        """
        @param rate: how many are allowed per second in the long run.
        @param burst: how many are allowed at once.
        """
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._buckets: dict[str, TokenBucket] = {}
        self._sweepAt = _SWEEP

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str) -> float:
        """
        Count one.

        @return: 0 if it is allowed; otherwise the seconds until it is, and nothing is
            counted.
        """
        now = self._clock.seconds()
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._sweepAt:
                self._sweep(now)
            bucket = self._buckets[key] = TokenBucket(self._rate, self._burst, now)
        return bucket.take(now)

    def refund(self, key: str) -> None:
        """
        Undo L{take}: it doesn't count after all.
        """
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.refund()

    def _sweep(self, now: float) -> None:
        self._buckets = {
            key: bucket
            for key, bucket in self._buckets.items()
            if not bucket.isFull(now)
        }
        self._sweepAt = max(_SWEEP, 2 * len(self._buckets))
