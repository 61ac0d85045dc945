"""The command line, and the order of the measurements."""

from __future__ import annotations

import argparse
import datetime
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from benchmarks.budgets import BUDGETS
from benchmarks.chart import chart
from benchmarks.errors import MeasurementError, SetupError
from benchmarks.installing import BUILD, ROOT, Installation, install
from benchmarks.measuring import (
    Cores,
    Sample,
    Timing,
    choose_cores,
    measure,
    raise_descriptors,
)
from benchmarks.report import Run, budget_lines, figure, machine, overview, page
from benchmarks.servers import MEASURES, SERVERS, Server
from benchmarks.statistics import Samples, judge, summarize
from benchmarks.workloads import WORKLOADS, Workload

_ROUNDS = 5
_FULL = Timing(warmup=0.5, seconds=2.0, quick=False)
_QUICK = Timing(warmup=0.1, seconds=0.2, quick=True)


class _Named(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def quick(self) -> bool: ...


_N = TypeVar("_N", bound=_Named)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """
    @param arguments: the command line's; C{None} for those of the process.
    """
    parser = argparse.ArgumentParser(
        prog="run.py", description="Measure wsplug beside other WebSocket servers."
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="measure each workload once and briefly, to check the answers",
    )
    parser.add_argument(
        "--only", metavar="WORKLOAD,...", help="workloads to measure (default: all)"
    )
    parser.add_argument(
        "--servers", metavar="NAME,...", help="servers to measure (default: all)"
    )
    parser.add_argument(
        "--measures",
        action="store_true",
        help="compare wsplug with itself, without one optimization at a time",
    )
    parser.add_argument(
        "--rounds",
        type=_positive,
        metavar="N",
        help=f"rounds (default: {_ROUNDS}; quick: 1)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder for the page and the chart"
    )
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def select(every: Sequence[_N], asked: str | None, quick: bool, kind: str) -> list[_N]:
    """@param every: all existing names.
    @param asked: the requested names; C{None} for all, or for those of a quick run.
    @param kind: what they are, for the error.
    @raise SetupError: a name is unknown.
    """
    if asked is None:
        return [each for each in every if each.quick or not quick]
    names = [name.strip() for name in asked.split(",")]
    known = {each.name for each in every}
    for name in names:
        if name not in known:
            raise SetupError(
                f"no {kind} is called {name!r}: {', '.join(sorted(known))}"
            )
    return [each for each in every if each.name in names]


def rotate(servers: Sequence[_N], number: int, rounds: int) -> list[_N]:
    """@param number: the round, from 0.
    @param rounds: the number of rounds, over which the first servers are spread evenly.
    @return: the servers in the order of the round.
    """
    first = number * len(servers) // rounds
    return [*servers[first:], *servers[:first]]


class Session:
    """
    The measurements of a run.

    @ivar samples: by the names of workload and server.
    @ivar errors: one for each pair of them that failed, and isn't tried again.
    """

    def __init__(self, installed: Installation, cores: Cores, timing: Timing) -> None:
        self.samples: dict[tuple[str, str], list[Sample]] = {}
        self.errors: dict[tuple[str, str], str] = {}
        self._installed = installed
        self._cores = cores
        self._timing = timing

    def run(
        self, workloads: Sequence[Workload], servers: Sequence[Server], rounds: int
    ) -> None:
        """Measure the servers in turn, so that the machine's other work affects all
        alike. Each round starts with another server: no server is always first, or
        always after the same one.
        """
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", flush=True)
            order = rotate(servers, number, rounds)
            for workload in workloads:
                for server in order:
                    if server.fits(workload):
                        self._measure(server, workload)

    def _measure(self, server: Server, workload: Workload) -> None:
        key = workload.name, server.name
        if key in self.errors:
            return
        name = f"  {workload.name}: {server.name}"
        try:
            sample = measure(
                server, workload, self._installed, self._cores, self._timing
            )
        except MeasurementError as error:
            self.errors[key] = str(error)
            self.samples.pop(key, None)
            print(f"{name}: error: {error}", flush=True)
            return
        self.samples.setdefault(key, []).append(sample)
        print(f"{name}: {figure(workload, sample.value)}", flush=True)


def report(
    session: Session,
    workloads: Sequence[Workload],
    servers: Sequence[Server],
    conditions: Mapping[str, str],
    judged: bool,
) -> Run:
    """
    @return: what came out.
    """
    samples: Samples = session.samples
    summaries = {key: summarize(each) for key, each in samples.items()}
    names = {workload.name for workload in workloads}
    budgets = [each for each in BUDGETS if each.workload in names] if judged else []
    return Run(
        workloads,
        servers,
        summaries,
        [judge(budget, summaries) for budget in budgets],
        list(session.errors.values()),
        conditions,
    )


def describe(
    installed: Installation, cores: Cores, timing: Timing, rounds: int, busy: float
) -> dict[str, str]:
    """@param busy: the load average before the run, which shows the machine's other
        work.
    @return: the conditions of a run, for its page.
    """
    versions = ", ".join(f"{name} {text}" for name, text in installed.versions.items())
    now = datetime.datetime.now(datetime.timezone.utc)
    found = {"Date": f"{now:%Y-%m-%d %H:%M} UTC", **machine()}
    found["Cores"] = f"the server on {cores.server}, the load on {cores.load}"
    found["Load average before"] = f"{busy:.1f}"
    found["Versions"] = versions
    found["Build"] = installed.build
    found["Rounds"] = f"{rounds}, of {timing.seconds:g} s after {timing.warmup:g} s"
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command.

    @param arguments: the command line's; C{None} for those of the process.
    @return: the exit status.
    """
    options = parse_arguments(arguments)
    # A signal that would end the run at once has to leave time to stop its servers.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(options)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    workloads = select(WORKLOADS, options.only, options.quick, "workload")
    every = MEASURES if options.measures else SERVERS
    servers = select(every, options.servers, options.quick, "server")
    rounds = options.rounds or (1 if options.quick else _ROUNDS)
    timing = _QUICK if options.quick else _FULL
    busy = os.getloadavg()[0]
    raise_descriptors()
    cores = choose_cores()
    if cores.shared:
        print("only one core: server and load share it, figures mean nothing")
    installed = install()
    print(installed.build)

    session = Session(installed, cores, timing)
    session.run(workloads, servers, rounds)
    conditions = describe(installed, cores, timing, rounds, busy)
    run = report(
        session, workloads, servers, conditions, not (options.quick or options.measures)
    )
    print()
    print(*overview(run), sep="\n")
    for line in budget_lines(run):
        print(" | ".join(line))
    whole = not (options.quick or options.measures or options.only or options.servers)
    usual = ROOT / "docs" / "explanation" if whole else BUILD / "report"
    output = options.output or usual
    _write(run, output)
    return _conclude(session)


def _write(run: Run, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = [each.name for each in WORKLOADS], [each.name for each in SERVERS]
    folder.joinpath("benchmarks.md").write_text(page(run, *names), "utf-8")
    folder.joinpath("benchmarks.svg").write_text(chart(run), "utf-8")
    print(f"wrote benchmarks.md and benchmarks.svg to {folder}")


def _conclude(session: Session) -> int:
    measured = sum(len(each) for each in session.samples.values())
    if not session.errors:
        print(f"{measured} measurements, all answers right")
        return 0
    pairs = ", ".join(f"{server} at {work}" for work, server in session.errors)
    print(f"error: {len(session.errors)} failed: {pairs}", file=sys.stderr)
    return 1
