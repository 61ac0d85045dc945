"""
The command C{twistd wsplug}. It reads the arguments. L{wsplug.assembly} does the rest.

It finds errors in the arguments before the server listens. An error is one line on
standard error, with exit status 1.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NoReturn

from twisted.application.service import IService
from twisted.logger import ILogObserver
from twisted.python import usage

from wsplug.assembly import Configuration, Parts, assemble, combine, readFile
from wsplug.assembly.configuration import APP, COMMANDS, OPTIONS
from wsplug.assembly.showing import listApplications, showVersions
from wsplug.daemon.logs import findOtherFormat, makeObserver
from wsplug.daemon.parent import DaemonsParent
from wsplug.daemon.preflight import checkTwistd
from wsplug.dropins import addWorkingFolder
from wsplug.errors import ConfigurationError, InvalidOption
from wsplug.memory import keepFreedMemory
from wsplug.options import Option, findRenamed, splitDescription
from wsplug.plugins import parseDescription
from wsplug.printable import oneLine
from wsplug.twistdservice import TwistdService

__all__ = ["Options", "makeService"]

_UNKNOWN = re.compile(r"option --([a-z-]+) not recognized")


class Options(usage.Options):
    """
    The command line.

    @ivar reactor: the reactor that the server runs in.
    @ivar configuration: the configuration from the arguments and the file. It is set
        when the arguments are read.
    @ivar parts: the parts of the server. They are set when the arguments are read.
    """

    synopsis = "[options] --app NAME[:key=value...] [--app ...]"
    longdesc = (
        "Serve WebSocket applications. Sizes are in bytes, KiB or MiB, times in "
        "seconds; --list-apps shows what can be served."
    )

    configuration: Configuration
    parts: Parts
    hasSystemd: ClassVar = True

    def __init__(self, reactor: Any = None) -> None:
        """
        @param reactor: by default, the installed reactor, as for C{twistd}.
        """
        self._given: dict[str, Any] = {}
        self._file: dict[str, object] = {}
        self._reactor = reactor
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def reactor(self) -> Any:
        if self._reactor is None:
            # Imported late, because "twistd --reactor" installs it when it reads the
            # arguments.
            from twisted.internet import reactor

            self._reactor = reactor
        return self._reactor

    # The methods of the other options are made from OPTIONS: see below.

    def opt_config(self, path: str) -> None:
        self._file = self.attempt(self.readFile, path) or {}

    def opt_list_apps(self) -> NoReturn:
        print(listApplications())
        sys.exit(0)

    def opt_version(self) -> NoReturn:
        print(showVersions())
        sys.exit(0)

    # Reading

    def readFile(self, path: str) -> dict[str, object]:
        """
        Read a configuration file.

        @raise InvalidOption: something in it is wrong.
        """
        return readFile(path)

    def parseOptions(self, options: Any = None) -> None:
        """
        Read the arguments.

        @raise SystemExit: the arguments are wrong. Its code is the error message.
        """
        addWorkingFolder()
        try:
            super().parseOptions(_spellOut(options))  # type: ignore[no-untyped-call]
        except (usage.UsageError, ConfigurationError) as error:
            self.fail(_explain(error))

    def fail(self, error: ConfigurationError) -> None:
        """
        Exit, because the arguments are wrong.
        """
        sys.exit(f"wsplug: {oneLine(error)}")

    def parseArgs(self, *arguments: str) -> None:
        if arguments:
            # Quote only the name of a description. The rest may contain a secret.
            (name, _), *_ = splitDescription(arguments[0])
            raise usage.UsageError(
                f"unexpected argument {name!r}; use --app for applications"
            )

    def postOptions(self) -> None:
        """
        Make all parts of the server, which finds the errors in the arguments.
        """
        commandLine = {
            option.name: value
            for option in OPTIONS
            if option.name in self._given
            and (value := self._read(option, self._given[option.name])) is not None
        }
        self.configuration = combine(commandLine, self._file)
        self.parts = assemble(
            self.configuration,
            self.reactor,
            attempt=self.attempt,
            hasSystemd=self.hasSystemd,
        )
        self.checkSurroundings()

    def _read(self, option: Option, given: Any) -> Any:
        if option is not APP:
            return self.attempt(option.parse, given)
        read = [self.attempt(parseDescription, each) for each in given]
        return [each for each in read if each is not None]

    def attempt(self, make: Callable[..., Any], *arguments: Any) -> Any:
        """
        Call a function that makes a part from arguments.

        @param make: the function. It may raise a L{ConfigurationError}, which this
            passes on.
        """
        return make(*arguments)

    def checkSurroundings(self) -> None:
        """
        Check C{twistd}'s own options.

        @raise ConfigurationError: the server can't start with them.
        """
        name, other = self.configuration.operation.logFormat, self._findOtherFormat()
        if name != "text" and other is not None:
            raise InvalidOption(
                f"log-format {name} has no effect with {other}, which has its own "
                "format"
            )
        if self.parent is not None:
            checkTwistd(self.parent)

    def _findOtherFormat(self) -> str | None:
        return findOtherFormat(getattr(self, "parent", None))

    def makeObserver(self) -> ILogObserver | None:
        """
        Make the log observer.

        @return: C{None} if something other than wsplug writes the log.
        """
        if self._findOtherFormat() is not None:
            return None
        format = self.configuration.operation.logFormat
        return makeObserver(self.parent, format, self.reactor)


def _spellOut(arguments: Sequence[str] | None) -> list[str]:
    """
    Add the default value to options that may have none. C{usage.Options} has no such
    options.

    @param arguments: by default, those of the process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    for option in OPTIONS:
        if option.bare is None:
            continue
        name = f"--{option.name}"
        for index, word in enumerate(words):
            isLast = index + 1 == len(words)
            if word == name and (isLast or words[index + 1].startswith("-")):
                words[index] = f"{name}={option.bare}"
    return words


def _explain(error: Exception) -> ConfigurationError:
    """
    Explain an error. For an option that was renamed, give its new name.
    """
    unknown = _UNKNOWN.search(str(error))
    renamed = findRenamed(OPTIONS, unknown[1]) if unknown is not None else None
    return ConfigurationError(renamed or str(error))


def _makeMethod(option: Option) -> Callable[..., None]:
    """
    Make the method that C{usage.Options} calls for an option.
    """

    def take(self: Options, value: str) -> None:
        self._given[option.name] = value

    def takeFlag(self: Options) -> None:
        self._given[option.name] = True

    def takeItem(self: Options, value: str) -> None:
        self._given.setdefault(option.name, []).append(value)

    method: Callable[..., None] = takeFlag if option.flag else take
    return takeItem if option.repeats else method


def _methodOf(option: Option) -> str:
    return "opt_" + option.name.replace("-", "_")


def _document(option: Option) -> None:
    """
    Set the help of an option's method.
    """
    isCommand = option in COMMANDS and option.flag
    method = getattr(Options, _methodOf(option))
    method.__doc__ = option.help if isCommand else option.line


for _option in OPTIONS:
    setattr(Options, _methodOf(_option), _makeMethod(_option))
for _option in (*OPTIONS, *COMMANDS):
    _document(_option)


def makeService(options: Options) -> IService:
    """
    Make the service for C{twistd}.
    """
    keepFreedMemory()
    twistd = options.parent
    isDaemon = (
        hasattr(os, "fork")
        and twistd is not None
        and not (twistd["nodaemon"] or twistd["debug"])
    )
    return options.parts.makeService(
        TwistdService,
        parent=DaemonsParent() if isDaemon else None,
        reloaded=options.parts.reloaded,
        makeObserver=options.makeObserver,
    )
