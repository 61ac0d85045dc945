"""The effects of an attack on other clients and on the server: how long well-behaved
clients wait, how much memory and how many descriptors the process takes.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.processes import PATIENCE, Server, receive, upgrade, waitUntil
from wsplug.codec import FIN, OP_TEXT, encode_frame

__all__ = ["Bystander", "Swarm", "attack"]

_ROOT: Final = Path(__file__).parents[2]

_QUESTION: Final = encode_frame(FIN | OP_TEXT, b"hello", b"\x37\xfa\x21\x3d")
_ANSWER: Final = b"\x81\x05hello"
_PING: Final = b"\x89\x10"
"""The beginning of the server's own ping, which needs no answer here: any byte is
one.
"""


class Bystander:
    """A well-behaved client.

    It has one connection, and opens another again and again. On each, it sends a
    message to the echo, and measures the time until the answer. Meanwhile another
    thread watches the server's memory and descriptors.

    @ivar slowest: seconds that the slowest answer took, connecting included.
    @ivar answers: how many there were.
    @ivar memory: bytes that the server had at most.
    @ivar descriptors: how many it had at most.
    @ivar error: what went wrong, if anything did.
    """

    def __init__(self, server: Server) -> None:
        self.slowest = 0.0
        self.answers = 0
        self.memory = server.memory()
        self.descriptors = server.descriptors()
        self.error: Exception | None = None
        self._server = server
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, daemon=True),
            threading.Thread(target=self._look, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _ask(self) -> None:
        try:
            with self._connect() as held:
                while not self._ended.wait(0.05):
                    self._echo(held, time.monotonic())
                    began = time.monotonic()
                    with self._connect() as another:
                        self._echo(another, began)
        except Exception as error:
            self.error = error

    def _connect(self) -> socket.socket:
        return upgrade(self._server.port, source="127.0.0.9")

    def _echo(self, connection: socket.socket, began: float) -> None:
        connection.sendall(_QUESTION)
        answer = receive(connection, 2)
        while answer == _PING:
            receive(connection, _PING[1])
            answer = receive(connection, 2)
        answer += receive(connection, len(_ANSWER) - 2)
        assert answer == _ANSWER, answer
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.answers += 1

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            self.memory = max(self.memory, self._server.memory())
            self.descriptors = max(self.descriptors, self._server.descriptors())


class Swarm:
    """The attackers' process.

    @ivar counts: what they did, available once they have ended.
    """

    def __init__(
        self,
        server: Server,
        way: str,
        clients: int,
        addresses: int,
        region: int,
        seconds: float,
    ) -> None:
        numbers = map(str, (server.port, way, clients, addresses, region, seconds))
        self.counts: dict[str, int] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.abuse.swarm", *numbers],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )

    def waitUntilReady(self) -> None:
        """
        Wait until each client has begun.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line == "ready\n", line

    def end(self) -> None:
        self._process.terminate()
        out, _ = self._process.communicate(timeout=PATIENCE)
        self.counts = json.loads(out.splitlines()[-1])

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


@contextmanager
def attack(
    server: Server, way: str, clients: int, addresses: int, region: int, seconds: float
) -> Iterator[tuple[Swarm, Bystander]]:
    """Attack the server during other work: once all attackers have begun, for some
    seconds, and until they are gone.
    """
    bystander = Bystander(server)
    swarm = Swarm(server, way, clients, addresses, region, 60 + seconds)
    try:
        swarm.waitUntilReady()
        deadline = time.monotonic() + seconds
        waitUntil(lambda: time.monotonic() > deadline, "the attack lasts")
        yield swarm, bystander
        swarm.end()
    finally:
        swarm.kill()
        bystander.end()
