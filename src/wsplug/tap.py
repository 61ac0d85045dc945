"""
The command: C{twistd wsplug}.

Whatever can be wrong about its arguments is found while they are read, before anything
listens, and is one line on standard error and exit status 1.
"""

from __future__ import annotations

import atexit
import os
import platform
import signal
import sys
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.python import usage

import twisted
import wsplug
from wsplug.broker import makeBroker
from wsplug.build import DESCRIPTION
from wsplug.config import (
    BROKER,
    LISTENING,
    REUSE_PORT,
    Configuration,
    combine,
    readFile,
)
from wsplug.daemon.inherited import explainSystemd, takeOver
from wsplug.daemon.parent import DaemonsParent
from wsplug.daemon.preflight import checkTwistd
from wsplug.daemon.sharing import SharingReactor
from wsplug.daemon.systemd import describe, makeNotifier
from wsplug.errors import ConfigurationError, InvalidOption, StartupError
from wsplug.interfaces import IBroker
from wsplug.memory import keepFreedMemory
from wsplug.options import Option
from wsplug.plugins import (
    MOUNT_OPTIONS,
    Services,
    findApplications,
    findFailures,
    makeMounts,
    parseDescription,
)
from wsplug.server.mounts import Mount, Mounts
from wsplug.server.settings import SETTINGS
from wsplug.service import WebSocketService

__all__ = ["Options", "makeService", "oneLine", "showVersions"]

_SINGLE = (*LISTENING, BROKER, *SETTINGS)


class Options(usage.Options):
    """
    The command line.

    @ivar reactor: the one that the server is going to run in.
    @ivar mounts: once it is read: the applications.
    @ivar endpoints: where to listen, with names.
    @ivar broker: what the applications share.
    @ivar configuration: all the rest.
    """

    synopsis = "[options] --app NAME[:key=value...] [--app ...]"
    longdesc = (
        "Serve WebSocket applications. Sizes are in bytes, KiB or MiB, times in "
        "seconds; --list-apps shows what can be served."
    )

    optParameters: ClassVar = [
        [option.name, None, None, f"{option.help} [{option.shownDefault}]"]
        for option in _SINGLE
    ]

    mounts: list[Mount]
    endpoints: list[tuple[str, IStreamServerEndpoint]]
    configuration: Configuration
    broker: IBroker

    def __init__(self, reactor: Any = None) -> None:
        """
        @param reactor: for C{twistd}, which gives none, the installed one.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._repeated: dict[str, list[str]] = {}
        self._flags: dict[str, object] = {}
        self._file: dict[str, object] = {}

    @property
    def reactor(self) -> Any:
        if self._reactor is None:
            # Not before the arguments are read: "twistd --reactor" installs it then.
            from twisted.internet import reactor

            self._reactor = reactor
        return self._reactor

    # The options that aren't a single value

    def opt_app(self, value: str) -> None:
        """application to serve: NAME[:key=value...], file.py or package.module:name"""
        self._repeated.setdefault("app", []).append(value)

    def opt_listen(self, value: str) -> None:
        """Twisted endpoint string to listen on, as unix:/run/wsplug.sock"""
        self._repeated.setdefault("listen", []).append(value)

    def opt_origin(self, value: str) -> None:
        """origin whose pages may connect: an exact one, * or same-host [same-host]"""
        self._repeated.setdefault("origin", []).append(value)

    def opt_reuse_port(self) -> None:
        """share TCP ports with other processes, as the next one in a restart [no]"""
        self._flags[REUSE_PORT.name] = True

    def opt_config(self, path: str) -> None:
        """TOML file with the same names; the command line wins over it"""
        self._file = self.attempt(readFile, path)

    def opt_list_apps(self) -> NoReturn:
        """show the applications with their options, and what does not load"""
        print(_listApplications())
        sys.exit(0)

    def opt_version(self) -> NoReturn:
        """show the versions of wsplug and what it runs on"""
        print(showVersions())
        sys.exit(0)

    # Reading

    def parseOptions(self, options: Any = None) -> None:
        """
        Read the arguments.

        @raise SystemExit: they are wrong; its code is the line that says how.
        """
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except (usage.UsageError, ConfigurationError) as error:
            sys.exit(f"wsplug: {oneLine(error)}")

    def parseArgs(self, *arguments: str) -> None:
        if arguments:
            raise usage.UsageError(
                f"unexpected argument {arguments[0]!r}; applications go with --app"
            )

    def postOptions(self) -> None:
        """
        Make everything that the arguments speak of, so that all errors in them show.
        """
        given: dict[str, str | None] = dict(self)
        commandLine: dict[str, object] = {
            option.name: value
            for option in _SINGLE
            if given.get(option.name) is not None
            and (value := self.attempt(option.parse, given[option.name])) is not None
        }
        commandLine.update(self._flags)
        commandLine.update(self._repeated)
        if "app" in self._repeated:
            commandLine["app"] = [
                self.attempt(parseDescription, text) for text in self._repeated["app"]
            ]
        self.configuration = combine(commandLine, self._file)
        reactor = self.reactor
        self.broker = self.attempt(makeBroker, self.configuration.broker, reactor)
        services = Services(reactor, reactor, self.broker)
        self.mounts = self.makeMounts(services)
        self.attempt(Mounts, self.mounts)
        if self.configuration.reusePort:
            reactor = SharingReactor(reactor)
        self.endpoints = [
            (name, self.attempt(self.makeEndpoint, reactor, name, description))
            for name, description in self.configuration.endpoints
        ]
        if self.parent is not None:
            checkTwistd(self.parent)

    def attempt(self, make: Callable[..., Any], *arguments: Any) -> Any:
        """
        Make something of the arguments.

        @param make: may raise a L{ConfigurationError}; so does this then.
        """
        return make(*arguments)

    def makeMounts(self, services: Services) -> list[Mount]:
        """
        Make the applications.

        @raise ConfigurationError: one can't be made.
        """
        return makeMounts(self.configuration.applications, services)

    def makeEndpoint(
        self, reactor: Any, name: str, description: str
    ) -> IStreamServerEndpoint:
        try:
            return takeOver(serverFromString(reactor, description), reactor)
        except Exception as error:
            # Endpoint plugins raise whatever they like: a wrong word, a missing file.
            reason = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, TypeError):
                # It tells of the plugin's function, not of the string.
                reason = "these are not the arguments of this kind of endpoint"
            elif "systemd:" in description:
                reason = explainSystemd(error)
            raise InvalidOption(f"can't listen on {name!r}: {reason}") from None


# Showing


def showVersions() -> str:
    """
    Give a line with the versions of wsplug and what it runs on.
    """
    return (
        f"wsplug {wsplug.__version__} (codec: {DESCRIPTION}), "
        f"Twisted {twisted.__version__}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def _listApplications() -> str:
    lines = []
    for plugin in findApplications():
        lines.append(f"{plugin.name}: {plugin.help}")
        lines.extend(_describe(option) for option in plugin.options)
    lines.append("")
    lines.append("Each application takes these too:")
    lines.extend(_describe(option) for option in MOUNT_OPTIONS)
    failures = findFailures()
    if failures:
        lines.append("")
        lines.append("These do not load:")
        lines.extend(f"    {name}: {reason}" for name, reason in failures)
    return "\n".join(lines)


def oneLine(error: Exception) -> str:
    """
    Give what an error says in one line.
    """
    return " ".join(str(error).split())


def _describe(option: Option) -> str:
    return f"    {option.name}: {option.help} [{option.shownDefault}]"


# Running


class _TwistdService(WebSocketService):
    """
    The service as the process's main thing.
    """

    def __init__(
        self,
        *arguments: Any,
        reactor: Any,
        parent: DaemonsParent | None,
        **keywords: Any,
    ) -> None:
        """
        @param parent: waits for this to be up; C{None} where nobody does.
        """
        super().__init__(*arguments, reactor=reactor, **keywords)
        self._reactor = reactor
        self._parent = parent
        self._notifier = makeNotifier(os.environ, reactor, self._describe)
        self._ending = False

    def _describe(self) -> str:
        return describe(len(self.factory.connections), self.isReady)

    def startService(self) -> None:
        self._log.info(
            "wsplug {version}, codec: {codec}",
            version=wsplug.__version__,
            codec=DESCRIPTION,
        )
        super().startService()
        self._reactor.callWhenRunning(self._handleSignals)

    def becameReady(self) -> None:
        if self._notifier is not None:
            self._notifier.ready()
        if self._parent is not None:
            self._parent.up()

    def _startDraining(self, forGood: bool) -> Deferred[None]:
        drained = super()._startDraining(forGood)
        if self._notifier is not None:
            self._notifier.stopping()
        return drained

    def _handleSignals(self) -> None:
        """
        Stop in order, and with exit status 0 on SIGTERM. Twisted's own handler stops in
        order too, but has C{twistd} kill itself with the signal at the end: which is
        right for SIGINT alone.
        """
        call = self._reactor.callFromThread
        signal.signal(signal.SIGTERM, lambda *_: call(self._terminate))
        interrupt: Any = signal.getsignal(signal.SIGINT)

        def handleSIGINT(number: int, frame: Any) -> None:
            if self._ending or not callable(interrupt):
                call(self._endAtOnce, "SIGINT")
            else:
                self._ending = True
                interrupt(number, frame)

        signal.signal(signal.SIGINT, handleSIGINT)

    def _terminate(self) -> None:
        if self._ending:
            self._endAtOnce("SIGTERM")
            return
        self._ending = True
        self._log.info("SIGTERM: stopping")
        self.drain()
        self._reactor.stop()

    def _endAtOnce(self, name: str) -> None:
        self._log.info("{name} again: closing the last connections at once", name=name)
        self.factory.abortConnections()

    def _startNow(self, start: Any) -> None:
        try:
            super()._startNow(start)
        except StartupError as error:
            self._say(error)
            raise

    def startFailed(self, error: StartupError) -> None:
        self._say(error)
        _exitWithFailure()
        self._reactor.stop()

    def _say(self, error: StartupError) -> None:
        """
        Tell the user, not only the log, which has taken C{sys.stderr} over by now.
        """
        if self._parent is not None:
            self._parent.failed(str(error))
        else:
            print(f"wsplug: {error}", file=sys.__stderr__, flush=True)


def _exitWithFailure() -> None:
    """
    Have the process end with status 1 once C{twistd} is done. It has no way to say so
    while the reactor runs, and must still remove its pidfile.
    """

    def end() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)

    atexit.register(end)


def makeService(options: Options) -> IService:
    """
    Make the service that C{twistd} runs.
    """
    keepFreedMemory()
    configuration = options.configuration
    twistd = options.parent
    isDaemon = twistd is not None and not (twistd["nodaemon"] or twistd["debug"])
    return _TwistdService(
        options.mounts,
        options.endpoints,
        reactor=options.reactor,
        parent=DaemonsParent() if isDaemon else None,
        settings=configuration.settings,
        origins=configuration.origins,
        broker=options.broker,
    )
