"""
The processes that the runner starts, and ends.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.conformance.common import Deadline, SetupError, tail

HOST = "127.0.0.1"

# How long the server may take until it accepts connections.
START_SECONDS = 30.0

# How long a process may take to end when it is asked to, before it is killed.
STOP_SECONDS = 10.0


class ServerError(Exception):
    """
    The server did not start, or died.
    """


class Child:
    """
    A process whose output goes to a file. As a context manager it ends the process.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        folder: Path | None = None,
    ) -> None:
        """
        Start the process.

        @param command: the command.
        @param log: the file for what it prints.
        @param environment: its environment variables.
        @param folder: its working directory, if not that of the runner.
        @raise SetupError: when there is no such program.
        """
        self.log = log
        with log.open("wb") as output:
            try:
                self._process = subprocess.Popen(
                    command,
                    env=environment,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    # A session of its own: Ctrl-C reaches the runner only, which ends
                    # its children in their order, with the children they have.
                    start_new_session=True,
                )
            except OSError as error:
                raise SetupError(f"cannot start {command[0]}: {error}") from error

    def __enter__(self) -> "Child":
        """
        @return: itself.
        """
        return self

    def __exit__(self, *exc_info: object) -> None:
        """
        End the process.

        @param exc_info: ignored.
        """
        self.stop()

    def status(self) -> int | None:
        """
        @return: the exit status; None while the process runs.
        """
        return self._process.poll()

    def stop(self) -> None:
        """
        End the process, by force when it does not end in time.
        """
        try:
            self._signal(signal.SIGTERM)
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"killing process {self._process.pid}, which did not end", flush=True)
        finally:
            # Also when the wait is interrupted: nothing may be left behind.
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        """
        Send a signal to the process and its children, unless it has ended.

        @param number: the signal.
        """
        # Until it has been waited for, no other process can have its ID.
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)


def free_port() -> int:
    """@return: a free TCP port of the loopback interface."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for_server(server: Child, port: int, deadline: Deadline) -> None:
    """
    Wait until the server accepts connections.

    @param server: the server's process.
    @param port: the port it is to listen on.
    @param deadline: the end of the whole run.
    @raise ServerError: when it ends, or does not accept connections in time.
    """
    give_up = time.monotonic() + min(START_SECONDS, deadline.remaining())
    while time.monotonic() < give_up:
        check_server(server)
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            # The server may have ended because another process took the port first.
            check_server(server)
            return
    raise ServerError(
        f"the server does not accept connections on {HOST}:{port}; "
        f"the end of {server.log}:\n{tail(server.log)}"
    )


def check_server(server: Child) -> None:
    """
    Check that the server has not ended.

    @param server: the server's process.
    @raise ServerError: when it has.
    """
    status = server.status()
    if status is not None:
        raise ServerError(
            f"the server has ended with status {status}; "
            f"the end of {server.log}:\n{tail(server.log)}"
        )
