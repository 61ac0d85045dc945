"""
Logs in in each way, without the garbage collector, and prints what is left of each
login as JSON on standard output. It runs in a process of its own, like
C{tests/server/lifetimes.py}, since pytest keeps tracebacks alive.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

from tests.auth.kit import ORIGIN, Greeter, basic, writeTokens
from wsplug import HandshakeRefused
from wsplug.auth import makePortal
from wsplug.server.sessions import Session
from wsplug.testing import MemoryServer

NAMES = ("header", "wrong", "message", "wrong message", "drop")


def connect(server: MemoryServer, how: str) -> None:
    """
    Connect, and leave again.
    """
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


def left(tokens: str, how: str) -> list[int]:
    """
    Count the sessions and deadlines that are left.
    """
    greeter = Greeter()
    server = MemoryServer(greeter, portal=makePortal(["memory:ann:secret", tokens]))
    gc.collect()
    connect(server, how)
    greeter.transports.clear()
    greeter.requests.clear()
    server.advance(20)
    sessions = [each for each in gc.get_objects() if isinstance(each, Session)]
    return [len(sessions), len(server.factory.deadlines)]


if __name__ == "__main__":
    gc.disable()
    description = writeTokens(Path(sys.argv[1]), bob="sesame")
    print(json.dumps({how: left(description, how) for how in NAMES}))
