"""The evidence of a soak, and its judgement."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from tests.soak.ledger import Ledger
from tests.soak.watch import Metrics

__all__ = ["MAX_GROWTH", "SPARE_DESCRIPTORS", "Evidence", "judge", "report"]

_MIB: Final = 1024 * 1024

MAX_GROWTH: Final = 0.1
"""
How much more memory the server may have in the end than when it had become warm, as a
share; and L{_NOISE} more.
"""

_NOISE: Final = 8 * _MIB

_MIN_HELD: Final = 0.8
"""The share of clients that have to be connected at any time: the others are between
two connections.
"""

SPARE_DESCRIPTORS: Final = 6
"""Descriptors that may be open at the end, but weren't at the start: the operator's
connection, that of the metrics' reader, and those that the server opens when it first
needs them.
"""

_STOP_TIMEOUT: Final = 10.0

_COUNTED: Final = ("echo", "bot", "shout", "process")
"""Each message has an answer there, so clients know of each one that arrived."""


@dataclass
class Evidence:
    """
    What a soak has shown.

    @ivar server_busy: the share of one processor that the server took.
    @ivar crowds_busy: the same, of each of the clients' processes.
    @ivar crowds_late: seconds by which they were late with what they wanted to do, in
        one case of a hundred.
    @ivar wanted: how many clients there were.
    @ivar held: how many of their connections were open at the least.
    @ivar hangups: how often a new certificate was to be read.
    @ivar stayed: how many are to be open in the end.
    @ivar descriptors: the server's before, and in the end.
    @ivar metrics: in the end.
    @ivar latencies: seconds that a good client's echo took.
    @ivar connecting: seconds that its new connections took, their echo included.
    @ivar memory: moments and bytes.
    @ivar stopping: seconds from SIGTERM to the end of the process.
    @ivar status: its exit status.
    """

    server_busy: float
    wanted: int
    held: int
    hangups: int
    stayed: int
    descriptors: tuple[int, int]
    metrics: Metrics
    latencies: list[float]
    connecting: list[float]
    memory: list[tuple[float, int]]
    scrapes: int
    samples: int
    seconds: float
    status: int = -1
    stopping: float = 0.0
    log: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    crowds_busy: list[float] = field(default_factory=list)
    crowds_late: list[float] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def window(self) -> float:
        """Seconds over which memory is observed: a minute, or a quarter of the time."""
        return min(60.0, self.seconds / 4)

    def memoryThen(self) -> tuple[float, float]:
        """Give the server's memory in bytes after warming up, and at the end."""
        first, last = self.memory[0][0], self.memory[-1][0]
        window = self.window
        # The time before is for the memory that each client needs.
        warm = [size for at, size in self.memory if window <= at - first < 2 * window]
        late = [size for at, size in self.memory if last - at <= window]
        return median(warm or late), median(late)


def judge(evidence: Evidence) -> list[str]:
    """Judge.

    @return: the problems; none if everything is right.
    """
    return [
        *evidence.problems,
        *evidence.ledger.judge(),
        *_judgeHandshakes(evidence),
        *_judgeClosings(evidence),
        *_judgeMessages(evidence),
        *_judgeProcess(evidence),
        *_judgeLog(evidence),
    ]


def _judgeHandshakes(evidence: Evidence) -> Iterator[str]:
    theirs: Counter[str] = Counter()
    for key, count in evidence.counts.items():
        if key.startswith("handshake "):
            theirs[key.split()[2]] += count
    ours: Counter[str] = Counter()
    for (name, labels), value in evidence.metrics.items():
        if name == "wsplug_handshakes_total":
            _, _, status = labels
            ours[status] += int(value)
    yield from _compare("handshakes answered with", theirs, ours)


def _judgeClosings(evidence: Evidence) -> Iterator[str]:
    ours: Counter[str] = Counter()
    for (name, labels), value in evidence.metrics.items():
        if name == "wsplug_closings_total":
            application, code, setting, side = labels
            ours[f"{application} {code} {side} {setting or '-'}"] += int(value)
    theirs: Counter[str] = Counter()
    for key, count in evidence.counts.items():
        word, _, rest = key.partition(" ")
        if word == "closing" and rest != "echo 1012 server -":
            theirs[rest] += count
    yield from _compare("connections closed as", theirs, ours)
    drained = evidence.counts["closing echo 1012 server -"]
    logged = len(re.findall(r" echo: closed by the server, 1012", evidence.log))
    if not drained == logged == evidence.stayed:
        yield (
            f"{evidence.stayed} were to be sent away; {logged} were, and {drained} know"
        )


def _judgeMessages(evidence: Evidence) -> Iterator[str]:
    for ours, theirs in (("received", "sent"), ("sent", "received")):
        counted = {
            application: int(
                evidence.metrics.get(
                    (f"wsplug_{ours}_messages_total", (application,)), 0
                )
            )
            for application in _COUNTED
        }
        known = {
            application: evidence.counts[f"{theirs} {application}"]
            for application in _COUNTED
        }
        yield from _compare(f"messages {ours} by", Counter(known), Counter(counted))


def _compare(what: str, theirs: Counter[str], ours: Counter[str]) -> Iterator[str]:
    for key in sorted({*theirs, *ours}):
        if theirs[key] != ours[key]:
            yield (
                f"{what} {key}: {ours[key]} by the metrics, "
                f"{theirs[key]} by the clients"
            )


def _judgeProcess(evidence: Evidence) -> Iterator[str]:
    warm, late = evidence.memoryThen()
    if late > warm * (1 + MAX_GROWTH) + _NOISE:
        yield f"memory has grown from {warm / _MIB:.0f} to {late / _MIB:.0f} MiB"
    before, after = evidence.descriptors
    if after > before + evidence.stayed + SPARE_DESCRIPTORS:
        yield f"{after} descriptors are open, of which {evidence.stayed} are clients'"
    if evidence.status != 0:
        yield f"the server has ended with status {evidence.status}"
    if evidence.stopping > _STOP_TIMEOUT + 2:
        yield f"it took {evidence.stopping:.1f} seconds to stop"
    if evidence.held < evidence.wanted * _MIN_HELD:
        yield f"only {evidence.held} of {evidence.wanted} were connected"
    if not evidence.scrapes or not evidence.samples:
        yield "nobody has watched"


def _judgeLog(evidence: Evidence) -> Iterator[str]:
    read = evidence.log.count("SIGHUP: reading the certificates again")
    if read != evidence.hangups:
        yield f"{evidence.hangups} certificates were to be read, and {read} were"
    for word in ("failed in TLS", "Traceback", "Unhandled", "#error", "#critical"):
        position = evidence.log.find(word)
        if position >= 0:
            lines = evidence.log[max(0, position - 500) : position + 3000]
            yield f"{word} is in the log:\n{lines}"


def report(evidence: Evidence, problems: list[str]) -> dict[str, Any]:
    """
    Give the figures.
    """
    warm, late = evidence.memoryThen()
    counts = evidence.counts
    closings = {
        key.partition(" ")[2]: count
        for key, count in sorted(counts.items())
        if key.startswith("closing ")
    }
    return {
        "seconds": round(evidence.seconds),
        "connections": {"least": evidence.held, "opened": _sum(counts, "handshake")},
        "messages": {
            "sent": _sum(counts, "sent"),
            "received": _sum(counts, "received"),
            "published": sum(map(len, evidence.ledger.said.values())),
            "delivered": evidence.ledger.deliveries,
            "pages": counts["pages"],
        },
        "echo_milliseconds": _spread(evidence.latencies),
        "connecting_milliseconds": _spread(evidence.connecting),
        "memory_mib": {"warm": round(warm / _MIB, 1), "late": round(late / _MIB, 1)},
        "descriptors": dict(
            zip(("before", "after"), evidence.descriptors, strict=True)
        ),
        "busy": {
            "server": round(evidence.server_busy, 2),
            "crowds": [round(share, 2) for share in evidence.crowds_busy],
            "late_milliseconds": [round(1e3 * each) for each in evidence.crowds_late],
        },
        "reactor_stalls": sum(
            int(value)
            for (name, _), value in evidence.metrics.items()
            if name == "wsplug_reactor_stalls_total"
        ),
        "waiting_bytes": int(
            evidence.metrics.get(("wsplug_send_buffer_bytes", ()), 0)
            + evidence.metrics.get(("wsplug_incomplete_message_bytes", ()), 0)
        ),
        "watched": {"scrapes": evidence.scrapes, "samples": evidence.samples},
        "closings": closings,
        "stopping_seconds": round(evidence.stopping, 1),
        "problems": problems,
    }


def _sum(counts: Counter[str], word: str) -> int:
    return sum(count for key, count in counts.items() if key.split()[0] == word)


def _spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds) or [0.0]
    return {
        "count": len(seconds),
        "median": round(1e3 * ordered[len(ordered) // 2], 1),
        "p99": round(1e3 * ordered[len(ordered) * 99 // 100], 1),
        "max": round(1e3 * ordered[-1], 1),
    }
