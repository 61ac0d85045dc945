"""
Tests applications in memory: without sockets, sleeping or real time.

::

    from wsplug.testing import MemoryServer

    def test_shout():
        server = MemoryServer(shout)
        client = server.connect()
        client.send("hello")
        assert client.messages == ["HELLO"]

All of wsplug runs between client and application, down to the bytes: handshake,
framing, limits, timeouts, closing. Only the network and the clock are replaced.
"""

from wsplug.testing.client import MemoryClient
from wsplug.testing.response import MemoryResponse
from wsplug.testing.server import MemoryServer
from wsplug.testing.transport import MemoryTransport

__all__ = ["MemoryClient", "MemoryResponse", "MemoryServer", "MemoryTransport"]
