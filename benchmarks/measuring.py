"""One measurement: a server on one core, the load generator on another."""

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

# The generator gives up by itself; this timeout is for one that doesn't. While a room
# of 2,000 fills, two million notices come first.
_PATIENCE_SECONDS = 600.0

# Seconds that memory has to settle.
_SETTLE_SECONDS = 0.3

# Descriptors for 10,000 connections and other open files.
_DESCRIPTORS = 12_000


@dataclass(frozen=True)
class Timing:
    """The duration of a measurement.

    @ivar warmup: seconds before anything counts.
    @ivar seconds: seconds that count.
    @ivar quick: whether there are only few connections.
    """

    warmup: float
    seconds: float
    quick: bool


@dataclass(frozen=True)
class Sample:
    """The result of one measurement.

    @ivar value: the figure, in the workload's unit.
    @ivar p50: the median latency, in microseconds; C{None} where there is none.
    @ivar p99: the 99th percentile of the latency.
    @ivar generator: processor seconds that the generator used per second.
    @ivar server: processor seconds that the server used per second.
    """

    value: float
    p50: float | None = None
    p99: float | None = None
    generator: float | None = None
    server: float | None = None


@dataclass(frozen=True)
class Cores:
    """The cores that server and generator run on.

    @ivar server: the server's core.
    @ivar load: the generator's.
    """

    server: int
    load: int

    @property
    def shared(self) -> bool:
        """Whether both share a single core, which makes the figures worthless."""
        return self.server == self.load


def choose_cores() -> Cores:
    """@return: two cores, if possible not two threads of the same core."""
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
    """Raise the limit so that server and generator have a descriptor for each
    connection.

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
    """A workload on a running server.

    @ivar run: the server.
    @ivar workload: its workload.
    @ivar installed: the installation that contains the generator.
    @ivar cores: the cores of both.
    @ivar timing: the duration.
    """

    run: Running
    workload: Workload
    installed: Installation
    cores: Cores
    timing: Timing

    def rate(self, raw: bool) -> Sample:
        """Measure how much the server does in a second.

        @param raw: whether it doesn't speak WebSocket.
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
        """Measure by how much idle connections increase the server's memory. A few
        connect and disconnect first, so that what a server allocates for its first one
        isn't counted.

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
        """Stop a generator that doesn't end by itself.

        @return: the exception to raise.
        """
        load.kill()
        load.communicate()
        return self.run.complain(f"{self.workload.name} did not end")


def resident_bytes(pid: int) -> int:
    """@return: the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    found = re.search(r"^VmRSS:\s*(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
