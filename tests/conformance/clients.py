"""
Running the fuzzing clients of the testsuite.
"""

import json
import re
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.children import HOST, Child, ServerError, check_server
from tests.conformance.common import (
    Deadline,
    TimeLimitError,
    python27_environment,
    tail,
)
from tests.conformance.judge import CaseResult, ReportError, read_index

# No case may take longer than 480 s, by the testsuite's own limits. But the testsuite
# can hang if an exception keeps it from writing its reports.
STALL_SECONDS = 600.0

# How long the clients may take to write their reports when the server has gone.
WIND_UP_SECONDS = 10.0

# The groups of cases that are split, and may be run side by side.
LONG_GROUPS = ("9", "12", "13")

_RUNNING = re.compile(r"^Running test case ID (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Batch:
    """Cases that one fuzzing client runs one after another.

    @ivar name: the batch's name; also that of the folder for the reports.
    @ivar case_ids: the cases.
    """

    name: str
    case_ids: Sequence[str]


def split(case_ids: Sequence[str]) -> tuple[list[Batch], list[Batch]]:
    """Divide cases into batches.

    @param case_ids: the cases.
    @return: the batches to run one after another without any other load, and those that
        may run side by side. The first take seconds, but many of their cases wait for
        delays of a second, which a busy machine must not spoil.
    """
    groups: dict[str, list[str]] = {}
    for case_id in case_ids:
        group, subgroup = case_id.split(".")[:2]
        name = f"{group}.{subgroup}" if group in LONG_GROUPS else "basic"
        groups.setdefault(name, []).append(case_id)
    alone = [Batch("basic", groups.pop("basic"))] if "basic" in groups else []
    # The batches of group 9 are the short ones: they fill the gap at the end.
    names = sorted(groups, key=lambda name: name.startswith("9."))
    return alone, [Batch(name, groups[name]) for name in names]


class Client:
    """
    A fuzzing client with its batch of cases.
    """

    def __init__(
        self, batch: Batch, command: Sequence[str], port: int, reports: Path
    ) -> None:
        """
        Start the client.

        @param batch: the cases to run.
        @param command: the command of the client, without the spec file's name.
        @param port: the server's port.
        @param reports: the folder in which it gets a folder for its reports.
        """
        self.batch = batch
        self.folder = reports / batch.name
        self.folder.mkdir()
        spec = self.folder / "fuzzingclient.json"
        spec.write_text(
            json.dumps(
                {
                    "outdir": ".",
                    # Without a name the testsuite takes the one in the response of
                    # the server, for each case.
                    "servers": [{"agent": "server", "url": f"ws://{HOST}:{port}"}],
                    "cases": batch.case_ids,
                    "exclude-cases": [],
                    "exclude-agent-cases": {},
                },
                indent=2,
            ),
            encoding="utf-8",
        )
        self.child = Child(
            [*command, spec.name],
            self.folder / "wstest.log",
            python27_environment(),
            self.folder,
        )
        self.started = time.monotonic()

    def progress(self) -> str:
        """@return: the case that is running."""
        log = self.child.log.read_text(encoding="utf-8", errors="replace")
        running = _RUNNING.findall(log)
        return f"{self.batch.name} at case {running[-1] if running else '(none)'}"

    def is_stalled(self) -> bool:
        """@return: whether it has not started a new case for too long."""
        return time.time() - self.child.log.stat().st_mtime > STALL_SECONDS

    def results(self) -> dict[str, CaseResult]:
        """Read its reports, once it has ended.

        @return: the results by case.
        @raise ReportError: they are missing or broken.
        """
        index_file = self.folder / "index.json"
        try:
            index = json.loads(index_file.read_bytes())
            details = {
                path.name: json.loads(path.read_bytes())
                for path in self.folder.glob("server_case_*.json")
            }
        except (OSError, ValueError) as error:
            raise ReportError(
                f"the testsuite ended with status {self.child.status()} and no usable "
                f"reports on {self.progress()} ({error}); the end of "
                f"{self.child.log}:\n{tail(self.child.log)}"
            ) from error
        return read_index(index, details, str(self.folder))


class Run:
    """
    A run of the testsuite against a server.

    @ivar results: the results by case, so far.
    @ivar errors: what else went wrong.
    """

    def __init__(
        self,
        command: Sequence[str],
        server: Child,
        port: int,
        reports: Path,
        deadline: Deadline,
    ) -> None:
        """
        @param command: the command of the client, without the spec file's name.
        @param server: the server's process.
        @param port: the port it listens on.
        @param reports: the folder for the reports.
        @param deadline: when the run has to be over.
        """
        self.results: dict[str, CaseResult] = {}
        self.errors: list[str] = []
        self._command = command
        self._server = server
        self._port = port
        self._reports = reports
        self._deadline = deadline

    def run(self, batches: Sequence[Batch], shards: int) -> None:
        """
        Run batches of cases.

        @param batches: the batches, in the order in which to begin them.
        @param shards: how many clients to run at a time.
        @raise TimeLimitError: when the time is over.
        @raise ServerError: when the server has ended.
        """
        waiting = deque(batches)
        running: list[Client] = []
        with ExitStack() as stack:
            while waiting or running:
                while waiting and len(running) < shards:
                    client = Client(
                        waiting.popleft(), self._command, self._port, self._reports
                    )
                    stack.enter_context(client.child)
                    running.append(client)
                time.sleep(0.1)
                before = running
                running = [client for client in before if self._is_running(client)]
                try:
                    self._deadline.remaining()
                    check_server(self._server)
                except TimeLimitError as error:
                    left = [client.progress() for client in running]
                    left += [batch.name for batch in waiting]
                    raise TimeLimitError(f"{error}; left: {', '.join(left)}") from None
                except ServerError as error:
                    got_to = ", ".join(client.progress() for client in before)
                    self._wind_up(running)
                    raise ServerError(f"{got_to}: {error}") from None

    def _wind_up(self, running: Sequence[Client]) -> None:
        """Collect the clients' results after the server has gone.

        @param running: the clients.
        """
        # Once they are refused a connection they write their reports and end.
        give_up = time.monotonic() + WIND_UP_SECONDS
        while running and time.monotonic() < give_up:
            time.sleep(0.1)
            running = [client for client in running if self._is_running(client)]

    def _is_running(self, client: Client) -> bool:
        """Check a client; collect its results if it has ended.

        @param client: the client.
        @return: whether it still runs.
        """
        if client.child.status() is None:
            if not client.is_stalled():
                return True
            self.errors.append(
                f"the testsuite hangs: {client.progress()}; "
                f"the end of {client.child.log}:\n{tail(client.child.log)}"
            )
            client.child.stop()
            return False
        try:
            results = client.results()
        except ReportError as error:
            self.errors.append(str(error))
        else:
            self.results.update(results)
            seconds = time.monotonic() - client.started
            name = client.batch.name
            print(f"  {name}: {len(results)} cases in {seconds:.0f} s", flush=True)
            # If the server has gone, that is the error to report.
            left_out = len(client.batch.case_ids) - len(results)
            if left_out and self._server.status() is None:
                self.errors.append(
                    f"the testsuite ended early: {client.progress()}; "
                    f"the end of {client.child.log}:\n{tail(client.child.log, 5)}"
                )
        return False
