"""aiohttp, on uvloop, without an access log.

Its documentation has a loop for fan-out, and its examples have one for a chat.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress

from aiohttp import WSMsgType, web

from benchmarks.peers.chat import answer, notice
from benchmarks.peers.command import (
    CHAT,
    ECHO,
    FANOUT,
    HOST,
    MAX_MESSAGE_SIZE,
    read_command,
)
from benchmarks.peers.loops import run

everyone: set[web.WebSocketResponse] = set()
rooms: defaultdict[str, set[web.WebSocketResponse]] = defaultdict(set)


async def open_connection(request: web.Request) -> web.WebSocketResponse:
    """
    Answer the handshake.
    """
    connection = web.WebSocketResponse(
        compress=command.deflate, max_msg_size=MAX_MESSAGE_SIZE
    )
    await connection.prepare(request)
    return connection


async def echo(request: web.Request) -> web.WebSocketResponse:
    """
    Send back.
    """
    connection = await open_connection(request)
    async for message in connection:
        if message.type is WSMsgType.TEXT:
            await connection.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await connection.send_bytes(message.data)
    return connection


async def fanout(request: web.Request) -> web.WebSocketResponse:
    """
    Send to everyone.
    """
    connection = await open_connection(request)
    everyone.add(connection)
    try:
        async for message in connection:
            for other in list(everyone):
                if message.type is WSMsgType.TEXT:
                    await other.send_str(message.data)
                elif message.type is WSMsgType.BINARY:
                    await other.send_bytes(message.data)
    finally:
        everyone.discard(connection)
    return connection


async def chat(request: web.Request) -> web.WebSocketResponse:
    """
    Send to the room of the path.
    """
    connection = await open_connection(request)
    path, address = request.path, str(request.remote)
    rooms[path].add(connection)
    try:
        await say(path, notice(address, "connected"))
        async for message in connection:
            if message.type is WSMsgType.TEXT:
                await say(path, answer(message.data))
    finally:
        rooms[path].discard(connection)
        await say(path, notice(address, "disconnected"))
    return connection


async def say(path: str, text: str) -> None:
    """
    Send to all in a room.
    """
    for other in list(rooms[path]):
        with suppress(ConnectionError):
            await other.send_str(text)


APPLICATIONS = {ECHO: echo, FANOUT: fanout, CHAT: chat}


async def main() -> None:
    """
    Run the server.
    """
    application = web.Application()
    application.router.add_get("/{room:.*}", APPLICATIONS[command.application])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, command.port, ssl_context=command.context()).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    command = read_command()
    run(main(), command.uvloop)
