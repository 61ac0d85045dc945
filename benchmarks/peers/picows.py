"""
picows by its core API, which is the fast one. It has no compression, and nothing for
fan-out but a loop. It gives frames, not messages, and checks no UTF-8.
"""

from __future__ import annotations

from typing import Any, ClassVar

from picows import (  # type: ignore[import-not-found,unused-ignore]
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

from benchmarks.peers.command import HOST, read_command
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


async def main() -> None:
    """
    Run the server.
    """
    listener = Fanout if command.fanout else Echo

    def listen(request: WSUpgradeRequest) -> WSListener:
        return listener()

    server = await ws_create_server(listen, HOST, command.port, ssl=command.context())
    await server.serve_forever()


if __name__ == "__main__":
    command = read_command()
    run(main(), command.uvloop)
