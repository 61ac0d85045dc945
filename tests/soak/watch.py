"""Observers of the server during a soak: a well-behaved client that measures
latency, a scraper of the metrics, an operator with the status page, and one that
measures memory and descriptors.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.processes import HOST, PATIENCE, Server, receive, upgrade
from tests.soak.frames import CLOSE, TEXT, encode
from wsplug.admin.messages import SUBPROTOCOL

__all__ = ["Metrics", "Watch", "isReady", "scrape"]

Metrics = dict[tuple[str, tuple[str, ...]], float]
"""Values, by name and the labels' values, in the order of the labels' names."""

_SCRAPES: Final = 3.0
_LOOKS: Final = 0.5
_PACE: Final = 0.02

_PING: Final = b"\x89\x10"
"""
The beginning of the server's own ping.
"""


def busy(server: Server) -> float:
    """Give the processor seconds that the server has used."""
    with open(f"/proc/{server.pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def isReady(port: int) -> bool:
    """
    Ask a server whether it is ready.
    """
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/-/health/ready") as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


def scrape(admin: int) -> Metrics:
    """
    Read the metrics.
    """
    url = f"http://{HOST}:{admin}/-/metrics"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        text = answer.read().decode("utf-8")
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Watch:
    """All observers, each in its own thread.

    @ivar latencies: seconds that each echo took, on a lasting connection.
    @ivar connecting: seconds that a new connection and its first echo took.
    @ivar memory: times and bytes.
    @ivar scrapes: how many there were.
    @ivar samples: of the status page.
    @ivar counts: as a crowd's: L{tests.soak.client.Crowd}.
    @ivar problems: what went wrong.
    """

    def __init__(
        self, server: Server, plain: int, tls: int, admin: int, trust: ssl.SSLContext
    ) -> None:
        self.latencies: list[float] = []
        self.connecting: list[float] = []
        self.memory: list[tuple[float, int]] = []
        self.scrapes = 0
        self.samples = 0
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self._server = server
        self._plain = plain
        self._tls = tls
        self._admin = admin
        self._trust = trust
        self._ended = threading.Event()
        self._away = threading.Event()
        self._status: Any = None
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in (self._ask, self._scrape, self._look, self._operate)
        ]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stop the observers that are clients; the operator stays to see the
        server's end.
        """
        self._ended.set()
        for thread in self._threads[:3]:
            thread.join(PATIENCE)
            if thread.is_alive():
                self.problems.append("somebody who watches did not come to an end")

    def leave(self) -> None:
        """Record that the server is gone."""
        self._ended.set()
        self._away.set()
        self._threads[3].join(PATIENCE)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self.problems.append(f"{work.__name__}: {type(error).__name__}: {error}")

    # The good client

    def _ask(self) -> None:
        held = self._connect(secure=False)
        number = 0
        while not self._ended.wait(_PACE):
            number += 1
            began = time.monotonic()
            self._echo(held, f"good {number}")
            self.latencies.append(time.monotonic() - began)
            if number % 50 == 0:
                began = time.monotonic()
                another = self._connect(secure=number % 100 == 0)
                self._echo(another, "new")
                self.connecting.append(time.monotonic() - began)
                self._close(another)
        self._close(held)

    def _connect(self, *, secure: bool) -> socket.socket:
        port, trust = (self._tls, self._trust) if secure else (self._plain, None)
        made = upgrade(port, "/echo", trust, source="127.2.0.1")
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.counts["handshake echo 101"] += 1
        return made

    def _echo(self, connection: socket.socket, text: str) -> None:
        payload = text.encode("ascii")
        connection.sendall(encode(TEXT, payload))
        expected = bytes((0x81, len(payload))) + payload
        answer = receive(connection, 2)
        while answer == _PING:
            # Connecting kept the thread busy that long. Any byte is an answer.
            receive(connection, _PING[1])
            answer = receive(connection, 2)
        answer += receive(connection, len(expected) - 2)
        if answer != expected:
            raise ConnectionError(f"{answer!r} came, and not {expected!r}")
        self.counts["sent echo"] += 1
        self.counts["received echo"] += 1

    def _close(self, connection: socket.socket) -> None:
        connection.sendall(encode(CLOSE, b"\x03\xe8"))
        answer = receive(connection, 4)
        if answer != b"\x88\x02\x03\xe8":
            raise ConnectionError(f"closed with {answer!r}")
        connection.close()
        self.counts["closing echo 1000 peer -"] += 1

    # The others

    def _scrape(self) -> None:
        last: Metrics = {}
        while not self._ended.wait(_SCRAPES):
            now = scrape(self._admin)
            for key, value in last.items():
                if key[0].endswith("_total") and now.get(key, 0) < value:
                    self.problems.append(f"a counter went back: {key}")
            last = now
            self.scrapes += 1

    def _look(self) -> None:
        while not self._ended.wait(_LOOKS):
            self.memory.append((time.monotonic(), self._server.memory()))

    def _operate(self) -> None:
        url = f"ws://{HOST}:{self._admin}/-/status"
        with connect(
            url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            max_size=None,
            ping_interval=None,
        ) as page:
            if json.loads(page.recv(PATIENCE))["type"] != "welcome":
                raise ConnectionError("the status page is not welcome")
            asked = 0.0
            while not self._away.is_set():
                if time.monotonic() > asked + 2 and not self._ended.is_set():
                    asked = time.monotonic()
                    page.send(json.dumps({"type": "clients", "request": 1}))
                try:
                    message = json.loads(page.recv(PATIENCE))
                except ConnectionClosed:
                    if not self._ended.is_set():
                        raise
                    return
                if message["type"] == "error":
                    self.problems.append(f"the status page: {message}")
                self.samples += message["type"] == "sample"
