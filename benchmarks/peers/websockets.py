"""
The websockets library, on uvloop. Fan-out and chat are by its C{broadcast}. Its pings
are off, which saves it a task for each connection.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

from websockets.asyncio.server import ServerConnection, broadcast, serve

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

everyone: set[ServerConnection] = set()
rooms: defaultdict[str, set[ServerConnection]] = defaultdict(set)


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


async def chat(connection: ServerConnection) -> None:
    """
    Send to the room of the path.
    """
    assert connection.request is not None
    room = rooms[connection.request.path]
    address = connection.remote_address[0]
    room.add(connection)
    try:
        broadcast(room, notice(address, "connected"))
        async for message in connection:
            broadcast(room, answer(message))
    finally:
        room.discard(connection)
        broadcast(room, notice(address, "disconnected"))


APPLICATIONS = {ECHO: echo, FANOUT: fanout, CHAT: chat}


async def main() -> None:
    """
    Run the server.
    """
    async with serve(
        APPLICATIONS[command.application],
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
