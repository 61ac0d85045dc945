"""
How often somebody may do something, whoever they say they are after a reconnect.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime

__all__ = ["Rate"]

_SWEEP: Final = 1024
"""
Keys from which on those are looked for that have nothing to their account.
"""


class Rate:
    """
    So many at once, and so many a second in the long run, for each key.

    It keeps one number a key: when all that was done would have been done, had it been
    done at an even pace (the generic cell rate algorithm, ITU-T I.371). A key whose
    time has passed is as one that was never there, and is forgotten.
    """

    def __init__(self, clock: IReactorTime, rate: float, burst: int) -> None:
        """
        @param rate: a second.
        @param burst: at once.
        """
        self._clock = clock
        self._interval = 1 / rate
        self._tolerance = (burst - 1) * self._interval
        self._times: dict[str, float] = {}
        self._sweepAt = _SWEEP

    def __len__(self) -> int:
        return len(self._times)

    def take(self, key: str) -> float:
        """
        Do it once.

        @return: 0 if it may be done; else the seconds until it may, and nothing is
            counted.
        """
        now = self._clock.seconds()
        time = max(self._times.get(key, 0.0), now)
        early = time - now - self._tolerance
        if early > self._interval + 1e-9:
            # More than was ever counted: the machine's clock was set back.
            time = now
            early = 0.0
        # What comes to nothing but for rounding is nothing.
        if early > 1e-9:
            return early
        self._times[key] = time + self._interval
        if len(self._times) >= self._sweepAt:
            self._sweep(now)
        return 0.0

    def giveBack(self, key: str) -> None:
        """
        Undo it once: it didn't count after all.
        """
        time = self._times.get(key)
        if time is not None:
            self._times[key] = time - self._interval

    def _sweep(self, now: float) -> None:
        self._times = {key: time for key, time in self._times.items() if time > now}
        self._sweepAt = max(_SWEEP, 2 * len(self._times))
