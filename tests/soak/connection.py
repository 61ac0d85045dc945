"""
One client's WebSocket connection, on asyncio.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha1
from typing import Any, Final

from tests.soak.frames import (
    BINARY,
    CLOSE,
    COMPRESSED,
    FIN,
    PING,
    PONG,
    TEXT,
    Reader,
    deflate,
    encode,
)

__all__ = ["PATIENCE", "Connection", "Ended", "Message", "Refused", "Wrong", "open"]

HOST: Final = "127.0.0.1"

PATIENCE: Final = 30.0
"""Seconds that any answer may take; a later one counts as lost."""

Message = str | bytes

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BIND_ADDRESS_NO_PORT: Final = 24


class Wrong(Exception):
    """The server did something invalid, or omitted something required."""


class Refused(Exception):
    """The response was not a 101.

    @ivar status: the status of the response.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


class Ended(Exception):
    """The connection ended while the client expected something."""


class Connection(asyncio.Protocol):
    """One connection.

    @ivar code: the close code that the server has sent; 1006 while it has sent none.
    @ivar reason: the reason that came with it.
    @ivar ended: whether the connection has ended.
    @ivar isMute: whether pings stay unanswered.
    @ivar sent: the number of messages sent.
    @ivar received: the number of messages received.
    @ivar take: called with each message; if it isn't set, L{receive} returns them.
    """

    def __init__(self, head: bytes, key: bytes) -> None:
        self.code = 1006
        self.reason = ""
        self.ended = False
        self.isMute = False
        self.sent = 0
        self.received = 0
        self.take: Callable[[Message], None] | None = None
        self.compresses = False
        self._head = head
        self._key = key
        self._reader: Reader | None = None
        self._early = b""
        self._messages: deque[Message] = deque()
        self._pongs: deque[bytes] = deque()
        self._wakes: asyncio.Future[None] | None = None
        self._isOpen = False
        self._problem: Exception | None = None
        self._hasClosed = False
        self.transport: Any = None

    # asyncio

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self._head)

    def data_received(self, data: bytes) -> None:
        try:
            if not self._isOpen:
                self._early += data
                if b"\r\n\r\n" not in self._early:
                    return
                head, _, data = self._early.partition(b"\r\n\r\n")
                self._open(head)
            if self._reader is not None and data:
                for opcode, payload in self._reader.feed(data):
                    self._frame(opcode, payload)
        except (ValueError, Wrong, Refused) as error:
            self._problem = error
            self.transport.abort()
        self._wake()

    def connection_lost(self, reason: Exception | None) -> None:
        self.ended = True
        self.take = None
        self._wake()

    def _open(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        if status != 101:
            raise Refused(status)
        headers = dict(line.lower().split(": ", 1) for line in lines)
        digest = base64.b64encode(sha1(self._key + _GUID).digest()).decode()
        if headers["sec-websocket-accept"] != digest.lower():
            raise Wrong("a handshake with a wrong Sec-WebSocket-Accept")
        agreed = headers.get("sec-websocket-extensions", "")
        self.compresses = agreed.startswith("permessage-deflate")
        self._reader = Reader(
            compressed=self.compresses,
            takeover="server_no_context_takeover" not in agreed,
        )
        self._isOpen = True

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode in (TEXT, BINARY):
            self.received += 1
            message = payload.decode("utf-8") if opcode == TEXT else payload
            if self.take is not None:
                self.take(message)
            else:
                self._messages.append(message)
        elif opcode == PING:
            if not self.isMute:
                self.write(encode(PONG, payload))
        elif opcode == PONG:
            self._pongs.append(payload)
        elif opcode == CLOSE:
            self.code = int.from_bytes(payload[:2], "big") if payload else 1005
            self.reason = payload[2:].decode("utf-8")
            if not self._hasClosed:
                self._hasClosed = True
                self.write(encode(CLOSE, payload[:2]))
        else:
            raise ValueError(f"a frame with the opcode {opcode}")

    def _wake(self) -> None:
        wakes, self._wakes = self._wakes, None
        if wakes is not None and not wakes.done():
            wakes.set_result(None)

    def describe(self) -> str:
        """Identify this connection and its state, for debugging."""
        address = self.transport.get_extra_info("sockname")
        secure = self.transport.get_extra_info("ssl_object") is not None
        unsent = self.transport.get_write_buffer_size()
        return (
            f"({'TLS' if secure else 'plain'} from {address}, {self.sent} sent, "
            f"{self.received} received, {unsent} bytes unsent)"
        )

    # Actions of clients

    async def until(
        self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE
    ) -> None:
        """Wait until incoming data makes a condition true.

        @raise Wrong: it hasn't in time, or the server has sent something invalid.
        @raise Ended: the connection has ended before.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while not condition():
            if self._problem is not None:
                raise self._problem
            if self.ended:
                raise Ended(f"ended ({self.code} {self.reason}) before {what}")
            self._wakes = asyncio.get_running_loop().create_future()
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise Wrong(f"not in {seconds:g} seconds: {what}")
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wakes, left)

    def write(self, data: bytes) -> None:
        if not self.ended:
            self.transport.write(data)

    def send(self, message: Message) -> None:
        """Send a message, compressed if that was negotiated."""
        text = isinstance(message, str)
        payload = message.encode("utf-8") if isinstance(message, str) else message
        bits = FIN
        if self.compresses:
            payload = deflate(payload)
            bits |= COMPRESSED
        self.sent += 1
        self.write(encode(TEXT if text else BINARY, payload, bits=bits))

    async def receive(self) -> Message:
        """Return the next message."""
        await self.until(lambda: bool(self._messages), "an answer has come")
        return self._messages.popleft()

    async def ping(self) -> None:
        """Send a ping, and wait for the matching pong."""
        payload = os.urandom(8)
        self.write(encode(PING, payload))
        await self.until(lambda: bool(self._pongs), "a pong has come")
        if self._pongs.popleft() != payload:
            raise Wrong("a pong for another ping")

    async def end(self, what: str, seconds: float = PATIENCE) -> None:
        """
        Wait for the connection's end.
        """
        await self.until(lambda: self.ended, what, seconds)

    async def close(self, code: int = 1000) -> None:
        """Close with a closing handshake.

        @raise Wrong: the answer has another code, or there is none.
        """
        self._hasClosed = True
        self.write(encode(CLOSE, struct.pack("!H", code)))
        await self.end("the closing handshake is done")
        if self.code != code:
            raise Wrong(f"closed with {self.code} {self.reason} and not with {code}")

    async def reset(self) -> None:
        """Abort the connection: the server sees a reset."""
        under = self.transport.get_extra_info("socket")
        linger = struct.pack("ii", 1, 0)
        under.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()
        await self.end("the connection is gone")

    async def leave(self) -> None:
        """
        Close the TCP connection without a closing handshake.
        """
        self.transport.close()
        await self.end("the connection is gone")


async def open(
    port: int,
    path: str,
    address: str,
    *,
    trust: ssl.SSLContext | None = None,
    compression: bool = False,
    headers: str = "",
    buffer: int = 0,
) -> Connection:
    """
    Connect.

    @param address: the client's address.
    @param trust: for TLS.
    @param compression: whether to offer it.
    @param headers: more lines for the request.
    @param buffer: bytes that the system keeps of what isn't read; 0 for its own idea.
    @raise Refused: there was another answer than 101.
    @raise Wrong: there was none.
    """
    key = base64.b64encode(os.urandom(16))
    offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if compression else ""
    head = (
        f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n{offer}{headers}"
        f"Sec-WebSocket-Key: {key.decode()}\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    made = socket.socket()
    try:
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        # The port is chosen only once the destination is known.
        made.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        made.bind((address, 0))
        await asyncio.wait_for(loop.sock_connect(made, (HOST, port)), PATIENCE)
        _, connection = await loop.create_connection(
            lambda: Connection(head.encode("ascii"), key),
            sock=made,
            ssl=trust,
            server_hostname=HOST if trust else None,
            ssl_handshake_timeout=PATIENCE if trust else None,
        )
    except asyncio.TimeoutError:
        made.close()
        raise Wrong("no TCP connection in time") from None
    except BaseException:
        made.close()
        raise
    try:
        await connection.until(lambda: connection._isOpen, "the handshake is done")
    except Ended as error:
        raise Wrong(str(error)) from None
    return connection
