"""A terminal on a machine, which runs a page's commands as written."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.documentation.lists import (
    TESTED_ELSEWHERE,
    TEXTS,
    lookUp,
)
from tests.documentation.machine import Machine, commandsOf, machine, wordsOf
from tests.documentation.pages import SHELL, Block, allBlocks
from tests.processes import PATIENCE, TWISTD, Process, waitUntil

__all__ = ["Terminal", "commandsIn", "follow", "terminal"]

_CURLRC = b'fail-with-body\nsilent\nshow-error\nnoproxy = "*"\n'


_TWISTD = """\
#!/bin/sh
exec {twistd} "$@" $WHERE
"""
"""A C{twistd} that listens on one of the tests' ports by default."""


class Terminal:
    """A terminal on a machine, and the server that runs there."""

    def __init__(self, made: Machine, programs: Path, patience: float) -> None:
        """
        @param programs: the folder of C{python} and what is installed with it.
        @param patience: seconds that a command may take.
        """
        self._patience = patience
        self._machine = made
        self._folder = made.home
        self._server: Process | None = None
        self._environment = {
            "PATH": f"{made.home}/bin:{programs}:{os.environ['PATH']}",
            "WHERE": "",
            "MACHINE": str(made.home),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "CURL_HOME": str(made.home),
            "PYTHONUNBUFFERED": "1",
        }
        made.write("home/.curlrc", _CURLRC)
        made.write("home/.environment", b"")
        made.write(
            "home/bin/twistd", _TWISTD.format(twistd=programs / "twistd").encode()
        )
        (made.home / "bin" / "twistd").chmod(0o755)

    def run(self, command: str) -> None:
        """Run a command.

        A server has to start listening; any other command has to succeed.
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
        # Variables and the working directory persist from one command to the next.
        script = (
            'set -a; . ./.environment; cd -- "${folder:-.}"\n'
            f"{command}\n"
            'folder=$PWD; export -p | grep -v " WHERE=" >"$MACHINE/.environment"\n'
            'printf %s "$PWD" >"$MACHINE/.folder"\n'
        )
        with self._start(script) as process:
            finished = process.finish(self._patience)
        assert finished.status == 0, (command, finished)
        self._folder = Path((self._machine.home / ".folder").read_text("utf-8"))

    @property
    def folder(self) -> Path:
        """The working directory."""
        return self._folder

    def here(self, text: str) -> str:
        """Replace folders and ports in a text by the machine's."""
        return self._machine.here(text)

    def save(self, block: Block) -> None:
        """Save a block that names its file, in the working directory."""
        self._machine.save(block, self._folder)

    def end(self) -> None:
        """Stop the server in order."""
        if self._server is not None:
            server, self._server = self._server, None
            with server:
                # Twisted itself ends by the signal.
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
        """Make the server not use the default port."""
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
        # In place of the shell, so that signals reach it.
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

        waitUntil(listens, "the server listens", self._patience)

    def _serveAsDaemon(self, command: str) -> None:
        self.end()
        (words,) = (each for each in wordsOf(command) if "twistd" in each)
        name = (
            words[words.index("--pidfile") + 1]
            if "--pidfile" in words
            else "twistd.pid"
        )
        with self._start(command) as process:
            finished = process.finish(self._patience)
        assert finished.status == 0, (command, finished)
        path = self._machine.home / name
        pid = int(path.read_text("ascii"))
        os.kill(pid, signal.SIGTERM)
        waitUntil(lambda: not path.exists(), "the daemon has ended")


def commandsIn(block: Block) -> list[str]:
    """Give the commands in a block; none if it contains something else."""
    if block.language not in SHELL:
        return []
    for table in (TESTED_ELSEWHERE, TEXTS):
        if lookUp(table, block.name, block.first):
            return []
    return commandsOf(block.text)


@contextmanager
def terminal(
    page: str,
    programs: Path = Path(TWISTD).parent,
    patience: float = PATIENCE,
) -> Iterator[Terminal]:
    """Create a terminal on a machine with the files of other pages."""
    with machine(page, until=0) as made:
        opened = Terminal(made, programs, patience)
        try:
            yield opened
            opened.end()
        finally:
            opened.kill()


def follow(page: str, opened: Terminal, isLeftOut: Callable[[str], object]) -> None:
    """Follow a page from beginning to end: save each file and run each command.

    @param isLeftOut: says whether a command isn't run.
    """
    for block in allBlocks():
        if block.name != page:
            continue
        opened.save(block)
        for command in commandsIn(block):
            if not isLeftOut(command):
                opened.run(command)
