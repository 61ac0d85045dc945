"""
The attackers, in a process of their own, so that they don't slow down the measurements.

::

    python -m tests.abuse.swarm PORT WAY CLIENTS PLACES REGION SECONDS

runs that many clients in one of L{WAYS}, from that many addresses of this machine's own
network (C{127.REGION.0.0/16}), for some seconds at most, or until SIGTERM. It prints
C{ready} once each client has begun, and its results, as JSON, at its end.
"""

from __future__ import annotations

import json
import random
import selectors
import signal
import socket
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any, Final

from wsplug.codec import (
    FIN,
    OP_BINARY,
    OP_CLOSE,
    OP_CONTINUATION,
    OP_PING,
    OP_TEXT,
    RSV1,
    encode_frame,
    pack_close,
)

__all__ = ["PACE", "WAYS"]

HOST: Final = "127.0.0.1"

MASK: Final = b"\x37\xfa\x21\x3d"

HANDSHAKE: Final = (
    b"GET / HTTP/1.1\r\n"
    b"Host: example.org\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"\r\n"
)

MIB: Final = 1024 * 1024

RESET: Final = object()
"""Reset the connection."""

SHUT: Final = object()
"""Close the connection in order."""

Behaviour = Iterator[Any]
"""A client's steps: bytes to send, seconds to wait, L{RESET} or L{SHUT}.

After the last step, it begins again on another connection.
"""


def frame(payload: bytes, first: int) -> bytes:
    return encode_frame(first, payload, MASK)


def header(size: int, first: int) -> bytes:
    """The header of a frame whose payload follows."""
    return struct.pack("!BBQ", first, 0xFF, size) + MASK


@cache
def deflated(size: int) -> bytes:
    """
    Zeros, compressed as a message is (RFC 7692 section 7.2.1).
    """
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = deflater.compress(bytes(size)) + deflater.flush(zlib.Z_SYNC_FLUSH)
    return data[:-4]


# The ways


def saysNothing() -> Behaviour:
    yield 3600.0


def halfHead() -> Behaviour:
    yield HANDSHAKE[:100]
    yield 3600.0


def slowHead() -> Behaviour:
    for byte in HANDSHAKE:
        yield bytes([byte])
        yield 1.0


def endlessHead() -> Behaviour:
    yield HANDSHAKE[:-2]
    while True:
        yield b"X-Endless: x\r\n" * 500
        yield 0.1


def halfTLS() -> Behaviour:
    # The beginning of a ClientHello, and no more.
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)
    yield 3600.0


def garbage() -> Behaviour:
    yield random.randbytes(1000)
    yield 0.5


def neverReads() -> Behaviour:
    yield HANDSHAKE
    while True:
        yield frame(bytes(64 * 1024), FIN | OP_BINARY)


def neverReadsMuch() -> Behaviour:
    # The application sends a lot in answer to each.
    yield HANDSHAKE.replace(b"GET / ", b"GET /much ")
    # More than the kernel's buffers take.
    yield frame(b"please", FIN | OP_TEXT) * 7
    yield 3600.0


def neverReadsPages() -> Behaviour:
    while True:
        yield b"GET /-/wsplug.js HTTP/1.1\r\nHost: example.org\r\n\r\n" * 20


def byteASecond() -> Behaviour:
    yield HANDSHAKE
    yield header(MIB, FIN | OP_BINARY)
    while True:
        yield b"x"
        yield 1.0


def neverFinishes() -> Behaviour:
    yield HANDSHAKE
    yield header(MIB, FIN | OP_BINARY)
    yield bytes(MIB - 1)
    yield 3600.0


def emptyFragments() -> Behaviour:
    yield HANDSHAKE
    yield frame(b"a", OP_TEXT)
    while True:
        yield frame(b"", OP_CONTINUATION) * 100


def smallFragments() -> Behaviour:
    yield HANDSHAKE
    while True:
        yield frame(b"a", OP_TEXT)
        yield frame(b"a", OP_CONTINUATION) * 1000
        yield frame(b"", FIN | OP_CONTINUATION)


def pingFlood() -> Behaviour:
    yield HANDSHAKE
    while True:
        yield frame(bytes(125), FIN | OP_PING) * 100


def messageFlood() -> Behaviour:
    yield HANDSHAKE
    while True:
        yield frame(b"x", FIN | OP_TEXT) * 100


def bomb() -> Behaviour:
    yield HANDSHAKE
    yield frame(deflated(64 * MIB), FIN | RSV1 | OP_BINARY)
    yield 1.0


def smallBombs() -> Behaviour:
    # Each is within the limit.
    bomb = frame(deflated(MIB), FIN | RSV1 | OP_BINARY)
    yield HANDSHAKE
    while True:
        yield bomb


def churn() -> Behaviour:
    """Connect and disconnect in each phase of a connection, in order or abruptly."""
    close = frame(pack_close(1000, ""), FIN | OP_CLOSE)
    whole = HANDSHAKE + frame(b"x", FIN | OP_TEXT) + close
    cuts = [0, 50, len(HANDSHAKE) - 1, len(HANDSHAKE), len(HANDSHAKE) + 3, len(whole)]
    cut = random.choice(cuts)
    if cut:
        yield whole[:cut]
    yield random.choice([0.0, 0.01])
    yield random.choice([RESET, SHUT])


WAYS: Final[dict[str, Callable[[], Behaviour]]] = {
    behave.__name__: behave
    for behave in (
        saysNothing,
        halfHead,
        slowHead,
        endlessHead,
        halfTLS,
        garbage,
        neverReads,
        neverReadsMuch,
        neverReadsPages,
        byteASecond,
        neverFinishes,
        emptyFragments,
        smallFragments,
        pingFlood,
        messageFlood,
        bomb,
        smallBombs,
        churn,
    )
}

_READ_BY_NONE: Final = {"neverReads", "neverReadsMuch", "neverReadsPages"}

PACE: Final = 0.2
"""Seconds until a client reconnects after its connection was ended."""


_STEPS: Final = 10
"""Steps that a client takes before the others have their turn."""


class Client:
    """
    One attacker, connection after connection.
    """

    def __init__(self, swarm: Swarm, address: str) -> None:
        self._swarm = swarm
        self._address = address
        self._socket: socket.socket | None = None
        self._out = memoryview(b"")
        self._behaviour: Behaviour = iter(())
        self._answer = b""
        self._waits = 0.0
        self.began = False

    def turn(self, now: float) -> None:
        """Take the steps that are due."""
        if now < self._waits:
            return
        if self._socket is None:
            self._connect()
        if self._socket is not None and not self._out:
            self._go(now)

    def _connect(self) -> None:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The port is chosen only once the destination is known.
        made.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        if not self._swarm.reads:
            # The kernel must not buffer all of it.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.bind((self._address, 0))
        made.setblocking(False)
        with suppress(BlockingIOError):
            made.connect((HOST, self._swarm.port))
        self._socket = made
        self._answer = b""
        self._behaviour = self._swarm.behave()
        self._swarm.watch(made, self)
        self._swarm.count("connections")

    def _go(self, now: float) -> None:
        """Take some steps, up to one that waits."""
        for _ in range(_STEPS):
            step: Any = next(self._behaviour, SHUT)
            self.began = True
            if isinstance(step, float):
                self._waits = now + step
                return
            if step is RESET or step is SHUT:
                self._end(abort=step is RESET)
                return
            self._out = memoryview(step)
            self.send()
            if self._out or self._socket is None:
                return

    def send(self) -> None:
        if self._socket is None:
            return
        try:
            while self._out:
                sent = self._socket.send(self._out)
                self._swarm.count("bytes", sent)
                self._out = self._out[sent:]
        except BlockingIOError:
            self._swarm.watch(self._socket, self, writing=True)
        except OSError:
            self._end()
        else:
            self._swarm.watch(self._socket, self)

    def receive(self) -> None:
        if self._socket is None:
            return
        try:
            data = self._socket.recv(256 * 1024)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()
        elif len(self._answer) < 12:
            self._answer += data[:12]
            if len(self._answer) == 12 and self._answer.startswith(b"HTTP/1.1 "):
                self._swarm.count(self._answer[9:].decode("ascii"))

    def _end(self, abort: bool = False) -> None:
        ended, self._socket = self._socket, None
        self._out = memoryview(b"")
        self._waits = time.monotonic() + PACE
        if ended is None:
            return
        self._swarm.forget(ended)
        if abort:
            linger = struct.pack("ii", 1, 0)
            ended.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        ended.close()
        self._swarm.count("ended")

    def close(self) -> None:
        self._end()


class Swarm:
    """
    All of them.
    """

    def __init__(
        self, port: int, way: str, clients: int, addresses: int, region: int
    ) -> None:
        self.port = port
        self.behave = WAYS[way]
        self.reads = way not in _READ_BY_NONE
        self._selector = selectors.DefaultSelector()
        self._counts: Counter[str] = Counter()
        self._clients = [
            Client(self, f"127.{region}.{index // 250}.{index % 250 + 1}")
            for index in (number % addresses for number in range(clients))
        ]
        self._ended = False

    def count(self, what: str, size: int = 1) -> None:
        self._counts[what] += size

    def watch(
        self, watched: socket.socket, client: Client, writing: bool = False
    ) -> None:
        events = selectors.EVENT_READ if self.reads else 0
        if writing:
            events |= selectors.EVENT_WRITE
        self.forget(watched)
        if events:
            self._selector.register(watched, events, client)

    def forget(self, watched: socket.socket) -> None:
        with suppress(KeyError):
            self._selector.unregister(watched)

    def run(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        ready = False
        while not self._ended and time.monotonic() < deadline:
            now = time.monotonic()
            for client in self._clients:
                client.turn(now)
            for key, events in self._selector.select(0.01):
                if events & selectors.EVENT_READ:
                    key.data.receive()
                if events & selectors.EVENT_WRITE:
                    key.data.send()
            if not ready and all(client.began for client in self._clients):
                ready = True
                print("ready", flush=True)
        for client in self._clients:
            client.close()
        print(json.dumps(self._counts), flush=True)

    def end(self, *_: object) -> None:
        self._ended = True


def main() -> None:
    port, way, clients, addresses, region, seconds = sys.argv[1:]
    swarm = Swarm(int(port), way, int(clients), int(addresses), int(region))
    signal.signal(signal.SIGTERM, swarm.end)
    swarm.run(float(seconds))


if __name__ == "__main__":
    main()
