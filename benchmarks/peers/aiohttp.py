"""
aiohttp, on uvloop. Its documentation has a loop for fan-out. Without an access log.
"""

from __future__ import annotations

import asyncio

from aiohttp import WSMsgType, web

from benchmarks.peers.command import HOST, MAX_MESSAGE_SIZE, read_command
from benchmarks.peers.loops import run

everyone: set[web.WebSocketResponse] = set()


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


async def main() -> None:
    """
    Run the server.
    """
    application = web.Application()
    application.router.add_get("/", fanout if command.fanout else echo)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, command.port, ssl_context=command.context()).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    command = read_command()
    run(main(), command.uvloop)
