"""
A program behind a proxy: its environment has the real client.
"""

from __future__ import annotations

from tests.server.kit import App
from wsplug.apps.process.environment import ofRequest
from wsplug.guard.proxies import ProxySettings
from wsplug.testing import MemoryServer
from wsplug.testing.server import CLIENT as PROXY


def test_environment() -> None:
    """
    The address and TLS are the client's; a port that isn't named is no 0.
    """
    app = App()
    server = MemoryServer(app, proxies=ProxySettings((PROXY,)))
    for client in ("198.51.100.1", "198.51.100.1:4711"):
        server.connect(
            headers=[("X-Forwarded-For", client), ("X-Forwarded-Proto", "https")]
        )
    without, named = (ofRequest(request) for request in app.requests)
    assert without[b"REMOTE_ADDR"] == named[b"REMOTE_ADDR"] == b"198.51.100.1"
    assert (without[b"REMOTE_PORT"], named[b"REMOTE_PORT"]) == (b"", b"4711")
    assert without[b"HTTPS"] == b"on"
