"""The results of a run, for readers: a table for the terminal, and the page in
docs/.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from benchmarks.servers import Server
from benchmarks.statistics import Summary, Verdict
from benchmarks.workloads import IDLE, Workload

Summaries = Mapping[tuple[str, str], Summary]

# Characters that linters mistake for letters.
TIMES = "\N{MULTIPLICATION SIGN}"
DASH = "\N{EN DASH}"

# The server whose ratios the overview shows.
SUBJECT = "wsplug"


@dataclass(frozen=True)
class Run:
    """A run, for the report.

    @ivar workloads: the workloads measured.
    @ivar servers: the servers measured.
    @ivar summaries: the results, by the names of both.
    @ivar verdicts: on the budgets; none if they are not judged.
    @ivar errors: what went wrong.
    @ivar conditions: machine, versions, date and the like, by their names.
    """

    workloads: Sequence[Workload]
    servers: Sequence[Server]
    summaries: Summaries
    verdicts: Sequence[Verdict]
    errors: Sequence[str]
    conditions: Mapping[str, str]


def machine() -> dict[str, str]:
    """@return: a description of the machine."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "Machine": f"{cpu}, {os.cpu_count()} cores, {pages / 2**30:.0f} GiB",
        "Kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def number(value: float) -> str:
    """@return: a figure with three significant digits: C{1.23 M}, C{45.6 k}, C{789}."""
    for limit, unit in ((1e6, " M"), (1e3, " k")):
        if value >= limit * 0.9995:
            return _digits(value / limit) + unit
    return _digits(value)


def _digits(value: float) -> str:
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def figure(workload: Workload, value: float) -> str:
    """
    @return: a figure in its workload's unit: memory in KiB.
    """
    return f"{value / 1024:.1f} KiB" if workload.kind == IDLE else number(value)


def latency(microseconds: float | None) -> str:
    """
    @return: a latency, in a unit that fits.
    """
    if microseconds is None:
        return ""
    if microseconds >= 1000:
        return f"{_digits(microseconds / 1000)} ms"
    return f"{_digits(microseconds)} µs"


def percent(share: float | None) -> str:
    """
    @return: a share as a percentage.
    """
    return "" if share is None else f"{share * 100:.0f} %"


# For the terminal


def overview(run: Run) -> list[str]:
    """
    @return: a line for each workload and server.
    """
    heads: tuple[str, ...] = ("", "median", "lowest", "highest", "wsplug is")
    heads += ("p50", "p99", "server", "load", "a CPU second")
    lines = []
    for workload in run.workloads:
        rows = [heads, *_rows(run, workload)]
        if len(rows) == 1:
            continue
        widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
        lines.append(f"{workload.title} [{workload.name}], {workload.unit}")
        for row in rows:
            first = row[0].ljust(widths[0])
            rest = [cell.rjust(widths[i + 1]) for i, cell in enumerate(row[1:])]
            lines.append("  ".join(["", first, *rest]).rstrip())
        lines.append("")
    return lines


def _rows(run: Run, workload: Workload) -> Iterator[tuple[str, ...]]:
    own = run.summaries.get((workload.name, SUBJECT))
    for server in run.servers:
        summary = run.summaries.get((workload.name, server.name))
        if summary is None:
            continue
        against = ""
        if own is not None and server.name != SUBJECT and summary.value > 0:
            against = f"{own.value / summary.value:.2f} {TIMES}"
        yield (
            server.label,
            figure(workload, summary.value),
            figure(workload, summary.low),
            figure(workload, summary.high),
            against,
            latency(summary.p50),
            latency(summary.p99),
            percent(summary.server),
            percent(summary.generator),
            number(each) if (each := summary.per_processor_second) else "",
        )


def budget_lines(run: Run) -> list[tuple[str, str, str, str]]:
    """@return: for each budget: the workload, the goal, the result, and whether the
    goal is met.
    """
    titles = {workload.name: workload.title for workload in run.workloads}
    labels = {server.name: server.label for server in run.servers}
    lines = []
    for verdict in run.verdicts:
        budget = verdict.budget
        work = titles.get(budget.workload, budget.workload)
        if budget.server != SUBJECT:
            work += f" ({labels.get(budget.server, budget.server)})"
        lines.append((work, _goal(verdict, titles, labels), *_outcome(verdict)))
    return lines


def _goal(
    verdict: Verdict, titles: Mapping[str, str], labels: Mapping[str, str]
) -> str:
    budget = verdict.budget
    sign = "≤" if budget.at_most else "≥"
    if budget.peer is None:
        return f"{sign} {budget.goal / 1024:g} KiB"
    peer = labels.get(budget.peer, budget.peer)
    if budget.peer_workload:
        peer += f" at “{titles.get(budget.peer_workload, budget.peer_workload)}”"
    return f"{sign} {budget.goal:.3g} {TIMES} {peer}"


def _outcome(verdict: Verdict) -> tuple[str, str]:
    if verdict.value is None:
        return "", "not measured"
    if verdict.budget.peer is None:
        value = f"{verdict.value / 1024:.1f} KiB"
    else:
        value = f"{verdict.value:.2f} {TIMES}"
    if verdict.met:
        return value, "met"
    return value, f"missed by {verdict.missed_by * 100:.0f} %"


# The page

# Its prose, with placeholders for the words of the command line.
_ABOUT = Path(__file__).with_name("about.md")

# Comments on the budgets, written by hand.
_MISSED = Path(__file__).with_name("missed.md")


def page(run: Run, all_workloads: Sequence[str], all_servers: Sequence[str]) -> str:
    """
    @param all_workloads: the words for C{--only}.
    @param all_servers: the words for C{--servers}.
    @return: the page, in Markdown.
    """
    lines = [
        "# Benchmarks",
        "",
        "<!-- Written by benchmarks/run.py: change it there. -->",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {text} |" for name, text in run.conditions.items()),
        "",
        "![wsplug and other WebSocket servers, as bars](benchmarks.svg)",
        "",
    ]
    if run.errors:
        lines += ["## Errors", "", *(f"- {_line(text)}" for text in run.errors), ""]
    if run.verdicts:
        lines += [
            "## Budgets",
            "",
            "| work | goal | here | |",
            "| --- | --- | --- | --- |",
        ]
        lines += [f"| {' | '.join(line)} |" for line in budget_lines(run)]
        lines += ["", *_MISSED.read_text("utf-8").splitlines(), ""]
    lines += ["## Figures", "", *_figures(run)]
    about = Template(_ABOUT.read_text("utf-8")).substitute(
        workloads=_words(all_workloads), servers=_words(all_servers)
    )
    return "\n".join(lines) + "\n" + about


def _words(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _line(text: str) -> str:
    return text.splitlines()[0]


def _figures(run: Run) -> Iterator[str]:
    for workload in run.workloads:
        rows = list(_rows(run, workload))
        if not rows:
            continue
        yield f"### {workload.title}"
        yield ""
        if workload.kind == IDLE:
            yield f"| | median | lowest {DASH} highest | wsplug is |"
            yield "| --- | --: | --: | --: |"
            for row in rows:
                yield f"| {row[0]} | {row[1]} | {row[2]} {DASH} {row[3]} | {row[4]} |"
        else:
            yield (
                f"| {workload.unit} | median | lowest {DASH} highest | wsplug is "
                "| p50 | p99 | server | load | a CPU second |"
            )
            yield "| --- | --: | --: | --: | --: | --: | --: | --: | --: |"
            for row in rows:
                rest = " | ".join(row[4:])
                yield f"| {row[0]} | {row[1]} | {row[2]} {DASH} {row[3]} | {rest} |"
        yield ""
