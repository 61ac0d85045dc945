"""
The command line of the soak.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.soak.soak import Scale, soak
from tests.soak.verdict import judge, report

__all__ = ["QUICK", "main"]

QUICK: Final = Scale(30, 300, 2)

_SPARE: Final = 1000
"""Descriptors that a process needs in addition to its connections."""

_SHOWN: Final = 40


def parseArguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        prog="soak", description="Hold a server under a mixed load, and check all."
    )
    parser.add_argument(
        "--minutes",
        type=_between(float, 1, 1440),
        default=5.0,
        help="duration (default: 5)",
    )
    parser.add_argument(
        "--connections",
        type=_between(int, 100, 100_000),
        default=5000,
        help="connections at a time, 100 or more (default: 5000)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="30 seconds, 300 connections"
    )
    parser.add_argument(
        "--processes",
        type=_between(int, 1, 64),
        default=2,
        help="processes of clients (default: 2)",
    )
    parser.add_argument("--folder", type=Path, help="keep all files in this folder")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write the figures there, as JSON"
    )
    parser.add_argument(
        "server",
        nargs="*",
        metavar="OPTION",
        help="after --: options for twistd wsplug, as --max-connections 100",
    )
    return parser.parse_args(arguments)


def _between(kind: type[int] | type[float], low: int, high: int) -> Any:
    """Make a function that parses a number."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(-1)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"a number from {low} to {high}")
        return value

    return read


def show(figures: dict[str, Any]) -> None:
    """Print the figures, one line for each group."""
    for name, value in figures.items():
        if name == "problems":
            continue
        if isinstance(value, dict):
            words = [f"{key} {each}" for key, each in value.items()]
            separator = "\n  " if name == "closings" else ", "
            start = "\n  " if name == "closings" else " "
            print(f"{name.replace('_', ' ')}:{start}{separator.join(words)}")
        else:
            print(f"{name.replace('_', ' ')}: {value}")
    problems = figures["problems"]
    for problem in problems[:_SHOWN]:
        print(f"WRONG: {problem}")
    if len(problems) > _SHOWN:
        print(f"WRONG: … and {len(problems) - _SHOWN} more")
    print("all was right" if not problems else f"{len(problems)} things were wrong")


def run(options: argparse.Namespace, folder: Path) -> int:
    scale = QUICK
    if not options.quick:
        minutes = 60 * options.minutes
        scale = Scale(minutes, options.connections, options.processes)
    evidence = soak(scale, folder, options.server)
    problems = judge(evidence)
    figures = report(evidence, problems)
    show(figures)
    if options.report is not None:
        options.report.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 1 if problems else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command.

    @return: the exit status.
    """
    options = parseArguments(arguments)
    if sys.platform != "linux":
        print("error: it needs Linux: /proc, and all of 127.0.0.0/8", file=sys.stderr)
        return 2
    # Ignore the environment's proxies: everything here is on this machine.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = options.connections + _SPARE
    if most < needed and not options.quick:
        print(
            f"error: a process may have {most} files open; {needed} are needed "
            "(ulimit -n)",
            file=sys.stderr,
        )
        return 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # A signal that would end this at once has to leave time to end the child processes.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    try:
        if options.folder is not None:
            options.folder.mkdir(parents=True, exist_ok=True)
            return run(options, options.folder.absolute())
        with tempfile.TemporaryDirectory(prefix="soak-") as folder:
            return run(options, Path(folder))
    except AssertionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
