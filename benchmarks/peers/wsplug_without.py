"""
wsplug without one of the measures that make it fast: what is each of them worth?

    python -m benchmarks.peers.wsplug_without MEASURE ARGUMENT...

The arguments are C{twistd}'s.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from twisted.scripts import twistd

import wsplug.server
import wsplug.server.factory
import wsplug.service
from wsplug.server import PreparedMessage
from wsplug.transport.direct import DirectTransport
from wsplug.transport.flusher import Flushable, Flusher


class _Uncorked(Flusher):
    """
    Sends each message by itself, at once.
    """

    def add(self, connection: Flushable) -> None:
        connection.flush()


def _withoutCork() -> None:
    module: Any = wsplug.server.factory
    module.Flusher = _Uncorked


def _withoutEpollSet() -> None:
    module: Any = wsplug.service
    use = module.useDirectTransport
    module.useDirectTransport = lambda port, epollSet: use(port, None)


def _withoutDirectTransport() -> None:
    module: Any = wsplug.service
    module.useDirectTransport = lambda port, epollSet: None


def _withoutGetBuffer() -> None:
    def upgrade(transport: Any, connection: Any) -> None:
        transport.protocol = connection

    settable: Any = DirectTransport
    settable.upgrade = upgrade


def _withoutSharedFrames() -> None:
    def broadcast(message: str | bytes | PreparedMessage, transports: Any) -> None:
        if isinstance(message, PreparedMessage):
            message = message.payload.decode() if message.isText else message.payload
        for transport in list(transports):
            if isinstance(message, str):
                transport.sendTextMessage(message)
            else:
                transport.sendBytesMessage(message)

    # Before the application's file imports it.
    module: Any = wsplug.server
    module.broadcast = broadcast


MEASURES: dict[str, Callable[[], None]] = {
    "cork": _withoutCork,
    "epoll-set": _withoutEpollSet,
    "direct-transport": _withoutDirectTransport,
    "get-buffer": _withoutGetBuffer,
    "shared-frames": _withoutSharedFrames,
}


def main() -> None:
    """
    Run the server.
    """
    MEASURES[sys.argv[1]]()
    sys.argv[:2] = ["twistd"]
    twistd.run()


if __name__ == "__main__":
    main()
