"""Clients that break rules, never read, or only load pages.

Each knows how the server has to respond.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

import wsplug
from tests.soak.client import Client
from tests.soak.connection import HOST, Connection, Refused, Wrong
from tests.soak.frames import BINARY, COMPRESSED, FIN, TEXT, deflate, encode

__all__ = ["Breaker", "Flood", "Lost", "Never", "Visitor"]

_MIB: Final = 1024 * 1024

# Data that breaks a rule, and the resulting close.
_BREACHES: Final[tuple[tuple[bytes, int, str], ...]] = (
    # Unmasked.
    (b"\x81\x01a", 1002, "-"),
    # A reserved opcode, and a reserved bit.
    (encode(3, b"a"), 1002, "-"),
    (encode(TEXT, b"a", bits=FIN | 0x20), 1002, "-"),
    # A continuation without a message.
    (encode(0, b"a"), 1002, "-"),
    # Invalid UTF-8.
    (encode(TEXT, b"\xff\xfe"), 1007, "-"),
    # Too large: declared, and inflated.
    (
        struct.pack("!BBQ", FIN | BINARY, 0xFF, _MIB + 1) + b"mask",
        1009,
        "max-message-size",
    ),
    (
        encode(BINARY, deflate(bytes(8 * _MIB)), bits=FIN | COMPRESSED),
        1009,
        "max-message-size",
    ),
)


class Breaker(Client):
    """
    Breaks a rule of RFC 6455.
    """

    application = "abused"
    area = 3

    async def session(self) -> None:
        breach, code, setting = self.random.choice(_BREACHES)
        connection = await self.connect("/abused", compression=True)
        connection.write(breach)
        await _closed(connection, code)
        self.count(connection, code, "server", setting)
        await self.rest()


class Flood(Client):
    """Sends more than it may, and is asked to slow down."""

    application = "abused"
    area = 4
    pace = 10.0

    async def session(self) -> None:
        try:
            connection = await self.connect("/abused", compression=False)
        except Refused as error:
            if error.status != 429:
                raise
        else:
            connection.take = lambda _: None
            for _ in range(30):
                connection.write(encode(TEXT, b"x") * 100)
            await _closed(connection, 1008)
            self.count(connection, 1008, "server", "max-message-rate")
        await self.rest()


class Never(Client):
    """
    Has large messages echoed, and never reads.
    """

    application = "abused"
    area = 5
    pace = 20.0

    async def session(self) -> None:
        connection = await self.connect("/abused", buffer=4096, compression=False)
        connection.transport.pause_reading()
        for _ in range(10):
            connection.send(self.random.randbytes(800_000))
        # Long enough for the server to give up, even if the soak ends now.
        await asyncio.sleep(self.crowd.silence)
        connection.transport.resume_reading()
        connection.take = lambda _: None
        await connection.end("who never reads is closed")
        self.count(connection, *_NEVER)
        await self.rest()


_NEVER: Final = (1013, "server", "send-timeout")


class Lost(Client):
    """Asks for what doesn't exist, or asks wrongly."""

    application = "-"
    area = 6

    _WAYS: Final[tuple[tuple[str, str, int], ...]] = (
        ("/nowhere", "", 404),
        ("/echo", "Origin: https://elsewhere.example\r\n", 403),
        ("/echo", "Sec-WebSocket-Version: 13\r\n", 400),
        ("/push/?limit=many", "", 400),
    )

    async def session(self) -> None:
        path, headers, status = self.random.choice(self._WAYS)
        try:
            await self.connect(path, headers=headers)
        except Refused as error:
            if error.status != status:
                raise
        else:
            raise Wrong(f"{path} {headers} was not refused")
        await self.rest()


class Visitor(Client):
    """
    Loads pages.
    """

    application = "-"
    pace = 2.0

    async def session(self) -> None:
        path, judge = self.random.choice(_PAGES)
        reader, writer = await asyncio.open_connection(
            HOST, self.crowd.plain, local_addr=(self.address, 0)
        )
        try:
            for _ in range(self.random.randint(1, 4)):
                head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                writer.write(head.encode())
                answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
                status, size = _read(answer)
                body = await asyncio.wait_for(reader.readexactly(size), 30)
                if status != 200 or not judge(body):
                    raise Wrong(f"{path}: {status} {body[:60]!r}")
                self.crowd.counts["pages"] += 1
        except (asyncio.TimeoutError, asyncio.IncompleteReadError):
            raise Wrong(f"{path}: no whole answer") from None
        finally:
            writer.close()
        self.hasBegun = True
        await self.rest()


def _read(head: bytes) -> tuple[int, int]:
    """Read a response's status and length."""
    first, *lines = head.decode("latin-1").lower().strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), int(headers["content-length"])


def _isFile(name: str) -> Callable[[bytes], bool]:
    expected = Path(wsplug.__file__).with_name("web").joinpath(name).read_bytes()
    return lambda body: body == expected


_PAGES: Final[tuple[tuple[str, Callable[[bytes], bool]], ...]] = (
    ("/-/wsplug.js", _isFile("static/wsplug.js")),
    ("/-/wsplug.css", _isFile("static/wsplug.css")),
    ("/chat/", lambda body: b"<html" in body),
    ("/push/", lambda body: b"<html" in body),
    ("/bot/commands.json", lambda body: b'"hello"' in body),
)


async def _closed(connection: Connection, code: int) -> None:
    await connection.end(f"the server closes with {code}")
    if connection.code != code:
        raise Wrong(f"closed with {connection.code} {connection.reason}, not {code}")
