"""
The command: C{wsplug}.

C{wsplug check} takes the options of C{twistd wsplug} and says whether that would start:
it makes everything that they speak of, and listens for a moment. It collects what is
wrong, as far as one mistake doesn't hide another.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.protocol import Factory
from twisted.internet.task import react

from wsplug.assembly import readFile
from wsplug.assembly.showing import listApplications, oneLine, showVersions
from wsplug.errors import ConfigurationError, StartupError
from wsplug.options import splitDescription
from wsplug.server.settings import Settings
from wsplug.service import explainListening
from wsplug.tap import Options

__all__ = ["CheckOptions", "main"]

_USAGE = """\
Usage: wsplug check [options]   say whether "twistd wsplug [options]" would start
       wsplug --list-apps       show the applications, and what does not load
       wsplug --version         show the versions

wsplug check --help shows the options. To run the server: twistd wsplug --help\
"""


class CheckOptions(Options):
    """
    The options of C{twistd wsplug}, read to find all that is wrong with them.

    @ivar errors: that.
    """

    synopsis = "Usage: wsplug check [options] --app NAME[:key=value...] [--app ...]"

    optFlags: ClassVar = [
        ["no-listen", None, "Don't try to listen: for a server that runs already."]
    ]

    hasSystemd = False

    def __init__(self, reactor: Any = None) -> None:
        self.errors: list[ConfigurationError] = []
        super().__init__(reactor)

    def readFile(self, path: str) -> dict[str, object]:
        """
        Read a configuration file, as far as it is right.
        """
        return readFile(path, self.errors)

    def attempt(self, make: Callable[..., Any], *arguments: Any) -> Any:
        """
        Make something of the arguments, or note why that isn't possible.

        @return: C{None} in this case.
        """
        try:
            return make(*arguments)
        except ConfigurationError as error:
            self.errors.append(error)
            return None

    def fail(self, error: ConfigurationError) -> None:
        """
        Note it. What comes behind it in the reading hasn't been looked at.
        """
        self.errors.append(error)

    def checkSurroundings(self) -> None:
        """
        Check nothing: this isn't C{twistd}.
        """


def main(arguments: list[str] | None = None) -> None:
    """
    Run the command.

    @param arguments: those of the process where not given.
    @raise SystemExit: always.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if len(words) == 1 and words[0] in _SHOWN:
        print(_SHOWN[words[0]]())
        sys.exit(0)
    if not words or words[0] not in _COMMANDS:
        sys.exit(_USAGE)
    _COMMANDS[words[0]](words[1:])


def _showUsage() -> str:
    return _USAGE


_SHOWN: Final[Mapping[str, Callable[[], str]]] = {
    "--help": _showUsage,
    "-h": _showUsage,
    "--list-apps": listApplications,
    "--version": showVersions,
}
"""
What is shown, by the word that asks for it.
"""


def check(arguments: list[str]) -> None:
    """
    Run C{wsplug check}.

    @raise SystemExit: always.
    """
    options = CheckOptions()
    options.parseOptions(arguments)
    react(_check, [options])


_COMMANDS: Final[Mapping[str, Callable[[list[str]], None]]] = {"check": check}
"""
The commands, by their names: each takes the arguments behind it.
"""


@inlineCallbacks
def _check(reactor: Any, options: CheckOptions) -> Any:
    good: list[str] = []
    if hasattr(options, "parts"):
        good.extend(
            f"application {mount.name} at {mount.path}"
            for mount in options.parts.mounts
        )
        options.attempt(_checkBroker, options.configuration.operation.broker, good)
        yield _checkEndpoints(options, good)
    for line in good:
        print(f"good: {line}")
    for note in _findNotes(options):
        print(f"note: {note}")
    sys.stdout.flush()
    for error in options.errors:
        print(f"wsplug: {oneLine(error)}", file=sys.stderr)
    if options.errors:
        raise SystemExit(1)


def _checkBroker(description: str, good: list[str]) -> None:
    words = [
        word if value is None else "" for word, value in splitDescription(description)
    ]
    if words[0] == "sqlite" and len(words) > 1:
        path = words[1]
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise StartupError(f"--broker {description}: there is no folder {folder}")
        for what in (folder, path):
            if os.path.exists(what) and not os.access(what, os.W_OK):
                raise StartupError(f"--broker {description}: can't write to {what}")
    good.append(f"broker {description}")


@inlineCallbacks
def _checkEndpoints(options: CheckOptions, good: list[str]) -> Any:
    """
    Listen on each endpoint at the same time, and no more.
    """
    ports = []
    for name, endpoint in options.parts.endpoints:
        if endpoint is None:
            continue
        if options["no-listen"]:
            good.append(f"{name} (not listened on)")
            continue
        listening: Deferred[Any] = maybeDeferred(endpoint.listen, Factory())
        listening.addErrback(explainListening, name)
        try:
            ports.append((yield listening))
        except StartupError as error:
            options.errors.append(error)
        else:
            good.append(name)
    for port in ports:
        yield maybeDeferred(port.stopListening)


def _findNotes(options: CheckOptions) -> list[str]:
    """
    Find what doesn't keep the server from starting, but may be a surprise.
    """
    notes: list[str] = []
    if not hasattr(options, "parts"):
        notes.append("more may be wrong; this has to be mended before it is looked at")
        return notes
    notes.extend(
        f"{name}: only systemd has this socket, so it wasn't tried"
        for name, endpoint in options.parts.endpoints
        if endpoint is None and "systemd:" in name
    )
    configuration, usual = options.parts.configuration, Settings.max_connections
    possible = configuration.settings.max_connections
    if possible < usual and "max-connections" not in configuration.given:
        notes.append(
            f"max-connections is {possible} instead of {usual}: a "
            "process may have no more descriptors here; see ulimit -n, LimitNOFILE="
        )
    return notes
