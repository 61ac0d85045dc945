"""C{twistd wsplug} as a process: it starts in a folder, is waited for, and is
stopped.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from websockets.sync.client import connect, unix_connect

__all__ = [
    "HANDSHAKE",
    "HOST",
    "TCP",
    "TWISTD",
    "Finished",
    "Process",
    "Server",
    "checkEcho",
    "portOf",
    "receive",
    "runTwistd",
    "serve",
    "upgrade",
    "waitUntil",
]

HOST = "127.0.0.1"

TCP = f"tcp:0:interface={HOST}"
"""
An endpoint on a free port.
"""

TWISTD = str(Path(sys.executable).with_name("twistd"))
"""The C{twistd} of this Python."""

PATIENCE = 60.0
"""Seconds that anything may take on a slow machine: reached only if a test fails."""


def waitUntil(
    condition: Callable[[], bool], what: str, seconds: float = PATIENCE
) -> None:
    """Poll until a condition is true.

    @raise AssertionError: it isn't true in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not in {seconds:g} seconds: {what}")
        time.sleep(0.01)


class Finished(NamedTuple):
    """
    What a process has left behind.
    """

    status: int
    out: str
    err: str


class Process:
    """A process in a folder. As a context manager, it always ends the process.

    @ivar folder: its working directory.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
        descriptors: Sequence[int] = (),
    ) -> None:
        """
        Start it.

        @param folder: its working directory.
        @param environment: variables that it has besides this process's own.
        @param descriptors: of this process, which it has too.
        """
        self.folder = folder
        number = len(list(folder.glob("stdout-*")))
        self._out = folder / f"stdout-{number}"
        self._err = folder / f"stderr-{number}"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                pass_fds=descriptors,
            )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def out(self) -> str:
        """Its standard output so far."""
        return self._out.read_text("utf-8", "replace")

    @property
    def err(self) -> str:
        """Its standard error so far."""
        return self._err.read_text("utf-8", "replace")

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for its end.

        @return: its exit status; negative if a signal killed it.
        @raise AssertionError: it hasn't ended in time.
        """
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"still there after {seconds:g} seconds:\n{self.out}\n{self.err}"
            ) from None

    def finish(self, seconds: float = PATIENCE) -> Finished:
        """
        Wait for its end.
        """
        return Finished(self.wait(seconds), self.out, self.err)

    def stop(self, seconds: float = PATIENCE) -> int:
        """Stop it with SIGTERM, and wait for its end."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        """Stop it if it still runs, by force if necessary."""
        if not self.ended:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def memory(self) -> int:
        """The memory it uses, in bytes (Linux only)."""
        pages = Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """The number of its open descriptors (Linux only)."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Server(Process):
    """
    C{twistd -n wsplug}, listening.

    @ivar addresses: what it listens on, in the order of its endpoints.
    """

    def __init__(
        self,
        folder: Path,
        arguments: Sequence[str],
        *,
        listen: Sequence[str] = (TCP,),
        twistd: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = (TWISTD,),
        descriptors: Sequence[int] = (),
    ) -> None:
        """
        @param arguments: for C{wsplug}.
        @param listen: the endpoints; none where the arguments say where to listen.
        @param twistd: options for C{twistd} itself.
        @param program: which C{twistd}, with what may be in front of it.
        """
        command = [*program, "-n", "--pidfile=", *twistd, "wsplug", *arguments]
        command.extend(f"--listen={description}" for description in listen)
        super().__init__(
            command, folder, environment=environment, descriptors=descriptors
        )
        # The port option adds one endpoint.
        named = any(each.partition("=")[0] == "--port" for each in arguments)
        count = max(len(listen) + named, 1)
        try:
            waitUntil(lambda: self._listens(count), "the server listens")
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Server:
        return self

    def _listens(self, count: int) -> bool:
        # First: everything it printed before its end is there once it has ended.
        ended = self.ended
        self.addresses = re.findall(r"listening on (\S+)$", self.out, re.MULTILINE)
        if len(self.addresses) >= count:
            return True
        if ended:
            raise AssertionError(f"it has ended:\n{self.out}\n{self.err}")
        return False

    @property
    def log(self) -> str:
        """Its log so far."""
        return self.out

    @property
    def port(self) -> int:
        """
        The first port that it listens on.
        """
        return portOf(self.addresses[0])

    def waitForLog(self, text: str, start: int = 0) -> None:
        """
        Wait until it has logged something.

        @param start: how much of the log is too old.
        """
        try:
            waitUntil(lambda: text in self.log[start:], f"{text!r} is in the log")
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{self.log[start:]}") from None


def portOf(address: str) -> int:
    """Give the port of an address in the log's format."""
    return int(address.rpartition(":")[2])


@contextmanager
def serve(
    folder: Path,
    *arguments: str,
    listen: Sequence[str] = (TCP,),
    twistd: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run a server during other work; C{echo} if no application is given."""
    if not any(argument.startswith(("--app", "--config")) for argument in arguments):
        arguments = ("--app=echo", *arguments)
    with Server(
        folder, arguments, listen=listen, twistd=twistd, environment=environment
    ) as server:
        yield server


HANDSHAKE = (
    b"GET %s HTTP/1.1\r\n"
    b"Host: example.org\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"\r\n"
)


def upgrade(
    port: int,
    path: str = "/",
    trust: ssl.SSLContext | None = None,
    source: str | None = None,
) -> socket.socket:
    """Connect without a library.

    The bytes after the 101 remain in the socket, and nothing is answered.

    @param trust: for TLS.
    @param source: the address to connect from.
    """
    own = None if source is None else (source, 0)
    connection = socket.create_connection((HOST, port), PATIENCE, own)
    try:
        if trust is not None:
            connection = trust.wrap_socket(connection, server_hostname=HOST)
        connection.sendall(HANDSHAKE % path.encode("ascii"))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            # Byte by byte: what follows must not be read here.
            head += receive(connection, 1)
        assert head.startswith(b"HTTP/1.1 101 "), head
    except BaseException:
        connection.close()
        raise
    return connection


def checkEcho(port: int = 0, path: str = "/", *, unix: Path | None = None) -> None:
    """Send a message, and check that it is echoed.

    @param port: where; or
    @param unix: the path of a UNIX socket.
    """
    if unix is not None:
        url = f"ws://localhost{path}"
        made = unix_connect(str(unix), url, open_timeout=PATIENCE)
    else:
        made = connect(f"ws://{HOST}:{port}{path}", open_timeout=PATIENCE)
    with made as connection:
        connection.send("hello")
        assert connection.recv(PATIENCE) == "hello"


def runTwistd(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run C{twistd} until it ends."""
    with Process([TWISTD, *arguments], folder, environment=environment) as process:
        return process.finish()


def receive(source: socket.socket, size: int) -> bytes:
    """Read an exact number of bytes.

    @raise ConnectionError: the connection ends before.
    """
    data = b""
    while len(data) < size:
        piece = source.recv(size - len(data))
        if not piece:
            raise ConnectionError(f"ended behind {data!r}")
        data += piece
    return data
