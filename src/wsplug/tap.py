"""
The command: C{twistd wsplug}.

Whatever can be wrong about its arguments is found while they are read, before anything
listens, and is one line on standard error and exit status 1.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from twisted.application.service import IService
from twisted.cred.portal import Portal
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import ILogObserver
from twisted.python import usage

import twisted
import wsplug
from wsplug.admin.endpoints import AdminSettings
from wsplug.admin.options import makePrivate, readToken
from wsplug.auth.checkers import makePortal
from wsplug.broker import makeBroker
from wsplug.build import DESCRIPTION
from wsplug.config import (
    REUSE_PORT,
    SINGLE,
    Configuration,
    combine,
    readFile,
)
from wsplug.daemon.descriptors import fitConnections, raiseLimit
from wsplug.daemon.inherited import explainSystemd, takeOver
from wsplug.daemon.logs import findOtherFormat, makeObserver
from wsplug.daemon.parent import DaemonsParent
from wsplug.daemon.preflight import checkTwistd
from wsplug.errors import ConfigurationError, InvalidOption
from wsplug.interfaces import IBroker
from wsplug.memory import keepFreedMemory
from wsplug.options import Option, splitDescription
from wsplug.plugins import (
    MOUNT_OPTIONS,
    Services,
    findApplications,
    findFailures,
    makeMounts,
    parseDescription,
)
from wsplug.server.mounts import Mount, Mounts
from wsplug.tls.options import TLSFiles
from wsplug.transport.sharing import SharingReactor
from wsplug.twistdservice import Reloaded, TwistdService
from wsplug.web.metrics import checkMetrics

if TYPE_CHECKING:
    from wsplug.tls.endpoint import TLSEndpoint

__all__ = ["Options", "listApplications", "makeService", "oneLine", "showVersions"]


class Options(usage.Options):
    """
    The command line.

    @ivar reactor: the one that the server is going to run in.
    @ivar mounts: once it is read: the applications.
    @ivar endpoints: where to listen, with names.
    @ivar broker: what the applications share.
    @ivar reloaded: what SIGHUP has read again: each has a C{reload()}.
    @ivar portal: who may connect; C{None} for everybody.
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
        for option in SINGLE
    ]

    mounts: list[Mount]
    endpoints: list[tuple[str, IStreamServerEndpoint]]
    configuration: Configuration
    broker: IBroker
    portal: Portal | None
    admin: AdminSettings

    def __init__(self, reactor: Any = None) -> None:
        """
        @param reactor: for C{twistd}, which gives none, the installed one.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._repeated: dict[str, list[str]] = {}
        self._flags: dict[str, object] = {}
        self._file: dict[str, object] = {}
        self.reloaded: list[Reloaded] = []

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
        """origin whose pages may connect: https://example.org, https://*.example.org,
        same-host, null or * [same-host]"""
        self._repeated.setdefault("origin", []).append(value)

    def opt_host(self, value: str) -> None:
        """name by which pages on this machine may reach the server: chat.test,
        *.chat.test or * [localhost, addresses and the hosts of origin]"""
        self._repeated.setdefault("host", []).append(value)

    def opt_framed_by(self, value: str) -> None:
        """origin whose pages may show the applications' pages in a frame:
        https://example.org, https://*.example.org, same-host, none or * [same-host]"""
        self._repeated.setdefault("framed-by", []).append(value)

    def opt_admin(self, value: str) -> None:
        """Twisted endpoint string on which operators are let in, and nobody else"""
        self._repeated.setdefault("admin", []).append(value)

    def opt_exempt(self, value: str) -> None:
        """network that limits of addresses do not hold for [the machine itself]"""
        self._repeated.setdefault("exempt", []).append(value)

    def opt_trusted_proxy(self, value: str) -> None:
        """address or network of a proxy that is believed who the client is, or unix for
        UNIX sockets [none]"""
        self._repeated.setdefault("trusted-proxy", []).append(value)

    def opt_auth(self, value: str) -> None:
        """who may connect: file:PATH, token:PATH, jwt:key=... or a strcred plugin"""
        self._repeated.setdefault("auth", []).append(value)

    def opt_reuse_port(self) -> None:
        """share TCP ports with other processes, as the next one in a restart [no]"""
        self._flags[REUSE_PORT.name] = True

    def opt_config(self, path: str) -> None:
        """TOML file with the same names; the command line wins over it"""
        self._file = self.attempt(readFile, path)

    def opt_list_apps(self) -> NoReturn:
        """show the applications with their options, and what does not load"""
        print(listApplications())
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
            # Of a description, only the name: there may be a secret in the rest.
            (name, _), *_ = splitDescription(arguments[0])
            raise usage.UsageError(
                f"unexpected argument {name!r}; applications go with --app"
            )

    def postOptions(self) -> None:
        """
        Make everything that the arguments speak of, so that all errors in them show.
        """
        given: dict[str, str | None] = dict(self)
        commandLine: dict[str, object] = {
            option.name: value
            for option in SINGLE
            if given.get(option.name) is not None
            and (value := self.attempt(option.parse, given[option.name])) is not None
        }
        commandLine.update(self._flags)
        commandLine.update(self._repeated)
        if "app" in self._repeated:
            commandLine["app"] = [
                self.attempt(parseDescription, text) for text in self._repeated["app"]
            ]
        configuration = combine(commandLine, self._file)
        self.configuration = self.attempt(_fit, configuration) or configuration
        if configuration.metrics == "yes":
            self.attempt(checkMetrics)
        self.attempt(self._checkLogFormat)
        auth = configuration.auth
        self.portal = self.attempt(makePortal, auth) if auth else None
        reactor = self.reactor
        self.broker = self.attempt(makeBroker, configuration.broker, reactor)
        logins = self.portal is not None
        services = Services(reactor, reactor, self.broker, logins)
        self.mounts = self.makeMounts(services)
        self.attempt(Mounts, self.mounts)
        self._makeEndpoints()
        if self.parent is not None:
            checkTwistd(self.parent)

    def _makeEndpoints(self) -> None:
        """
        Make all that is listened on, for clients and for operators.
        """
        configuration = self.configuration
        reactor: Any = self.reactor
        if configuration.reusePort:
            reactor = SharingReactor(reactor)
        self.endpoints = [
            (name, self.attempt(self.makeEndpoint, reactor, name, description))
            for name, description in configuration.endpoints
        ]
        if configuration.tls is not None:
            name, plain = self.endpoints[0]
            endpoint = self.attempt(_addTLS, reactor, plain, configuration.tls)
            if endpoint is not None:
                self.endpoints[0] = name, endpoint
                self.reloaded.append(endpoint.certificate)
        path = configuration.adminTokenFile
        self.admin = AdminSettings(
            [
                (
                    each,
                    self.attempt(
                        self.makeEndpoint, self.reactor, each, makePrivate(each)
                    ),
                )
                for each in configuration.admin
            ],
            self.attempt(readToken, path) if path else None,
        )

    def _checkLogFormat(self) -> None:
        """
        @raise InvalidOption: JSON is asked for where something else makes the lines.
        """
        name, other = self.configuration.logFormat, self.findOtherFormat()
        if name != "text" and other is not None:
            raise InvalidOption(
                f"log-format {name} doesn't go together with {other}, which has a "
                "format of its own"
            )

    def findOtherFormat(self) -> str | None:
        """
        Say what the log's format is up to, if not to wsplug.
        """
        return findOtherFormat(getattr(self, "parent", None))

    def makeObserver(self) -> ILogObserver | None:
        """
        Make what writes the log.

        @return: C{None} where that isn't for wsplug to say.
        """
        if self.findOtherFormat() is not None:
            return None
        return makeObserver(self.parent, self.configuration.logFormat, self.reactor)

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
        except (Exception, SystemExit) as error:
            # Endpoint plugins raise whatever they like: a wrong word, a missing file.
            reason = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, TypeError):
                # It tells of the plugin's function, not of the string.
                reason = "these are not the arguments of this kind of endpoint"
            elif "systemd:" in description:
                reason = explainSystemd(error)
            elif isinstance(error, ImportError) and description.startswith("ssl:"):
                reason = f"{_INSTALL_TLS} ({error})"
            raise InvalidOption(f"can't listen on {name!r}: {reason}") from None


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


def _addTLS(
    reactor: Any, endpoint: IStreamServerEndpoint, files: TLSFiles
) -> TLSEndpoint:
    try:
        from wsplug.tls.endpoint import TLSEndpoint
    except ImportError as error:
        raise InvalidOption(f"tls-cert: {_INSTALL_TLS} ({error})") from None
    return TLSEndpoint(endpoint, files, reactor)


_INSTALL_TLS = "TLS needs pyOpenSSL: pip install 'wsplug[tls]'"


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


def listApplications() -> str:
    """
    Give lines with the applications, their options, and what doesn't load.
    """
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


def makeService(options: Options) -> IService:
    """
    Make the service that C{twistd} runs.
    """
    keepFreedMemory()
    configuration = options.configuration
    twistd = options.parent
    isDaemon = (
        hasattr(os, "fork")
        and twistd is not None
        and not (twistd["nodaemon"] or twistd["debug"])
    )
    return TwistdService(
        options.mounts,
        options.endpoints,
        reactor=options.reactor,
        parent=DaemonsParent() if isDaemon else None,
        settings=configuration.settings,
        origins=configuration.origins,
        hosts=configuration.hosts,
        framedBy=configuration.framedBy,
        exempt=configuration.exempt,
        broker=options.broker,
        proxies=configuration.proxies,
        reloaded=options.reloaded,
        admin=options.admin,
        makeObserver=options.makeObserver,
        metrics={"yes": True, "no": False}.get(configuration.metrics),
        portal=options.portal,
        authCookie=configuration.authCookie,
        authFirstMessage=configuration.authFirstMessage,
    )
