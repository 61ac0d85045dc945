"""From samples to medians, spreads, ratios and verdicts: arithmetic only."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.measuring import Sample

# The samples, by the names of workload and server.
Samples = Mapping[tuple[str, str], Sequence[Sample]]


@dataclass(frozen=True)
class Summary:
    """The summary of several rounds.

    @ivar value: the median of the figures.
    @ivar low: the lowest of them.
    @ivar high: the highest.
    @ivar p50: the median of the rounds' median latencies, in microseconds.
    @ivar p99: the median of the rounds' 99th percentiles.
    @ivar generator: the generator's share of its core.
    @ivar server: the server's share of its core.
    """

    value: float
    low: float
    high: float
    p50: float | None
    p99: float | None
    generator: float | None
    server: float | None

    @property
    def per_processor_second(self) -> float | None:
        """The figure for a full second of the server's processor time, which remains
        comparable if other work takes part of its core.
        """
        return self.value / self.server if self.server else None


def summarize(samples: Sequence[Sample]) -> Summary:
    """
    @param samples: of one server at one workload, one at least.
    """
    values = [sample.value for sample in samples]
    return Summary(
        statistics.median(values),
        min(values),
        max(values),
        _median([sample.p50 for sample in samples]),
        _median([sample.p99 for sample in samples]),
        _median([sample.generator for sample in samples]),
        _median([sample.server for sample in samples]),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


@dataclass(frozen=True)
class Budget:
    """
    A goal, as a ratio to another server in the same run or as a number of bytes.

    @ivar workload: what wsplug is measured at.
    @ivar goal: the ratio, or the bytes.
    @ivar peer: the other server; C{None} for a number of bytes.
    @ivar peer_workload: what that is measured at, if not the same.
    @ivar at_most: whether less is better.
    @ivar server: which build of wsplug it is for.
    """

    workload: str
    goal: float
    peer: str | None = None
    peer_workload: str | None = None
    at_most: bool = False
    server: str = "wsplug"


@dataclass(frozen=True)
class Verdict:
    """A budget and its result.

    @ivar budget: the budget.
    @ivar value: the ratio, or the bytes; C{None} if something was not measured.
    """

    budget: Budget
    value: float | None

    @property
    def met(self) -> bool | None:
        """
        Whether the goal is reached; C{None} if that is not known.
        """
        if self.value is None:
            return None
        if self.budget.at_most:
            return self.value <= self.budget.goal
        return self.value >= self.budget.goal

    @property
    def missed_by(self) -> float:
        """By how much the goal is missed, as a share of it; 0 if it is met."""
        if self.value is None or self.met:
            return 0.0
        return abs(self.value - self.budget.goal) / self.budget.goal


def judge(budget: Budget, summaries: Mapping[tuple[str, str], Summary]) -> Verdict:
    """
    @param summaries: by the names of workload and server.
    """
    own = summaries.get((budget.workload, budget.server))
    if own is None:
        return Verdict(budget, None)
    if budget.peer is None:
        return Verdict(budget, own.value)
    key = (budget.peer_workload or budget.workload, budget.peer)
    other = summaries.get(key)
    return Verdict(budget, ratio(own, other) if other else None)


def ratio(own: Summary, other: Summary) -> float | None:
    """
    @return: the ratio of two medians; C{None} where there is none.
    """
    return own.value / other.value if other.value > 0 else None
