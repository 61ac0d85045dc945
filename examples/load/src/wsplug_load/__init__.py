"""
An application for wsplug: the load of machines, with a room for each.

Several servers that share a broker show the load of all their machines.
"""

import os
import socket as sockets
from typing import Annotated

import msgspec

from wsplug import Application, RequestRefused, WebSocket
from wsplug.jsonmessages import RequestId, WirePosition

__all__ = ["Load"]


class Watch(msgspec.Struct, tag_field="type", tag="watch"):
    """Watch a machine. With a position, go on from there."""

    room: str
    since: WirePosition | None = None
    request: RequestId = None


class Ignore(msgspec.Struct, tag_field="type", tag="ignore"):
    """Watch it no longer."""

    room: str
    request: RequestId = None


class Load(Application):
    """Push the load of this machine to those who watch it."""

    interval: Annotated[float, "seconds between two figures"] = 1.0
    past: Annotated[int, "figures that a newcomer gets"] = 60
    host: Annotated[str, "name of this machine"] = sockets.gethostname()
    messages = Watch | Ignore
    recovery = True

    def start(self) -> None:
        self.every(self.interval, self.measure)

    async def measure(self) -> None:
        load, processors = os.getloadavg()[0], os.cpu_count() or 1
        percent = round(100 * load / processors)
        await self.room(self.host).send_json({"type": "load", "percent": percent})

    async def received(self, socket: WebSocket, message: Watch | Ignore) -> None:
        room = self.room(message.room)
        if isinstance(message, Ignore):
            await room.leave(socket, request=message.request)
        elif socket in room:
            raise RequestRefused("already-there", f"you watch {room.name} already")
        else:
            limit = None if message.since else self.past
            await room.join(
                socket, limit=limit, since=message.since, request=message.request
            )
