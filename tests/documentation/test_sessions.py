"""Each page's commands run in order, as written, on a machine of their own.

Only ports and the folders below the root are replaced.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import pytest
from websockets.sync.client import connect

from tests.documentation.lists import COMMANDS_NOT_RUN, lookUp
from tests.documentation.machine import machine
from tests.documentation.pages import allBlocks
from tests.documentation.terminal import commandsIn, follow, terminal
from tests.processes import HOST, Process, checkEcho, waitUntil

pytestmark = pytest.mark.slow


def _pages() -> list[str]:
    """Give the pages with commands that run here."""
    names = dict.fromkeys(
        block.name
        for block in allBlocks()
        for command in commandsIn(block)
        if not lookUp(COMMANDS_NOT_RUN, block.name, command)
    )
    return list(names)


@pytest.mark.parametrize("page", _pages())
def test_session(page: str) -> None:
    """Each command on the page works: those that start a server make it listen, and
    all others exit with status 0 while it runs.
    """
    with terminal(page) as opened:
        follow(page, opened, lambda each: lookUp(COMMANDS_NOT_RUN, page, each))


def test_greet() -> None:
    """The Python program that the docs show behind a WebSocket responds there, in
    both of its commands.
    """
    blocks = [block for block in allBlocks() if block.name == "process"]
    commands = [
        command
        for block in blocks
        for command in commandsIn(block)
        if "greet.py" in command
    ]
    assert len(commands) == 2
    with terminal("process") as opened:
        for block in blocks:
            opened.save(block)
        for command in commands:
            opened.run(command)
            room = "/lobby" if "mode=room" in command else "/"
            with connect(f"ws://{HOST}:{opened.here('9000')}{room}") as client:
                assert str(client.recv(60)).startswith("hello")
                client.send("hi")
                assert client.recv(60) == "HI"


def test_listen() -> None:
    """The program that listens by itself serves until it is stopped."""
    with machine("embedding") as made:
        program = [sys.executable, "listen.py"]
        with Process(program, made.home) as process:
            port = int(made.here("9000"))

            def answers() -> bool:
                assert not process.ended, process.err
                with suppress(OSError):
                    checkEcho(port, "/echo")
                    return True
                return False

            waitUntil(answers, "it answers")
