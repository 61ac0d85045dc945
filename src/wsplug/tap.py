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
from dataclasses import replace
from typing import Any, ClassVar, NoReturn

from twisted.application.service import IService
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import ILogObserver
from twisted.python import usage
from twisted.python.components import Componentized

import twisted
import wsplug
from wsplug.admin.doors import AdminSettings
from wsplug.admin.options import ADMIN_TOKEN_FILE, readToken
from wsplug.broker import makeBroker
from wsplug.build import DESCRIPTION
from wsplug.config import (
    BROKER,
    LISTENING,
    LOG_FORMAT,
    METRICS,
    Configuration,
    combine,
    readFile,
)
from wsplug.daemon.descriptors import fitConnections, raiseLimit
from wsplug.daemon.logs import findOtherFormat, makeObserver
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
from wsplug.web.metrics import checkMetrics

__all__ = ["Options", "makeService"]

_SINGLE = (*LISTENING, BROKER, METRICS, LOG_FORMAT, ADMIN_TOKEN_FILE, *SETTINGS)


class Options(usage.Options):
    """
    The command line.

    @ivar reactor: the one that the server is going to run in.
    @ivar mounts: once it is read: the applications.
    @ivar endpoints: where to listen, with names.
    @ivar broker: what the applications share.
    @ivar admin: where operators are let in.
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
    admin: AdminSettings

    def __init__(self, reactor: Any = None) -> None:
        """
        @param reactor: for C{twistd}, which gives none, the installed one.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._repeated: dict[str, list[str]] = {}
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

    def opt_admin(self, value: str) -> None:
        """Twisted endpoint string on which operators are let in, and nobody else"""
        self._repeated.setdefault("admin", []).append(value)

    def opt_exempt(self, value: str) -> None:
        """network that limits of addresses do not hold for [the machine itself]"""
        self._repeated.setdefault("exempt", []).append(value)

    def opt_config(self, path: str) -> None:
        """TOML file with the same names; the command line wins over it"""
        self._file = readFile(path)

    def opt_list_apps(self) -> NoReturn:
        """show the applications with their options, and what does not load"""
        print(_listApplications())
        sys.exit(0)

    def opt_version(self) -> NoReturn:
        """show the versions of wsplug and what it runs on"""
        print(
            f"wsplug {wsplug.__version__} (codec: {DESCRIPTION}), "
            f"Twisted {twisted.__version__}, "
            f"{platform.python_implementation()} {platform.python_version()}"
        )
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
            message = " ".join(str(error).split())
            sys.exit(f"wsplug: {message}")

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
            option.name: option.parse(given[option.name])
            for option in _SINGLE
            if given.get(option.name) is not None
        }
        commandLine.update(self._repeated)
        if "app" in self._repeated:
            commandLine["app"] = [
                parseDescription(text) for text in self._repeated["app"]
            ]
        self.configuration = _fit(combine(commandLine, self._file))
        if self.configuration.metrics == "yes":
            checkMetrics()
        self._checkLogFormat()
        self.broker = makeBroker(self.configuration.broker, self.reactor)
        services = Services(self.reactor, self.reactor, self.broker)
        self.mounts = makeMounts(self.configuration.applications, services)
        Mounts(self.mounts)
        self.endpoints = [
            (name, _makeEndpoint(self.reactor, name, description))
            for name, description in self.configuration.endpoints
        ]
        path = self.configuration.adminTokenFile
        self.admin = AdminSettings(
            [
                (each, _makeEndpoint(self.reactor, each, each))
                for each in self.configuration.admin
            ],
            readToken(path) if path else None,
        )

    def _checkLogFormat(self) -> None:
        """
        @raise InvalidOption: JSON is asked for where something else makes the lines.
        """
        name, other = self.configuration.logFormat, self._findOtherFormat()
        if name != "text" and other is not None:
            raise InvalidOption(
                f"log-format {name} doesn't go together with {other}, which has a "
                "format of its own"
            )

    def _findOtherFormat(self) -> str | None:
        return findOtherFormat(getattr(self, "parent", None))

    def makeObserver(self) -> ILogObserver | None:
        """
        Make what writes the log.

        @return: C{None} where that isn't for wsplug to say.
        """
        if self._findOtherFormat() is not None:
            return None
        return makeObserver(self.parent, self.configuration.logFormat, self.reactor)


def _fit(configuration: Configuration) -> Configuration:
    """
    Have no more connections than the process may have open files.

    @raise InvalidOption: somebody wants more.
    """
    settings = configuration.settings
    possible = fitConnections(
        settings.max_connections,
        raiseLimit(),
        "max-connections" in configuration.given,
    )
    return replace(configuration, settings=replace(settings, max_connections=possible))


def _makeEndpoint(reactor: Any, name: str, description: str) -> IStreamServerEndpoint:
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, description)
        return endpoint
    except Exception as error:
        # Endpoint plugins raise whatever they like: a wrong word, a missing file.
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, TypeError):
            # It tells of the plugin's function, not of the string.
            reason = "these are not the arguments of this kind of endpoint"
        raise InvalidOption(f"can't listen on {name!r}: {reason}") from None


# Showing


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
        makeObserver: Callable[[], ILogObserver | None],
        **keywords: Any,
    ) -> None:
        """
        @param makeObserver: makes what writes the log, if wsplug does.
        """
        super().__init__(*arguments, reactor=reactor, **keywords)
        self._reactor = reactor
        self._makeObserver = makeObserver

    def setServiceParent(self, parent: Any) -> None:
        """
        Become C{twistd}'s service. It looks for what writes the log in the application
        that it makes, once this is in it.
        """
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]
        if isinstance(parent, Componentized):
            observer = self._makeObserver()
            if observer is not None:
                parent.setComponent(ILogObserver, observer)

    def startService(self) -> None:
        self._log.info(
            "wsplug {version}, codec: {codec}",
            version=wsplug.__version__,
            codec=DESCRIPTION,
        )
        self._log.info(
            "up to {count} connections", count=self.factory.settings.max_connections
        )
        super().startService()
        self._reactor.callWhenRunning(self._handleSIGTERM)

    def _handleSIGTERM(self) -> None:
        """
        Stop in order, and with exit status 0. Twisted's own handler stops in order
        too, but has C{twistd} kill itself with the signal at the end.
        """
        stop: Callable[[], None] = self._stopReactor
        signal.signal(signal.SIGTERM, lambda *_: self._reactor.callFromThread(stop))

    def _stopReactor(self) -> None:
        if self.running:
            self._log.info("SIGTERM: stopping")
            self._reactor.stop()
        else:
            self._log.info("SIGTERM again: closing the last connections at once")
            self.factory.abortConnections()

    def _startNow(self, start: Any) -> None:
        try:
            super()._startNow(start)
        except StartupError as error:
            _say(error)
            raise

    def startFailed(self, error: StartupError) -> None:
        _say(error)
        _exitWithFailure()
        self._reactor.stop()


def _say(error: StartupError) -> None:
    """
    Tell the user, not only the log, which has taken C{sys.stderr} over by now.
    """
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
    return _TwistdService(
        options.mounts,
        options.endpoints,
        reactor=options.reactor,
        settings=configuration.settings,
        origins=configuration.origins,
        exempt=configuration.exempt,
        broker=options.broker,
        admin=options.admin,
        makeObserver=options.makeObserver,
        metrics={"yes": True, "no": False}.get(configuration.metrics),
    )
