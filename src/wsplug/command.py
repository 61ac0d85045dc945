"""
The command: C{wsplug}.

C{wsplug check} takes the options of C{twistd wsplug} and says whether that would start:
it makes everything that they speak of, and listens for a moment. It collects what is
wrong, as far as one mistake doesn't hide another.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.protocol import Factory
from twisted.internet.task import react
from twisted.python import usage

from wsplug.broker import MemoryBroker
from wsplug.config import readFile
from wsplug.errors import ConfigurationError, StartupError
from wsplug.options import splitDescription
from wsplug.plugins import Services, makeMounts
from wsplug.server.mounts import Mount
from wsplug.server.settings import Settings
from wsplug.service import explainListening
from wsplug.tap import Options, listApplications, oneLine, showVersions

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
        ["no-listen", None, "don't try to listen: for a server that runs already"]
    ]

    def __init__(self, reactor: Any = None) -> None:
        super().__init__(reactor)
        self.errors: list[ConfigurationError] = []

    def opt_config(self, path: str) -> None:
        """TOML file with the same names; the command line wins over it"""
        self._file = self.attempt(readFile, path, self.errors) or {}

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

    def findOtherFormat(self) -> None:
        """
        Nobody logs here; C{twistd} will.
        """

    def makeMounts(self, services: Services) -> list[Mount]:
        """
        Make the applications, or find out which can't be made.
        """
        descriptions = [
            each for each in self.configuration.applications if each is not None
        ]
        if self.broker is None:
            broker = MemoryBroker(self.reactor)
            services = Services(self.reactor, self.reactor, broker)
        try:
            return makeMounts(descriptions, services)
        except ConfigurationError:
            for description in descriptions:
                self.attempt(makeMounts, [description], services)
            return []

    def makeEndpoint(self, reactor: Any, name: str, description: str) -> Any:
        """
        Make an endpoint.

        @return: C{None} for a socket that only systemd has.
        """
        if "systemd:" in description:
            return None
        return super().makeEndpoint(reactor, name, description)

    def parseOptions(self, options: Any = None) -> None:
        """
        Read the arguments.
        """
        try:
            usage.Options.parseOptions(self, options)
        except (usage.UsageError, ConfigurationError) as error:
            # What comes behind it in the reading hasn't been looked at.
            self.errors.append(ConfigurationError(oneLine(error)))


def main(arguments: list[str] | None = None) -> None:
    """
    Run the command.

    @param arguments: those of the process where not given.
    @raise SystemExit: always.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if words == ["--version"]:
        print(showVersions())
        sys.exit(0)
    if words == ["--list-apps"]:
        print(listApplications())
        sys.exit(0)
    if words in (["--help"], ["-h"]):
        print(_USAGE)
        sys.exit(0)
    if words[:1] != ["check"]:
        sys.exit(_USAGE)
    options = CheckOptions()
    options.parseOptions(words[1:])
    react(_check, [options])


@inlineCallbacks
def _check(reactor: Any, options: CheckOptions) -> Any:
    good: list[str] = []
    if hasattr(options, "mounts") and options.mounts:
        good.extend(
            f"application {mount.name} at {mount.path}" for mount in options.mounts
        )
    if hasattr(options, "configuration"):
        options.attempt(_checkBroker, options.configuration.broker, good)
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
    for name, endpoint in getattr(options, "endpoints", ()):
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
    if not hasattr(options, "configuration"):
        notes.append("more may be wrong; this has to be mended before it is looked at")
        return notes
    notes.extend(
        f"{name}: only systemd has this socket, so it wasn't tried"
        for name, endpoint in getattr(options, "endpoints", ())
        if endpoint is None and "systemd:" in name
    )
    configuration, usual = options.configuration, Settings.max_connections
    possible = configuration.settings.max_connections
    if possible < usual and "max-connections" not in configuration.given:
        notes.append(
            f"max-connections is {possible} instead of {usual}: a "
            "process may have no more descriptors here; see ulimit -n, LimitNOFILE="
        )
    return notes
