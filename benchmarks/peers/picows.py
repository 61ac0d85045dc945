"""
picows by its core API, which is the fast one. It has no compression, and nothing for
fan-out and chat but a loop. It gives frames, not messages, and checks no UTF-8.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, ClassVar

from picows import (  # type: ignore[import-not-found,unused-ignore]
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

from benchmarks.peers.chat import answer, notice
from benchmarks.peers.command import CHAT, ECHO, FANOUT, HOST, read_command
from benchmarks.peers.loops import run


class Echo(WSListener):  # type: ignore[misc,unused-ignore]
    """
    Sends back.
    """

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


class Fanout(Echo):
    """
    Sends to everyone.
    """

    everyone: ClassVar[set[Any]] = set()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.everyone.add(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            super().on_ws_frame(transport, frame)
            return
        kind = frame.msg_type
        payload = frame.get_payload_as_bytes()
        for other in list(self.everyone):
            other.send(kind, payload)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.everyone.discard(transport)


class Chat(Echo):
    """
    Sends to the room of the path.
    """

    rooms: ClassVar[defaultdict[bytes, set[Any]]] = defaultdict(set)

    def __init__(self, path: bytes) -> None:
        super().__init__()
        self.room = self.rooms[path]
        self.address = ""

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.address = transport.underlying_transport.get_extra_info("peername")[0]
        self.room.add(transport)
        self.say(notice(self.address, "connected"))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self.say(answer(frame.get_payload_as_bytes()))
        else:
            super().on_ws_frame(transport, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.room.discard(transport)
        self.say(notice(self.address, "disconnected"))

    def say(self, text: str) -> None:
        """
        Send to all in the room.
        """
        payload = text.encode()
        for other in list(self.room):
            other.send(WSMsgType.TEXT, payload)


APPLICATIONS: dict[str, type[Echo]] = {ECHO: Echo, FANOUT: Fanout}


def listen(request: WSUpgradeRequest) -> WSListener:
    """Make the listener for a connection."""
    if command.application == CHAT:
        return Chat(request.path)
    return APPLICATIONS[command.application]()


async def main() -> None:
    """
    Run the server.
    """
    server = await ws_create_server(listen, HOST, command.port, ssl=command.context())
    await server.serve_forever()


if __name__ == "__main__":
    command = read_command()
    run(main(), command.uvloop)
