"""
The options, and how they are checked.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wsplug import Option
from wsplug.apps.process.framing import Chunks, Framing, Lines
from wsplug.errors import InvalidOption
from wsplug.options import (
    REQUIRED,
    boolean,
    choice,
    count,
    delay,
    integer,
    seconds,
    secret,
    size,
    text,
)

__all__ = ["OPTIONS", "ProcessOptions"]

_SHELL: Final = "/bin/sh"


def _names(value: str) -> tuple[str, ...]:
    names = tuple(value.split(",")) if value else ()
    if all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) for name in names):
        return names
    raise ValueError("names of variables separated by commas, like PATH,LANG")


OPTIONS: Final = (
    Option(
        "command",
        secret,
        REQUIRED,
        "the program and its arguments, quoted as in a shell",
    ),
    Option(
        "title",
        text,
        "",
        "the page's title",
        "the program's name, without arguments",
    ),
    Option("shell", boolean, False, "whether /bin/sh interprets the command"),
    Option(
        "mode",
        choice("client", "shared", "room"),
        "client",
        "a program for each client, one shared by all, or one for each room",
    ),
    Option(
        "framing",
        choice("lines", "binary"),
        "lines",
        "how its output becomes messages: as lines of text, or as binary chunks",
    ),
    Option(
        "max-line",
        size,
        64 * 1024,
        "bytes that a line may have; a longer one is split into several messages",
    ),
    Option(
        "stderr",
        choice("log", "client"),
        "log",
        "where its standard error goes: the server's log, or the client",
    ),
    Option(
        "env",
        _names,
        ("PATH",),
        "environment variables of the server that it gets, separated by commas",
    ),
    Option("directory", text, "", "its working directory", "the server's"),
    Option(
        "quit",
        text,
        "quit",
        "the text with which a client ends its program; empty for none",
    ),
    Option(
        "grace",
        delay,
        5.0,
        "seconds that it gets to exit after the end of its input, and after SIGTERM",
    ),
    Option(
        "input-timeout",
        seconds,
        60.0,
        "seconds that a message may wait for it to read; then close 1013",
    ),
    Option("max-programs", count, 50, "programs at the same time; beyond that, 503"),
    Option(
        "max-address-programs",
        count,
        20,
        "programs of one address or user; beyond that, 429",
    ),
    Option(
        "backlog",
        integer(0, 100_000),
        100,
        "latest messages of a shared program that a new client gets",
    ),
    Option("backlog-size", size, 256 * 1024, "bytes that these may have"),
    Option(
        "linger",
        delay,
        10.0,
        "seconds that a room's program keeps running without clients",
    ),
    Option(
        "restart",
        choice("always", "on-failure", "never"),
        "on-failure",
        "when a shared program is restarted: always, on-failure or never",
    ),
)


@dataclass(frozen=True)
class ProcessOptions:
    """
    The parsed options.

    @ivar command: the program's absolute path, and its arguments.
    @ivar directory: the absolute path of the working directory; C{None} for the
        server's.
    @ivar title: the program's name on the page, without its arguments.
    """

    command: tuple[str, ...]
    mode: str
    framing: str
    max_line: int
    stderr: str
    env: tuple[str, ...]
    directory: str | None
    quit: str
    grace: float
    input_timeout: float
    max_programs: int
    max_address_programs: int
    backlog: int
    backlog_size: int
    linger: float
    restart: str
    title: str

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> ProcessOptions:
        """
        Look up the directory and the program.

        @raise InvalidOption: one doesn't exist, or the program isn't executable.
        """
        values = {name.replace("-", "_"): value for name, value in options.items()}
        directory = _findDirectory(values.pop("directory"))
        command = _findCommand(values.pop("command"), values.pop("shell"), directory)
        title = values.pop("title") or _titleOf(command, directory)
        return cls(command=command, directory=directory, title=title, **values)

    @property
    def name(self) -> str:
        """
        The program's name in the log.
        """
        return os.path.basename(self.command[0])

    def makeFraming(self) -> Framing:
        """
        Make the framing for an output of a program.
        """
        return Lines(self.max_line) if self.framing == "lines" else Chunks()

    def encode(self, message: str) -> bytes:
        """
        Encode a text message for the program.
        """
        return (message + "\n" if self.framing == "lines" else message).encode("utf-8")


def _findDirectory(directory: str) -> str | None:
    if not directory:
        return None
    if not os.path.isdir(directory):
        raise InvalidOption(f"directory: there is no directory {directory!r}")
    if not os.access(directory, os.X_OK):
        raise InvalidOption(f"directory: {directory!r} can't be entered")
    return os.path.abspath(directory)


def _findCommand(
    command: str, usesShell: bool, directory: str | None
) -> tuple[str, ...]:
    if "\0" in command:
        raise InvalidOption("command: it contains a NUL character")
    if usesShell:
        return (_SHELL, "-c", command)
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InvalidOption(f"command: it can't be parsed: {error}") from None
    if not words or not words[0]:
        raise InvalidOption("command: it names no program")
    return (_findProgram(words[0], directory), *words[1:])


def _titleOf(command: tuple[str, ...], directory: str | None) -> str:
    """
    Name a program as people know it: C{python app.py}. Any other argument may be a
    secret, and so may a command for the shell.
    """
    program, *arguments = command
    name = os.path.basename(program)
    script = next((word for word in arguments if not word.startswith("-")), "")
    isFile = os.path.isfile(os.path.join(directory or os.getcwd(), script))
    return f"{name} {os.path.basename(script)}" if isFile else name


def _findProgram(name: str, directory: str | None) -> str:
    """
    Find a program on C{PATH}. If the name is a path, it is relative to the program's
    working directory.
    """
    if "/" not in name:
        found = shutil.which(name)
        if found is not None:
            return os.path.abspath(found)
        # Leave out what looks like the value of a variable: it may be a secret.
        plain = name.partition("=")[0]
        raise InvalidOption(
            f"command: there is no program {plain!r} on PATH; give its full path"
        )
    path = os.path.abspath(os.path.join(directory or os.getcwd(), name))
    if not os.path.isfile(path):
        raise InvalidOption(f"command: there is no program {path!r}")
    if not os.access(path, os.X_OK):
        raise InvalidOption(
            f"command: {path!r} isn't executable; chmod +x it, or name its interpreter"
        )
    return path
