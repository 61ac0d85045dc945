"""
The websockets library, on uvloop. Fan-out is by its C{broadcast}. Its pings are off,
which saves it a task for each connection.
"""

from __future__ import annotations

import asyncio

from websockets.asyncio.server import ServerConnection, broadcast, serve

from benchmarks.peers.command import HOST, MAX_MESSAGE_SIZE, read_command
from benchmarks.peers.loops import run

everyone: set[ServerConnection] = set()


async def echo(connection: ServerConnection) -> None:
    """
    Send back.
    """
    async for message in connection:
        await connection.send(message)


async def fanout(connection: ServerConnection) -> None:
    """
    Send to everyone.
    """
    everyone.add(connection)
    try:
        async for message in connection:
            broadcast(everyone, message)
    finally:
        everyone.discard(connection)


async def main() -> None:
    """
    Run the server.
    """
    async with serve(
        fanout if command.fanout else echo,
        HOST,
        command.port,
        compression="deflate" if command.deflate else None,
        max_size=MAX_MESSAGE_SIZE,
        ping_interval=None,
        ssl=command.context(),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    command = read_command()
    run(main(), command.uvloop)
