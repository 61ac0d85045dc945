"""Clients that keep connecting while servers come and go, and a stand-in for
systemd.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.processes import HANDSHAKE, HOST, TWISTD, Server

__all__ = ["Callers", "activate", "boundPort", "inherit"]


class Callers:
    """Threads that connect, do a handshake and disconnect, again and again.

    @ivar count: how many handshakes succeeded.
    @ivar failures: everything else that happened.
    @ivar slowest: seconds that the slowest handshake took.
    """

    def __init__(self, address: tuple[str, int] | str, threads: int = 3) -> None:
        """
        @param address: host and port, or a UNIX socket's path.
        """
        self.count = 0
        self.failures: list[str] = []
        self.slowest = 0.0
        self._address = address
        self._stop = False
        self._threads = [threading.Thread(target=self._call) for _ in range(threads)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        while not self._stop:
            began = time.monotonic()
            try:
                answer = self._connect()
            except OSError as error:
                self.failures.append(repr(error))
                time.sleep(0.01)
                continue
            self.slowest = max(self.slowest, time.monotonic() - began)
            if answer == b"HTTP/1.1 101":
                self.count += 1
            else:
                self.failures.append(repr(answer))

    def _connect(self) -> bytes:
        unix = isinstance(self._address, str)
        with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as client:
            client.settimeout(30)
            client.connect(self._address)
            client.sendall(HANDSHAKE % b"/")
            answer = b""
            while len(answer) < 12:
                part = client.recv(12 - len(answer))
                if not part:
                    break
                answer += part
            return answer


_ACTIVATE = """
import fcntl, os, sys
count = int(sys.argv[1])
given = [int(word) for word in sys.argv[2:2 + count]]
# Out of the way first: one may be where another has to go.
moved = [fcntl.fcntl(fd, fcntl.F_DUPFD, 3 + count) for fd in given]
for target, fd in enumerate(moved, 3):
    os.dup2(fd, target, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(count)
program = sys.argv[2 + count:]
os.execv(program[0], program)
"""


def inherit(sockets: Sequence[socket.socket]) -> list[str]:
    """Give the prefix of a command that makes it inherit sockets as from systemd."""
    numbers = [str(each.fileno()) for each in sockets]
    return [sys.executable, "-c", _ACTIVATE, str(len(sockets)), *numbers]


@contextmanager
def activate(
    folder: Path,
    sockets: Sequence[socket.socket],
    listen: Sequence[str],
    *,
    names: Sequence[str] = (),
    arguments: Sequence[str] = ("--app=echo",),
) -> Iterator[Server]:
    """Start a server that inherits sockets.

    @param names: the sockets' names, as C{FileDescriptorName=} gives them.
    """
    words = names or ["wsplug.socket"] * len(sockets)
    with Server(
        folder,
        arguments,
        listen=listen,
        environment={"LISTEN_FDNAMES": ":".join(words)},
        program=[*inherit(sockets), TWISTD],
        descriptors=[each.fileno() for each in sockets],
    ) as server:
        yield server


def boundPort() -> tuple[socket.socket, int]:
    """Give a port that only processes that share it can use, while the socket
    exists.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind((HOST, 0))
    return holder, holder.getsockname()[1]
