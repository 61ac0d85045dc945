"""
The command line of the conformance runner.
"""

import argparse
import fnmatch
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.children import (
    HOST,
    Child,
    ServerError,
    check_server,
    free_port,
    wait_for_server,
)
from tests.conformance.clients import Run, split
from tests.conformance.common import (
    Deadline,
    SetupError,
    TimeLimitError,
    prepare_folder,
)
from tests.conformance.judge import FULL_COUNT, Judgement, judge
from tests.conformance.output import bad_cases, summary, table, write_index
from tests.conformance.python27 import Testsuite, find_python27

ALL_GROUPS = "1.*,2.*,3.*,4.*,5.*,6.*,7.*,9.*,10.*,12.*,13.*"

BUILD = Path("build") / "conformance"


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """
    @param arguments: the command line's arguments; None for those of the process.
    @return: the options.
    """
    parser = argparse.ArgumentParser(
        prog="conformance",
        description="Measure the server with the Autobahn testsuite.",
    )
    parser.add_argument(
        "--cases",
        default=ALL_GROUPS,
        metavar="PATTERNS",
        help="the cases to run, separated by commas, such as '1.*,5.3' "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--server-command",
        metavar="COMMAND",
        help="the server to measure, with {port} in place of the port of "
        f"{HOST} it has to listen on (default: wsplug's echo application)",
    )
    parser.add_argument(
        "--shards",
        type=_positive_int,
        default=2,
        metavar="N",
        help="how many fuzzing clients to run at a time, for the groups of cases that "
        "take long (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=_positive_int,
        default=3000,
        metavar="SECONDS",
        help="the time limit of the whole run (default: %(default)s)",
    )
    parser.add_argument(
        "--reports",
        type=Path,
        default=BUILD / "reports",
        metavar="DIR",
        help="the folder for the reports; those of the last run are removed "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--env",
        type=Path,
        default=BUILD / "py27",
        metavar="DIR",
        help="the folder the testsuite is installed in, and kept for the next run "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--python27",
        metavar="PATH",
        help="the Python 2.7 to use (default: $PYTHON27, or else python2.7 on PATH, "
        "or else one of pyenv)",
    )
    return parser.parse_args(arguments)


def _positive_int(text: str) -> int:
    """
    @param text: the value of an option.
    @return: the number it is.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def server_command(template: str | None, port: int) -> list[str]:
    """
    @param template: the server's command with C{{port}} in it; None for wsplug.
    @param port: the port it has to listen on.
    @return: the command.
    @raise SetupError: when the command is not one.
    """
    if template is None:
        # Next to the interpreter as it was called: a virtual environment has links.
        twistd = Path(sys.executable).with_name("twistd")
        if not twistd.exists():
            raise SetupError(
                f"there is no {twistd}: run this with the Python wsplug is installed "
                "in, or name another server with --server-command"
            )
        return [
            *(str(twistd), "-n", "--pidfile=", "wsplug"),
            *("--listen", f"tcp:{port}:interface={HOST}"),
            *("--max-message-size", str(64 * 2**20)),
            *("--max-send-buffer", str(128 * 2**20)),
            *("--max-fragments", "100000"),
            *("--app", "echo"),
        ]
    try:
        words = shlex.split(template)
    except ValueError as error:
        raise SetupError(f"--server-command: {error}") from error
    command = [word.replace("{port}", str(port)) for word in words]
    if command == words:
        raise SetupError("--server-command has to have {port} in it")
    return command


def select_cases(patterns: str, case_ids: Sequence[str]) -> list[str]:
    """@param patterns: the value of C{--cases}.
    @param case_ids: all existing cases.
    @return: the selected cases.
    @raise SetupError: a pattern selects nothing.
    """
    selected: set[str] = set()
    for pattern in patterns.split(","):
        found = fnmatch.filter(case_ids, pattern.strip())
        if not found:
            raise SetupError(
                f"--cases: no case is called {pattern.strip()!r}; a whole group is "
                "written '12.*'"
            )
        selected.update(found)
    return [case_id for case_id in case_ids if case_id in selected]


def measure(options: argparse.Namespace) -> Judgement:
    """Run the testsuite and print the results.

    @param options: the options of the command line.
    @return: the judgement.
    @raise SetupError: the run cannot begin.
    @raise ServerError: the server does not start.
    @raise TimeLimitError: the time is over before the run has begun.
    """
    deadline = Deadline(options.timeout)
    # Mistakes in the command line are reported before the installation, which takes
    # long. The port is chosen after it, since another process may take the port in the
    # meantime.
    server_command(options.server_command, port=0)
    python27 = find_python27(options.python27, os.environ)
    testsuite = Testsuite(options.env)
    testsuite.install(python27, deadline)
    asked = select_cases(options.cases, testsuite.case_ids())
    reports: Path = options.reports.absolute()
    prepare_folder(reports)

    port = free_port()
    command = server_command(options.server_command, port)
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    with Child(command, reports / "server.log", environment) as server:
        wait_for_server(server, port, deadline)
        print(f"running {len(asked)} cases against {shlex.join(command)}", flush=True)
        run = Run(testsuite.fuzzingclient, server, port, reports, deadline)
        alone, side_by_side = split(asked)
        try:
            run.run(alone, 1)
            run.run(side_by_side, options.shards)
            check_server(server)
        except (ServerError, TimeLimitError) as error:
            # The results so far are judged anyway.
            run.errors.append(str(error))

    write_index(run.results, reports)
    required_count = FULL_COUNT if options.cases == ALL_GROUPS else None
    judgement = judge(run.results, asked, required_count)
    judgement.errors += run.errors
    print()
    print(*table(judgement, run.results), sep="\n")
    for line in bad_cases(judgement, run.results):
        print(line)
    for text in judgement.errors:
        print(f"\nerror: {text}")
    print(f"\n{summary(judgement)}", flush=True)
    return judgement


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command.

    @param arguments: the command line's arguments; None for those of the process.
    @return: the exit status.
    """
    options = parse_arguments(arguments)
    # A signal that would end the runner at once has to leave time to stop its child
    # processes.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    try:
        return 0 if measure(options).good else 1
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (ServerError, TimeLimitError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
