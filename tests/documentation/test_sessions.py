"""
The commands of each page, run on a machine of their own, in their order, as they are
written; only ports and the folders below the root are others.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.documentation.lists import (
    COMMANDS_NOT_RUN,
    TESTED_ELSEWHERE,
    TEXTS,
    lookUp,
)
from tests.documentation.machine import Machine, commandsOf, machine, wordsOf
from tests.documentation.pages import allBlocks
from tests.documentation.test_blocks import SHELL
from tests.processes import HOST, TWISTD, Process, checkEcho, waitUntil

_CURLRC = b'fail-with-body\nsilent\nshow-error\nnoproxy = "*"\n'


_TWISTD = """\
#!/bin/sh
exec {twistd} "$@" $WHERE
"""
"""
A C{twistd} that listens on a port of the tests where nobody says which.
"""


class Session:
    """
    A terminal on a machine, and the server that runs there.
    """

    def __init__(self, made: Machine) -> None:
        self._machine = made
        self._server: Process | None = None
        self._environment = {
            "PATH": f"{made.home}/bin:{Path(TWISTD).parent}:{os.environ['PATH']}",
            "WHERE": "",
            "HOME": str(made.home),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "CURL_HOME": str(made.home),
            "PYTHONUNBUFFERED": "1",
        }
        made.write("home/.curlrc", _CURLRC)
        made.write("home/.environment", b"")
        made.write("home/bin/twistd", _TWISTD.format(twistd=TWISTD).encode())
        (made.home / "bin" / "twistd").chmod(0o755)

    def run(self, command: str) -> None:
        """
        Run a command. A server begins to listen; anything else ends well.
        """
        command = self._machine.here(command)
        if re.search(r"\btwistd .*(\bwsplug\b|\.tac\b)", command) and not re.search(
            r"--(list-apps|version|help)\b", command
        ):
            self._listenSomewhere(command)
            if re.search(r"\btwistd (-ny?|--nodaemon)\b", command):
                self._serve(command)
            else:
                self._serveAsDaemon(command)
            return
        # Variables and the folder stay from one command to the next.
        script = (
            'set -a; . ./.environment; cd -- "${folder:-.}"\n'
            f"{command}\n"
            'folder=$PWD; export -p >"$HOME/.environment"\n'
        )
        with self._start(script) as process:
            finished = process.finish()
        assert finished.status == 0, (command, finished)

    def end(self) -> None:
        """
        End the server, in order.
        """
        if self._server is not None:
            server, self._server = self._server, None
            with server:
                # Twisted's own end is by the signal.
                status = -signal.SIGTERM if self._isTwisteds else 0
                assert server.stop() == status, server.out + server.err
                assert "Traceback" not in server.out + server.err

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()

    def _start(self, script: str) -> Process:
        return Process(
            ["bash", "-euc", script],
            self._machine.home,
            environment=self._environment,
        )

    def _listenSomewhere(self, command: str) -> None:
        """
        Have the server not take the port that is the default.
        """
        said = command
        if found := re.search(r"--config[ =](\S+)", command):
            said += (self._machine.home / found[1]).read_text("utf-8")
        named = re.search(r"--port|--listen|^(port|listen) =", said, re.MULTILINE)
        port = self._machine.here("9000")
        own = named or " wsplug" not in command
        self._environment["WHERE"] = "" if own else f"--port={port}"

    def _serve(self, command: str) -> None:
        self.end()
        self._isTwisteds = " wsplug" not in command
        # In the shell's place, so that signals reach it.
        command = re.sub(r"(^|&& |^(?:\w+=\S* )+)twistd\b", r"\1exec twistd", command)
        command = re.sub(r"^((?:\w+=\S* )+)exec ", r"exec env \1", command)
        script = f'set -a; . ./.environment; cd -- "${{folder:-.}}"\n{command}\n'
        server = self._server = self._start(script)

        def listens() -> bool:
            ended = server.ended
            if re.search(r"\b(listening|starting) on ", server.out):
                return True
            assert not ended, (command, server.out, server.err)
            return False

        waitUntil(listens, "the server listens")

    def _serveAsDaemon(self, command: str) -> None:
        self.end()
        (words,) = (each for each in wordsOf(command) if "twistd" in each)
        name = (
            words[words.index("--pidfile") + 1]
            if "--pidfile" in words
            else "twistd.pid"
        )
        with self._start(command) as process:
            finished = process.finish()
        assert finished.status == 0, (command, finished)
        path = self._machine.home / name
        pid = int(path.read_text("ascii"))
        os.kill(pid, signal.SIGTERM)
        waitUntil(lambda: not path.exists(), "the daemon has ended")


def _pages() -> list[str]:
    names = dict.fromkeys(
        block.name
        for block in allBlocks()
        if block.language in SHELL and _commands(block.name)
    )
    return list(names)


def _commands(page: str) -> list[str]:
    """
    Give the commands of a page that are run here.
    """
    return [
        command
        for block in allBlocks()
        if block.name == page
        and block.language in SHELL
        and not lookUp(TESTED_ELSEWHERE, page, block.first)
        and not lookUp(TEXTS, page, block.first)
        for command in commandsOf(block.text)
        if not lookUp(COMMANDS_NOT_RUN, page, command)
    ]


@contextmanager
def session(page: str) -> Iterator[Session]:
    """
    Have a terminal on a machine with a page's files.
    """
    with machine(page) as made:
        terminal = Session(made)
        try:
            yield terminal
            terminal.end()
        finally:
            terminal.kill()


@pytest.mark.slow
@pytest.mark.parametrize("page", _pages())
def test_session(page: str) -> None:
    """
    Each command of the page does its work: those that start a server have it listen,
    and all others end with status 0 while it runs.
    """
    with session(page) as terminal:
        for command in _commands(page):
            terminal.run(command)


@pytest.mark.slow
def test_greet() -> None:
    """
    The Python program that docs shows behind a WebSocket answers there, in both of its
    commands.
    """
    commands = [each for each in _commands("process") if "greet.py" in each]
    assert len(commands) == 2
    with machine("process") as made:
        terminal = Session(made)
        try:
            for command in commands:
                terminal.run(command)
                room = "/lobby" if "mode=room" in command else "/"
                port = made.here("9000")
                with connect(f"ws://{HOST}:{port}{room}") as client:
                    assert str(client.recv(60)).startswith("hello")
                    client.send("hi")
                    assert client.recv(60) == "HI"
            terminal.end()
        finally:
            terminal.kill()


@pytest.mark.slow
def test_listen() -> None:
    """
    The program that listens by itself serves, until it is ended.
    """
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
