"""
What clients are to do, and what they tell about it.

A L{Job} is data, so that a client can be in another process, or in another language. A
driver (C{drivers.py}, C{node/driver.js}) does it with its library; for the libraries in
Python that is L{converse}.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

__all__ = [
    "Closed",
    "Job",
    "Message",
    "Socket",
    "Step",
    "Talk",
    "binary",
    "close",
    "converse",
    "exchange",
    "fragments",
    "ping",
    "receive",
    "recordOf",
    "send",
    "text",
]

Message = dict[str, Any]
"""
A message: its kind, and what is repeated how often in it. Binary is in hexadecimal.
"""

Step = dict[str, Any]

SHORT = 1000
"""
The number of bytes up to which a message is reported as it is, not as its digest.
"""


def text(of: str, times: int = 1) -> Message:
    """
    A text message.
    """
    return {"kind": "text", "of": of, "times": times}


def binary(of: bytes, times: int = 1) -> Message:
    """
    A binary message.
    """
    return {"kind": "binary", "of": of.hex(), "times": times}


def send(message: Message) -> Step:
    """
    Send a message.
    """
    return {"do": "send", **message}


def fragments(*parts: Message) -> Step:
    """
    Send a message in fragments, all of one kind.
    """
    return {"do": "fragments", "parts": parts}


def receive(count: int = 1) -> Step:
    """
    Wait for messages.
    """
    return {"do": "receive", "count": count}


def exchange(*messages: Message) -> Step:
    """
    Send messages, and read as many while they are sent.
    """
    return {"do": "exchange", "messages": messages}


def ping(payload: bytes) -> Step:
    """
    Send a ping, and wait for its pong.
    """
    return {"do": "ping", "payload": payload.hex()}


def close(code: int = 1000, reason: str = "") -> Step:
    """
    Close. Where a job's steps don't end with this, the server is to close.
    """
    return {"do": "close", "code": code, "reason": reason}


@dataclass(frozen=True)
class Job:
    """
    What to do.

    @ivar url: where to connect to.
    @ivar talks: for each connection, its steps.
    @ivar unix: the path of the socket to connect to, instead of the URL's host.
    @ivar ca: the PEM file of the certificate that is to be trusted.
    @ivar compression: whether to offer permessage-deflate.
    @ivar bits: the window bits to ask for, both ways.
    @ivar subprotocols: to offer.
    """

    url: str
    talks: Sequence[Sequence[Step]]
    unix: str | None = None
    ca: str | None = None
    compression: bool = False
    bits: int | None = None
    subprotocols: Sequence[str] = ()


@dataclass
class Talk:
    """
    What one connection was like.

    @ivar subprotocol: the agreed one.
    @ivar extensions: whether compression was agreed on.
    @ivar received: the messages, as L{recordOf} has them.
    @ivar pongs: the payloads, in hexadecimal.
    @ivar closed: code and reason that the client saw; none where its library doesn't
        say.
    @ivar error: what went wrong.
    """

    subprotocol: str | None = None
    compressed: bool = False
    received: list[str] = field(default_factory=list)
    pongs: list[str] = field(default_factory=list)
    closed: tuple[int, str] | None = None
    error: str | None = None


class Closed(Exception):
    """
    The connection is closed already.
    """


class Socket(Protocol):
    """
    A library's connection. Each method but C{closed} may raise L{Closed}.
    """

    subprotocol: str | None
    compressed: bool

    async def send(self, message: str | bytes) -> None: ...
    async def sendFragments(self, parts: Sequence[str | bytes]) -> None: ...
    async def receive(self) -> str | bytes: ...
    async def ping(self, payload: bytes) -> bytes:
        """
        Wait for the pong, and give its payload.
        """
        ...

    async def close(self, code: int, reason: str) -> None: ...
    async def closed(self) -> tuple[int, str] | None:
        """
        Wait for the end.
        """
        ...

    async def together(
        self, sending: Coroutine[Any, Any, None], receiving: Coroutine[Any, Any, None]
    ) -> None:
        """
        Do both at one time.
        """
        ...


def payloadOf(message: Message) -> str | bytes:
    """
    Make a message's payload.
    """
    of: str = message["of"]
    times: int = message["times"]
    return of * times if message["kind"] == "text" else bytes.fromhex(of) * times


def recordOf(message: str | bytes | Message) -> str:
    """
    Write a message down.
    """
    if isinstance(message, dict):
        message = payloadOf(message)
    if isinstance(message, str):
        payload = message.encode("utf-8")
        if len(payload) <= SHORT:
            return f"text {message}"
        return f"text of {len(payload)}: {sha256(payload).hexdigest()}"
    if len(message) <= SHORT:
        return f"binary {message.hex()}"
    return f"binary of {len(message)}: {sha256(message).hexdigest()}"


async def converse(socket: Socket, steps: Sequence[Step]) -> Talk:
    """
    Do what is to be done on one connection.
    """
    talk = Talk(socket.subprotocol, socket.compressed)
    with suppress(Closed):
        await _takeAll(socket, steps, talk)
    talk.closed = await socket.closed()
    return talk


async def _takeAll(socket: Socket, steps: Sequence[Step], talk: Talk) -> None:
    for step in steps:
        await _take(socket, step, talk)


async def _take(socket: Socket, step: Step, talk: Talk) -> None:
    do = step["do"]
    if do == "send":
        await socket.send(payloadOf(step))
    elif do == "fragments":
        await socket.sendFragments([payloadOf(part) for part in step["parts"]])
    elif do == "receive":
        for _ in range(step["count"]):
            talk.received.append(recordOf(await socket.receive()))
    elif do == "exchange":
        messages = step["messages"]
        sends = [{"do": "send", **message} for message in messages]
        await socket.together(
            _takeAll(socket, sends, talk),
            _takeAll(socket, [receive(len(messages))], talk),
        )
    elif do == "ping":
        talk.pongs.append((await socket.ping(bytes.fromhex(step["payload"]))).hex())
    else:
        await socket.close(step["code"], step["reason"])
