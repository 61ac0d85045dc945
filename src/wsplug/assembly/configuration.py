"""
The server's configuration: groups of options, each declared once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from wsplug.admin.options import ADMINISTRATION, Administration
from wsplug.auth.options import AUTHENTICATION, Authentication
from wsplug.errors import InvalidOption
from wsplug.guard.access import Access
from wsplug.options import (
    Option,
    boolean,
    choice,
    integer,
    option,
    optionsOf,
    path,
    text,
)
from wsplug.plugins import Description
from wsplug.server.settings import SETTINGS, Settings
from wsplug.tls.options import TLS, TLSOptions

__all__ = [
    "ACCESS",
    "APP",
    "COMMANDS",
    "CONFIG",
    "LISTENING",
    "OPERATION",
    "OPTIONS",
    "Configuration",
    "Listening",
    "Operation",
]

_BACKLOG: Final = 1024
"""
Connections that the kernel accepts while the reactor is busy. Twisted's default is 50:
when all clients reconnect at once, some have to try again after seconds.
"""


@dataclass(frozen=True)
class Listening:
    """
    Where the server listens.

    @ivar port: C{None} if it isn't set. The server then listens on C{endpoints}, or on
        L{DEFAULT_PORT} if there are none.
    @ivar interface: an address; empty for all IPv4 addresses.
    @ivar endpoints: Twisted endpoint strings.
    @ivar reusePort: whether other processes may listen on the same TCP ports.
    """

    DEFAULT_PORT = 9000

    port: int | None = option(
        integer(0, 65535),
        None,
        "TCP port to listen on.",
        shown=str(DEFAULT_PORT),
    )
    interface: str = option(
        text, "", "Address to listen on, with port.", shown="all of IPv4"
    )
    endpoints: tuple[str, ...] = option(
        text,
        (),
        "Twisted endpoint string to listen on: unix:/run/wsplug.sock.",
        name="listen",
        repeats=True,
    )
    reusePort: bool = option(
        boolean,
        False,
        "Share TCP ports with other processes, for a restart without a gap.",
        flag=True,
    )

    @property
    def usesPort(self) -> bool:
        """
        Whether the server listens on C{port}.
        """
        return self.port is not None or not self.endpoints

    def describe(self) -> list[tuple[str, str]]:
        """
        Return all endpoint strings, each with its name for messages. The endpoint of
        C{port} comes first.

        @return: pairs of a name and an endpoint string.
        @raise InvalidOption: C{interface} is set, and C{port} isn't.
        """
        endpoints = [(description, description) for description in self.endpoints]
        if not self.usesPort:
            if self.interface:
                raise InvalidOption(
                    "interface goes with port; in listen, use "
                    "tcp:PORT:interface=ADDRESS"
                )
            return endpoints
        port = self.DEFAULT_PORT if self.port is None else self.port
        family = "tcp6" if ":" in self.interface else "tcp"
        description = f"{family}:{port}:backlog={_BACKLOG}"
        name = f"port {port}"
        if self.interface:
            description += ":interface=" + self.interface.replace(":", "\\:")
            name += f" of {self.interface}"
        return [(name, description), *endpoints]


@dataclass(frozen=True)
class Operation:
    """
    How the server runs.

    @ivar broker: the description of the broker that the applications share.
    @ivar metrics: C{"auto"}, C{"yes"} or C{"no"}.
    @ivar logFormat: C{"text"} or C{"json"}.
    """

    broker: str = option(
        text,
        "memory",
        "Where channels are kept: memory or sqlite:PATH. :count=, :size= and :age= "
        "limit each channel, :total= limits all channels together.",
    )
    metrics: str = option(
        choice("auto", "yes", "no"),
        "auto",
        "Whether to serve metrics at /-/metrics. auto serves them if "
        "prometheus-client is installed.",
    )
    logFormat: str = option(
        choice("text", "json"),
        "text",
        "Format of the log: lines of text, or json with the fields of each event.",
    )

    @property
    def hasMetrics(self) -> bool | None:
        """
        C{metrics} as L{wsplug.WebSocketService} takes it: C{None} for C{"auto"}.
        """
        return {"yes": True, "no": False}.get(self.metrics)


@dataclass(frozen=True)
class Configuration:
    """
    The configuration of a server.

    @ivar applications: the applications to serve.
    @ivar given: the names of the options that the user has set.
    """

    applications: tuple[Description, ...]
    listening: Listening = field(default_factory=Listening)
    tls: TLSOptions = field(default_factory=TLSOptions)
    access: Access = field(default_factory=Access)
    authentication: Authentication = field(default_factory=Authentication)
    administration: Administration = field(default_factory=Administration)
    operation: Operation = field(default_factory=Operation)
    settings: Settings = field(default_factory=Settings)
    given: frozenset[str] = frozenset()


APP: Final = Option(
    "app",
    text,
    (),
    "Application to serve: NAME[:key=value...], file.py or package.module:name.",
    shown="required",
    group="Applications",
    repeats=True,
)

LISTENING: Final = optionsOf(Listening, "Listening")

ACCESS: Final = optionsOf(Access, "Access")

OPERATION: Final = optionsOf(Operation, "Operation")

OPTIONS: Final = (
    APP,
    *LISTENING,
    *TLS,
    *ACCESS,
    *AUTHENTICATION,
    *ADMINISTRATION,
    *OPERATION,
    *SETTINGS,
)
"""
All options of the command line and the configuration file.
"""

CONFIG: Final = Option(
    "config",
    path,
    None,
    "TOML file with the same options. The command line takes precedence.",
    shown="none",
)

COMMANDS: Final = (
    CONFIG,
    Option(
        "list-apps",
        boolean,
        False,
        "Show the applications with their options, and plugins that do not load.",
        flag=True,
    ),
    Option("version", boolean, False, "Show the versions.", flag=True),
)
"""
The options that only the command line has.
"""
