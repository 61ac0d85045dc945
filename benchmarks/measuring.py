"""
One measurement: a server on one core, the generator on another.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import MeasurementError, SetupError
from benchmarks.installing import Installation
from benchmarks.servers import Running, Server, running
from benchmarks.workloads import IDLE, Workload

# The generator gives up by itself; this is for one that does not: where a room of 2,000
# fills, two million notices come first.
_PATIENCE_SECONDS = 600.0

# How long memory is given to settle.
_SETTLE_SECONDS = 0.3

# Descriptors for 10,000 connections and what else is open.
_DESCRIPTORS = 12_000


@dataclass(frozen=True)
class Timing:
    """
    How long is measured.

    @ivar warmup: seconds before anything counts.
    @ivar seconds: seconds that count.
    @ivar quick: whether the connections are few.
    """

    warmup: float
    seconds: float
    quick: bool


@dataclass(frozen=True)
class Sample:
    """
    What came out of one measurement.

    @ivar value: the figure, in the workload's unit.
    @ivar p50: the median latency, in microseconds; C{None} where there is none.
    @ivar p99: the 99th percentile of it.
    @ivar generator: processor seconds that the generator used in a second.
    @ivar server: the same of the server.
    """

    value: float
    p50: float | None = None
    p99: float | None = None
    generator: float | None = None
    server: float | None = None


@dataclass(frozen=True)
class Cores:
    """
    Where things run.

    @ivar server: the server's core.
    @ivar load: the generator's.
    """

    server: int
    load: int

    @property
    def shared(self) -> bool:
        """
        Whether there is one for both only, which makes the figures worthless.
        """
        return self.server == self.load


def choose_cores() -> Cores:
    """
    @return: two cores, not two threads of one where that can be helped.
    """
    usable = sorted(os.sched_getaffinity(0))
    first = usable[0]
    siblings = _siblings(first)
    others = [core for core in usable[1:] if core not in siblings] or usable[1:]
    return Cores(server=others[-1] if others else first, load=first)


def _siblings(core: int) -> set[int]:
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    if not path.exists():
        return {core}
    siblings: set[int] = set()
    for part in path.read_text("ascii").strip().split(","):
        ends = [int(number) for number in part.split("-")]
        siblings.update(range(ends[0], ends[-1] + 1))
    return siblings


def raise_descriptors() -> None:
    """
    Let server and generator have a descriptor for each connection.

    @raise SetupError: the system doesn't allow it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _DESCRIPTORS:
        if hard != resource.RLIM_INFINITY and hard < _DESCRIPTORS:
            raise SetupError(
                f"{_DESCRIPTORS} open files are needed, {hard} are allowed: ulimit -n"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, hard))


def measure(
    server: Server,
    workload: Workload,
    installed: Installation,
    cores: Cores,
    timing: Timing,
) -> Sample:
    """
    Measure one server at one workload.

    @raise MeasurementError: the server died, or gave a wrong answer.
    """
    with running(server, workload, installed, cores.server) as run:
        measurement = _Measurement(run, workload, installed, cores, timing)
        if workload.kind == IDLE:
            return measurement.memory()
        return measurement.rate(server.raw)


@dataclass(frozen=True)
class _Measurement:
    """
    A workload on a server that runs.

    @ivar run: the server.
    @ivar workload: what it gets to do.
    @ivar installed: what the generator is part of.
    @ivar cores: where both run.
    @ivar timing: for how long.
    """

    run: Running
    workload: Workload
    installed: Installation
    cores: Cores
    timing: Timing

    def rate(self, raw: bool) -> Sample:
        """
        How much the server does in a second.

        @param raw: whether it speaks no WebSocket.
        @raise MeasurementError: the server died, or gave a wrong answer.
        """
        timing = self.timing
        words = ["--warmup", str(timing.warmup), "--seconds", str(timing.seconds)]
        if raw:
            words.append("--raw")
        load = self._start(words)
        try:
            output, complaint = load.communicate(timeout=_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            raise self._give_up(load) from None
        if load.returncode:
            raise self._complain(complaint)
        self.run.check()
        figures = json.loads(output)
        return Sample(
            figures["rate"],
            figures["p50"],
            figures["p99"],
            figures["generator"],
            figures["server"],
        )

    def memory(self) -> Sample:
        """
        What the server's memory grows by with idle connections. A few come and go
        before, so that what a server makes for its first one isn't counted.

        @raise MeasurementError: the server died, or gave a wrong answer.
        """
        self._hold(["--connections", "50"])
        time.sleep(_SETTLE_SECONDS)
        before = resident_bytes(self.run.pid)
        count, after = self._hold([])
        return Sample((after - before) / count)

    def _hold(self, words: list[str]) -> tuple[int, int]:
        """
        Open idle connections, and close them again.

        @return: how many, and the server's memory while they were open, in bytes.
        @raise MeasurementError: the server died, or gave a wrong answer.
        """
        load = self._start(words)
        assert load.stdout is not None
        try:
            line = load.stdout.readline()
            time.sleep(_SETTLE_SECONDS)
            if line and load.poll() is None:
                self.run.check()
                resident = resident_bytes(self.run.pid)
            _, complaint = load.communicate("", timeout=_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            raise self._give_up(load) from None
        if load.returncode or not line:
            raise self._complain(complaint)
        return json.loads(line)["open"], resident

    def _start(self, words: list[str]) -> subprocess.Popen[str]:
        """
        Start the generator.

        @param words: further ones of its command line.
        """
        run = self.run
        return subprocess.Popen(
            [
                *(str(self.installed.load), "--port", str(run.port)),
                *("--server", str(run.pid)),
                *self.workload.arguments(self.timing.quick),
                *words,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {self.cores.load}),
        )

    def _complain(self, complaint: str) -> MeasurementError:
        return self.run.complain(f"{self.workload.name}: {complaint.strip()}")

    def _give_up(self, load: subprocess.Popen[str]) -> MeasurementError:
        """
        End a generator that doesn't by itself.

        @return: what to raise.
        """
        load.kill()
        load.communicate()
        return self.run.complain(f"{self.workload.name} did not end")


def resident_bytes(pid: int) -> int:
    """
    @return: the memory of a process that is in RAM.
    """
    status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    found = re.search(r"^VmRSS:\s*(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
