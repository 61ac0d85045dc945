"""The workloads that are measured."""

from __future__ import annotations

from dataclasses import dataclass

ECHO = "echo"
FANOUT = "fanout"
CHAT = "chat"
HANDSHAKES = "handshakes"
IDLE = "idle"
DEFLATE = "deflate"
TLS = "tls"

KIB = 1024
MIB = 1024 * 1024

# The connections of a --quick run in place of 1,000 and more.
QUICK_CONNECTIONS = 200


@dataclass(frozen=True)
class Workload:
    """
    One thing that is measured.

    @ivar name: its word on the command line.
    @ivar title: what it is, for people.
    @ivar kind: what the generator does: L{ECHO}, L{FANOUT}, L{CHAT}, L{HANDSHAKES} or
        L{IDLE}.
    @ivar connections: how many; of handshakes, how many side by side.
    @ivar in_flight: messages under way, of each connection or each publisher; or in
        each of a chat's rooms.
    @ivar publishers: how many of the connections publish, for fan-out.
    @ivar rooms: in how many rooms the connections are, for a chat.
    @ivar size: bytes of a message's payload; in a chat, of what is said.
    @ivar binary: whether the messages are binary ones.
    @ivar deflate: whether the server agrees on compression.
    @ivar tls: whether it is over TLS.
    @ivar quick: whether a C{--quick} run has it.
    """

    name: str
    title: str
    kind: str = ECHO
    connections: int = 64
    in_flight: int = 1
    publishers: int = 0
    rooms: int = 0
    size: int = 32
    binary: bool = False
    deflate: bool = False
    tls: bool = False
    quick: bool = False

    @property
    def unit(self) -> str:
        """The unit of its figure."""
        return {
            ECHO: "messages/s",
            FANOUT: "deliveries/s",
            CHAT: "deliveries/s",
            HANDSHAKES: "handshakes/s",
            IDLE: "bytes a connection",
        }[self.kind]

    @property
    def lower_is_better(self) -> bool:
        """Whether a small figure is better."""
        return self.kind == IDLE

    @property
    def needs(self) -> frozenset[str]:
        """The capabilities that a server needs."""
        needs = {self.kind}
        # A server without compression still answers a handshake that offers it.
        if self.deflate and self.kind != HANDSHAKES:
            needs.add(DEFLATE)
        if self.tls:
            needs.add(TLS)
        return frozenset(needs)

    def arguments(self, quick: bool) -> list[str]:
        """
        @return: the generator's options for it.
        """
        connections = self.connections
        if quick:
            connections = min(connections, QUICK_CONNECTIONS)
        words = ["--workload", self.kind, "--connections", str(connections)]
        if self.kind in (ECHO, FANOUT, CHAT):
            words += ["--in-flight", str(self.in_flight), "--size", str(self.size)]
        if self.publishers:
            words += ["--publishers", str(self.publishers)]
        if self.rooms:
            # Either the usual number of clients in each room, or all of them in one.
            rooms = max(1, self.rooms * connections // self.connections)
            words += ["--rooms", str(rooms)]
        if self.binary:
            words.append("--binary")
        if self.deflate:
            words.append("--offer" if self.kind == HANDSHAKES else "--deflate")
        if self.tls:
            words.append("--tls")
        return words


def _echo(
    name: str,
    title: str,
    quick: str,
    *,
    connections: int = 64,
    in_flight: int = 1,
    size: int = 32,
) -> list[Workload]:
    """An echo workload, with text and with binary messages.

    @param quick: which of the two a C{--quick} run has, if any.
    """
    return [
        Workload(
            f"{name}-{word}",
            f"Echo, {title}, {word}",
            binary=word == "binary",
            quick=word == quick,
            connections=connections,
            in_flight=in_flight,
            size=size,
        )
        for word in ("text", "binary")
    ]


def _fanout(
    name: str,
    title: str,
    *,
    in_flight: int = 1,
    publishers: int = 1,
    deflate: bool = False,
    quick: bool = True,
) -> Workload:
    return Workload(
        name,
        f"Fan-out to 1,000, {title}",
        kind=FANOUT,
        connections=1000,
        in_flight=in_flight,
        publishers=publishers,
        # Compressing 32 bytes is pointless.
        size=KIB if deflate else 32,
        deflate=deflate,
        quick=quick,
    )


def _chat(name: str, title: str, *, rooms: int) -> Workload:
    return Workload(
        name,
        f"Chat of 2,000, {title}",
        kind=CHAT,
        connections=2000,
        rooms=rooms,
    )


WORKLOADS: tuple[Workload, ...] = (
    *_echo("echo-1", "32 bytes, 1 in flight", "text"),
    *_echo("echo-16", "32 bytes, 16 in flight", "binary", in_flight=16),
    *_echo("echo-4k", "4 KiB", "", size=4 * KIB),
    *_echo("echo-1m", "1 MiB, 8 connections", "binary", connections=8, size=MIB),
    _fanout("fanout-1", "1 in flight"),
    _fanout("fanout-8", "8 in flight", in_flight=8),
    _fanout("fanout-64p", "64 publishers", publishers=64),
    _chat("chat-1-room", "one room", rooms=1),
    _chat("chat-500-rooms", "500 rooms", rooms=500),
    Workload(
        "handshakes",
        "Handshakes",
        kind=HANDSHAKES,
        connections=32,
        deflate=True,
        quick=True,
    ),
    Workload("idle", "Memory, idle, plain", kind=IDLE, connections=10_000, quick=True),
    Workload(
        "idle-deflate",
        "Memory, idle, compression negotiated",
        kind=IDLE,
        connections=10_000,
        deflate=True,
        quick=True,
    ),
    Workload(
        "echo-deflate", "Echo, compressed, 1 KiB", size=KIB, deflate=True, quick=True
    ),
    _fanout("fanout-deflate-1", "compressed, 1 KiB", deflate=True),
    _fanout(
        "fanout-deflate-8",
        "compressed, 1 KiB, 8 in flight",
        in_flight=8,
        deflate=True,
        quick=False,
    ),
    Workload("echo-tls-1", "Echo over TLS, 1 in flight", tls=True, quick=True),
    Workload("echo-tls-16", "Echo over TLS, 16 in flight", in_flight=16, tls=True),
)
