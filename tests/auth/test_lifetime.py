"""
What a login leaves behind when the client is gone: nothing.
"""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest

from tests.auth.kit import ORIGIN, Greeter, basic, writeTokens
from wsplug import HandshakeRefused
from wsplug.auth import makePortal
from wsplug.server.sessions import Session
from wsplug.testing import MemoryServer


@pytest.mark.parametrize("how", ["header", "wrong", "message", "wrong message", "drop"])
def test_nothing_is_left(tmp_path: Path, how: str) -> None:
    """
    However it ends, it is freed at once, without the garbage collector.
    """
    tokens = writeTokens(tmp_path / "tokens", bob="sesame")
    greeter = Greeter()
    server = MemoryServer(greeter, portal=makePortal(["memory:ann:secret", tokens]))
    gc.collect()
    before = _sessions()  # those that other tests still hold
    gc.disable()
    try:
        _connect(server, how)
        greeter.transports.clear()
        greeter.requests.clear()
        server.advance(20)
        assert _sessions() <= before
        assert len(server.factory.deadlines) == 0
    finally:
        gc.enable()


def _sessions() -> set[int]:
    return {id(each) for each in gc.get_objects() if isinstance(each, Session)}


def _connect(server: MemoryServer, how: str) -> None:
    if how == "header":
        server.connect(headers=[basic("ann", "secret")]).close()
        return
    if how == "wrong":
        try:
            server.connect(headers=[basic("ann", "x")])
        except HandshakeRefused:
            return
    client = server.connect(origin=ORIGIN)
    if how == "drop":
        client.drop()
        return
    token = "sesame" if how == "message" else "x"
    client.send(json.dumps({"type": "auth", "token": token}))
    client.close()
