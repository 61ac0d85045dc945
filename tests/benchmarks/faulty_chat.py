"""A chat with one fault, which the load generator has to find: an application file
for C{--app}, used by L{tests.benchmarks.test_generator}.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from benchmarks.peers.chat import answer, notice
from wsplug import WebSocket, application, broadcast
from wsplug.interfaces import IWebSocketTransport

# The clients of each room, and its last message.
rooms: defaultdict[str, list[IWebSocketTransport]] = defaultdict(list)
last: dict[str, str] = {}

_FAULTY_MESSAGE = 20
_FAULTY_CLIENT = 3


@application("faulty", help="A chat with a fault.")
async def faulty(socket: WebSocket, *, fault: str = "") -> None:
    """
    Serve one client.
    """
    name = "/".join(socket.request.segments)
    room = rooms[name]
    room.append(socket.transport)
    count = len(room)
    address: Any = socket.request.getClientAddress()
    announce(name, notice(address.host, "connected"), fault)
    async for message in socket:
        count += 1
        text = answer(message)
        if count == _FAULTY_MESSAGE:
            say(name, text, fault)
        else:
            broadcast(text, room)
        last[name] = text


def announce(name: str, text: str, fault: str) -> None:
    """Announce a newcomer to a room."""
    room = rooms[name]
    if len(room) == _FAULTY_CLIENT:
        if fault == "announced twice":
            broadcast(text, room)
        elif fault == "announced elsewhere":
            broadcast(text, [each for other in rooms.values() for each in other])
            return
        elif fault == "announced as another":
            text = text.replace("127.0.0.", "127.0.1.")
        elif fault == "not announced":
            return
    broadcast(text, room)


def say(name: str, text: str, fault: str) -> None:
    """Send something to a room, wrongly."""
    room = rooms[name]
    if fault == "twice":
        broadcast(text, room[:1])
    elif fault == "to one less":
        room = room[1:]
    elif fault == "elsewhere":
        room = next(each for other, each in rooms.items() if other != name)
    elif fault == "late":
        text = last[name]
    elif fault == "changed":
        text = text.replace("seen", "sewn")
    elif fault == "longer":
        text += " "
    elif fault == "shorter":
        text = text[:-1]
    broadcast(text, room)
