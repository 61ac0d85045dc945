"""
The command C{wsplug}.

C{wsplug check} takes the options of C{twistd wsplug}, and reports whether the server
can start with them. It makes all parts of the server, and listens for a moment. It
collects all errors, unless one hides another.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.protocol import Factory
from twisted.internet.task import react
from twisted.python import usage

from wsplug.assembly import readFile
from wsplug.assembly.showing import listApplications, showVersions
from wsplug.daemon.inherited import needsSystemd
from wsplug.dropins import addWorkingFolder
from wsplug.errors import ConfigurationError, StartupError
from wsplug.guard.origins import NULL, NULL_ALLOWED
from wsplug.options import splitDescription
from wsplug.printable import oneLine
from wsplug.scaffold import makePackage
from wsplug.server.settings import Settings
from wsplug.service import explainListening
from wsplug.tap import Options

__all__ = ["CheckOptions", "main"]

_USAGE = """\
Usage: wsplug check [options]   check whether "twistd wsplug [options]" can start
       wsplug new NAME         make a package with an application of your own
       wsplug --list-apps       show the applications, and plugins that don't load
       wsplug --version         show the versions

wsplug check --help shows the options. To run the server: twistd wsplug --help\
"""


class CheckOptions(Options):
    """
    The options of C{twistd wsplug}, read to collect their errors.

    @ivar errors: the errors so far.
    """

    synopsis = "Usage: wsplug check [options] --app NAME[:key=value...] [--app ...]"

    optFlags: ClassVar = [
        ["no-listen", None, "Don't try to listen, for example while the server runs."]
    ]

    hasSystemd = False

    def __init__(self, reactor: Any = None) -> None:
        self.errors: list[ConfigurationError] = []
        super().__init__(reactor)

    def readFile(self, path: str) -> dict[str, object]:
        """
        Read a configuration file, and leave out what is wrong in it.
        """
        return readFile(path, self.errors)

    def attempt(self, make: Callable[..., Any], *arguments: Any) -> Any:
        """
        Call a function that makes a part from arguments, and record its error.

        @return: the part; C{None} after an error.
        """
        try:
            return make(*arguments)
        except ConfigurationError as error:
            self.errors.append(error)
            return None

    def fail(self, error: ConfigurationError) -> None:
        """
        Record an error. The arguments behind it aren't checked.
        """
        self.errors.append(error)

    def checkSurroundings(self) -> None:
        """
        Do nothing: this command has no C{twistd} options.
        """


def main(arguments: list[str] | None = None) -> None:
    """
    Run the command.

    @param arguments: by default, the process's arguments.
    @raise SystemExit: always.
    """
    addWorkingFolder()
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
Functions that return the text for an option.
"""


def check(arguments: list[str]) -> None:
    """
    Run C{wsplug check}.

    @raise SystemExit: always.
    """
    options = CheckOptions()
    options.parseOptions(arguments)
    react(_check, [options])


class NewOptions(usage.Options):
    """
    The options of C{wsplug new}.
    """

    synopsis = "Usage: wsplug new NAME [--folder FOLDER]"

    longdesc = (
        "Makes a package with an application of your own: a class, a page, tests, and "
        "a drop-in that makes it known to --app. NAME is a name for --app, such as "
        "my-quiz."
    )

    optParameters: ClassVar = [
        ["folder", None, None, "The folder to make; NAME by default."]
    ]

    def parseArgs(self, *names: str) -> None:
        if len(names) != 1:
            raise usage.UsageError("name the application, such as: wsplug new my-quiz")
        self["name"] = names[0]


def new(arguments: list[str]) -> None:
    """
    Run C{wsplug new}.

    @raise SystemExit: always.
    """
    options: Any = NewOptions()  # type: ignore[no-untyped-call]
    try:
        options.parseOptions(arguments)
        name = options["name"]
        folder = options["folder"] or name
        made = makePackage(name, Path(folder))
    except (usage.UsageError, ConfigurationError) as error:
        sys.exit(f"wsplug: {oneLine(error)}")
    for path in made:
        print(Path(folder) / path)
    print(_NEXT.format(folder=shlex.quote(folder), name=name))
    sys.exit(0)


_NEXT: Final = """
Next:
    cd {folder}
    pip install -e '.[test]'
    pytest
    twistd -n wsplug --port 9000 --app {name}
"""

_COMMANDS: Final[Mapping[str, Callable[[list[str]], None]]] = {
    "check": check,
    "new": new,
}
"""
The commands by their names. Each one takes the arguments that follow its name.
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
    Listen on all endpoints at the same time, and stop.
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
    Find facts that don't prevent the start, but may surprise the user.
    """
    notes: list[str] = []
    if not hasattr(options, "parts"):
        notes.append("more may be wrong; correct these errors and check again")
        return notes
    notes.extend(
        f"{name}: only systemd has this socket, so it wasn't tried"
        for name, endpoint in options.parts.endpoints
        if endpoint is None and needsSystemd(name)
    )
    configuration, usual = options.parts.configuration, Settings.max_connections
    if NULL in configuration.access.origins:
        notes.append(NULL_ALLOWED)
    possible = configuration.settings.max_connections
    if possible < usual and "max-connections" not in configuration.given:
        notes.append(
            f"max-connections is {possible} instead of {usual}, because a process may "
            "open no more files here; see ulimit -n, LimitNOFILE="
        )
    return notes
