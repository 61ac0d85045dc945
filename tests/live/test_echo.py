"""
The echo with its options, over sockets.
"""

from __future__ import annotations

import time
from pathlib import Path

from websockets.sync.client import connect

from tests.processes import HOST, checkEcho, serve


def test_prefix_and_delay(tmp_path: Path) -> None:
    """
    The options of the command line do what they say: answers wait, all at once and in
    order, and texts have the prefix.
    """
    options = "--app=echo:path=/:prefix=You have entered\\: :delay=0.2"
    with serve(tmp_path, options, "--app=echo:path=/plain") as server:
        with connect(f"ws://{HOST}:{server.port}/") as connection:
            start = time.monotonic()
            for number in range(50):
                connection.send(str(number))
            connection.send(b"bytes")
            answers = [connection.recv(20) for _ in range(51)]
            assert time.monotonic() - start >= 0.2
        texts = [f"You have entered: {number}" for number in range(50)]
        assert answers == [*texts, b"bytes"]
        checkEcho(server.port, "/plain")
        assert server.stop() == 0
        assert "Traceback" not in server.log + server.err


def test_flood(tmp_path: Path) -> None:
    """
    A client that sends much more than may wait gets all of it back.
    """
    options = "--app=echo:delay=0.02:backlog=64KiB"
    messages = [bytes([number]) * 50_000 for number in range(40)]
    with (
        serve(tmp_path, options) as server,
        connect(f"ws://{HOST}:{server.port}/", compression=None) as connection,
    ):
        for message in messages:
            connection.send(message)
        assert [connection.recv(20) for _ in messages] == messages
