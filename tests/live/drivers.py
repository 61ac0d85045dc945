"""
The drivers: what does a L{Job} with a client library.
"""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import subprocess
import sys
import threading
import warnings
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiohttp
import websockets.asyncio.client
import websockets.sync.client
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.typing import Subprotocol

from tests.live.talk import Closed, Job, Step, Talk, converse

__all__ = [
    "AiohttpDriver",
    "AsyncioDriver",
    "Driver",
    "ProcessDriver",
    "ThreadsDriver",
    "runLoop",
    "twistedDriver",
]

TIMEOUT = 60.0
"""
Seconds that a job may take on a slow machine.
"""

CONNECTING = 20
"""
Connections that are opened at one time.
"""

ROOT = Path(__file__).parents[2]

T = TypeVar("T")


class Driver(Protocol):
    """
    What does jobs.

    @ivar can: what the library can: C{tls}, C{unix}, C{fragments}, C{compression},
        C{bits} (ask for window bits), C{subprotocols}, C{lenience} (take it when none
        is chosen), C{codes} (tell how the connection was closed), C{duplex} (read while
        it sends).
    """

    can: frozenset[str]

    def do(self, job: Job) -> list[Talk]:
        """
        Do a job.

        @return: for each connection, what it was like.
        """
        ...

    def end(self) -> None: ...


ALL = frozenset(
    {
        "bits",
        "codes",
        "compression",
        "duplex",
        "fragments",
        "lenience",
        "subprotocols",
        "tls",
        "unix",
    }
)


def _trust(job: Job) -> ssl.SSLContext | None:
    if not job.url.startswith("wss:"):
        return None
    return ssl.create_default_context(cafile=job.ca)


def runLoop(doing: Coroutine[Any, Any, T]) -> T:
    """
    Run a coroutine on asyncio.
    """
    # asyncio leaves TLS connections that were cut off, and some others, to the garbage
    # collector, with a warning.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        done = asyncio.run(asyncio.wait_for(doing, TIMEOUT))
        gc.collect()
    return done


# websockets


def _websocketsOptions(job: Job) -> dict[str, Any]:
    options: dict[str, Any] = {
        "compression": None,
        "max_size": None,
        "open_timeout": TIMEOUT,
        "close_timeout": TIMEOUT,
        "subprotocols": [Subprotocol(name) for name in job.subprotocols] or None,
    }
    if job.compression:
        bits = job.bits
        factory = ClientPerMessageDeflateFactory(
            server_max_window_bits=bits, client_max_window_bits=bits or True
        )
        options["extensions"] = [factory]
    trust = _trust(job)
    if trust is not None:
        options["ssl"] = trust
    return options


class _ThreadSocket:
    """
    A connection of the client of C{websockets} that blocks: its coroutines don't wait.
    """

    def __init__(self, connection: websockets.sync.client.ClientConnection) -> None:
        self._connection = connection
        self.subprotocol: str | None = connection.subprotocol
        self.compressed = bool(connection.protocol.extensions)

    async def send(self, message: str | bytes) -> None:
        try:
            self._connection.send(message)
        except ConnectionClosed:
            raise Closed from None

    async def sendFragments(self, parts: Sequence[str | bytes]) -> None:
        self._connection.send(iter(parts))

    async def receive(self) -> str | bytes:
        try:
            return self._connection.recv(TIMEOUT)
        except ConnectionClosed:
            raise Closed from None

    async def ping(self, payload: bytes) -> bytes:
        assert self._connection.ping(payload).wait(TIMEOUT)
        return payload

    async def close(self, code: int, reason: str) -> None:
        self._connection.close(code, reason)

    async def closed(self) -> tuple[int, str]:
        try:
            while True:
                self._connection.recv(TIMEOUT)
        except ConnectionClosed:
            connection = self._connection
            protocol = connection.protocol
            return protocol.close_code or 0, protocol.close_reason or ""

    async def together(
        self, sending: Coroutine[Any, Any, None], receiving: Coroutine[Any, Any, None]
    ) -> None:
        raise NotImplementedError("it can't")


class ThreadsDriver:
    """
    C{websockets}, a thread for each connection, and another that reads. It holds a lock
    while it sends, without which it doesn't read. With TLS, both threads use one
    C{SSLSocket}, which Python has no lock for in all its versions: about one request in
    a thousand is never sent.
    """

    can = ALL - {"duplex", "tls"}

    def do(self, job: Job) -> list[Talk]:
        connecting = threading.Semaphore(CONNECTING)
        options = _websocketsOptions(job)

        def talk(steps: Sequence[Step]) -> Talk:
            client = websockets.sync.client
            with connecting:
                if job.unix is not None:
                    made = client.unix_connect(job.unix, job.url, **options)
                else:
                    made = client.connect(job.url, **options)
            assert isinstance(made, client.ClientConnection)
            with made as connection:
                return _runNow(converse(_ThreadSocket(connection), steps))

        with ThreadPoolExecutor(len(job.talks)) as threads:
            return list(threads.map(talk, job.talks))

    def end(self) -> None:
        pass


def _runNow(coroutine: Coroutine[Any, Any, T]) -> T:
    """
    Run a coroutine that waits for nothing.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("it waits")


class _AsyncioSocket:
    """
    A connection of the client of C{websockets} on asyncio.
    """

    def __init__(self, connection: websockets.asyncio.client.ClientConnection) -> None:
        self._connection = connection
        self.subprotocol: str | None = connection.subprotocol
        self.compressed = bool(connection.protocol.extensions)

    async def send(self, message: str | bytes) -> None:
        try:
            await self._connection.send(message)
        except ConnectionClosed:
            raise Closed from None

    async def sendFragments(self, parts: Sequence[str | bytes]) -> None:
        await self._connection.send(iter(parts))

    async def receive(self) -> str | bytes:
        try:
            return await self._connection.recv()
        except ConnectionClosed:
            raise Closed from None

    async def ping(self, payload: bytes) -> bytes:
        await (await self._connection.ping(payload))
        return payload

    async def close(self, code: int, reason: str) -> None:
        await self._connection.close(code, reason)

    async def closed(self) -> tuple[int, str]:
        try:
            while True:
                await self._connection.recv()
        except ConnectionClosed:
            connection = self._connection
            await connection.wait_closed()
            protocol = connection.protocol
            return protocol.close_code or 0, protocol.close_reason or ""

    async def together(
        self, sending: Coroutine[Any, Any, None], receiving: Coroutine[Any, Any, None]
    ) -> None:
        await asyncio.gather(sending, receiving)


class AsyncioDriver:
    """
    C{websockets} on asyncio.
    """

    can = ALL

    def do(self, job: Job) -> list[Talk]:
        return runLoop(self._do(job))

    async def _do(self, job: Job) -> list[Talk]:
        connecting = asyncio.Semaphore(CONNECTING)
        options = _websocketsOptions(job)

        async def talk(steps: Sequence[Step]) -> Talk:
            client = websockets.asyncio.client
            async with connecting:
                if job.unix is not None:
                    connect = client.unix_connect(job.unix, job.url, **options)
                else:
                    connect = client.connect(job.url, **options)
                connection = await connect
            # Not "async with": what that does fails on a connection that was lost while
            # it sent.
            return await converse(_AsyncioSocket(connection), steps)

        return await asyncio.gather(*map(talk, job.talks))

    def end(self) -> None:
        pass


# aiohttp


class _AiohttpSocket:
    """
    A connection of aiohttp's client.
    """

    def __init__(self, connection: aiohttp.ClientWebSocketResponse[Any]) -> None:
        self._connection = connection
        self.subprotocol: str | None = connection.protocol
        self.compressed = bool(connection.compress)
        self._early: deque[str | bytes] = deque()
        self._closed: tuple[int, str] | None = None
        self._closing = False

    async def send(self, message: str | bytes) -> None:
        try:
            if isinstance(message, str):
                await self._connection.send_str(message)
            else:
                await self._connection.send_bytes(message)
        except ConnectionError:
            raise Closed from None

    async def sendFragments(self, parts: Sequence[str | bytes]) -> None:
        raise NotImplementedError("it can't")

    async def receive(self) -> str | bytes:
        if self._early:
            return self._early.popleft()
        while True:
            message = await self._next()
            if isinstance(message, (str, bytes)):
                return message

    async def ping(self, payload: bytes) -> bytes:
        await self._connection.ping(payload)
        while True:
            message = await self._next()
            if isinstance(message, (str, bytes)):
                self._early.append(message)
            elif message.type is aiohttp.WSMsgType.PONG:
                return bytes(message.data)

    async def _next(self) -> Any:
        """
        Give a text, bytes, or another message of aiohttp's own.
        """
        message = await self._connection.receive()
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            return message.data
        if message.type is aiohttp.WSMsgType.PING:
            await self._connection.pong(message.data)
        elif message.type is aiohttp.WSMsgType.CLOSE:
            self._closed = message.data, message.extra or ""
        elif message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
            raise Closed
        return message

    async def close(self, code: int, reason: str) -> None:
        self._closing = True
        await self._connection.close(code=code, message=reason.encode("utf-8"))

    async def closed(self) -> tuple[int, str]:
        try:
            while self._closed is None:
                await self._next()
        except Closed:
            # It says 1000 for some connections that were cut off.
            code = self._connection.close_code if self._closing else None
            return code or 1006, ""
        return self._closed

    async def together(
        self, sending: Coroutine[Any, Any, None], receiving: Coroutine[Any, Any, None]
    ) -> None:
        await asyncio.gather(sending, receiving)


class AiohttpDriver:
    """
    aiohttp.
    """

    can = ALL - {"fragments"}

    def do(self, job: Job) -> list[Talk]:
        return runLoop(self._do(job))

    async def _do(self, job: Job) -> list[Talk]:
        connecting = asyncio.Semaphore(CONNECTING)

        async def talk(session: aiohttp.ClientSession, steps: Sequence[Step]) -> Talk:
            async with connecting:
                connection = await session.ws_connect(
                    job.url,
                    protocols=job.subprotocols,
                    compress=(job.bits or 15) if job.compression else 0,
                    max_msg_size=0,
                    autoping=False,
                )
            try:
                return await converse(_AiohttpSocket(connection), steps)
            finally:
                await connection.close()

        async with self._session(job) as session:
            return await asyncio.gather(*(talk(session, each) for each in job.talks))

    @asynccontextmanager
    async def _session(self, job: Job) -> AsyncIterator[aiohttp.ClientSession]:
        connector: aiohttp.BaseConnector
        if job.unix is not None:
            connector = aiohttp.UnixConnector(job.unix, limit=0)
        else:
            connector = aiohttp.TCPConnector(ssl=_trust(job) or True, limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield session

    def end(self) -> None:
        pass


# Those in another process


class ProcessDriver:
    """
    A driver that reads jobs from its standard input, a line of JSON each, and writes
    the talks to its standard output.
    """

    def __init__(
        self, command: Sequence[str], can: frozenset[str], folder: Path = ROOT
    ) -> None:
        self.can = can
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def do(self, job: Job) -> list[Talk]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(asdict(job)) + "\n")
        stdin.flush()
        watch = threading.Timer(TIMEOUT, self._process.kill)
        watch.start()
        line = stdout.readline()
        watch.cancel()
        assert line, "the driver has ended, or was too slow"
        talks = [Talk(**talk) for talk in json.loads(line)]
        for talk in talks:
            talk.closed = None if talk.closed is None else (*talk.closed,)
        return talks

    def end(self) -> None:
        """
        End the process.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        stdout.close()


def twistedDriver(library: str) -> ProcessDriver:
    """
    Start a driver on Twisted: pytest's process has a reactor for others' tests.

    @param library: C{"autobahn"} or C{"twisted"}.
    """
    can = ALL
    if library == "twisted":
        can -= {"fragments", "compression", "bits", "subprotocols", "codes"}
    command = [sys.executable, "-m", "tests.live.twisteddriver", library]
    return ProcessDriver(command, can)
