"""
The server's configuration: what the command line and C{wsplug.toml} say, put together.

The file has the command line's names::

    port = 9000
    max-message-size = "64KiB"
    origin = ["https://example.org"]
    app = ["echo", "chat.py:path=/chat"]

C{app} can be tables too, with C{use} for the name and a key for each option::

    [[app]]
    use = "echo"
    path = "/echo"
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wsplug.admin.options import ADMIN, ADMIN_TOKEN_FILE
from wsplug.auth.options import AUTHENTICATION
from wsplug.errors import ConfigurationError, InvalidOption
from wsplug.files import readBytes
from wsplug.guard.admission import EXEMPT
from wsplug.guard.framing import FRAMED_BY, frameHeaders
from wsplug.guard.hosts import HOST, HostRules
from wsplug.guard.origins import SAME_HOST, OriginRules
from wsplug.guard.proxies import PROXY_OPTIONS, TRUSTED_PROXY, ProxySettings
from wsplug.networks import Networks
from wsplug.options import Option, boolean, choice, integer, text
from wsplug.plugins import Description, parseDescription
from wsplug.server.settings import SETTINGS, Settings
from wsplug.tls.options import TLS, TLSFiles, filesOf

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "BROKER",
    "DEFAULT_PORT",
    "LISTENING",
    "LOG_FORMAT",
    "METRICS",
    "REPEATABLE",
    "REUSE_PORT",
    "SINGLE",
    "Configuration",
    "combine",
    "readFile",
]

DEFAULT_PORT = 9000

LISTENING = (
    Option("port", integer(0, 65535), None, "TCP port to listen on", "9000"),
    Option("interface", text, None, "address to listen on", "all of IPv4"),
)
"""
The options that, with C{listen}, say where the server is.
"""

BROKER = Option(
    "broker",
    text,
    "memory",
    "where channels are kept: memory or sqlite:PATH; :count=, :size= and :age= say how "
    "much of each, and :total= of all",
)
"""
The option that says which broker the applications share.
"""

METRICS = Option(
    "metrics",
    choice("auto", "yes", "no"),
    "auto",
    "whether there are metrics at /-/metrics; auto: if prometheus-client is installed",
)
"""
The option that says whether the server's counters are to be had.
"""

LOG_FORMAT = Option(
    "log-format",
    choice("text", "json"),
    "text",
    "how the log's lines look: text, or json with the fields of each event",
)
"""
The option that says how the log is written.
"""

SINGLE = (
    *LISTENING,
    *TLS,
    *PROXY_OPTIONS,
    *AUTHENTICATION,
    BROKER,
    METRICS,
    LOG_FORMAT,
    ADMIN_TOKEN_FILE,
    *SETTINGS,
)
"""
All options that have a single value.
"""

REUSE_PORT = Option(
    "reuse-port",
    boolean,
    False,
    "share TCP ports with other processes, as the next one in a restart",
)
"""
The option that has a new process listen beside the old one.
"""

REPEATABLE = (
    Option("app", text, (), "application to serve: NAME[:key=value...]", "required"),
    Option("listen", text, (), "Twisted endpoint string to listen on", "none"),
    Option(
        "origin",
        text,
        (SAME_HOST,),
        "origin whose pages may connect: https://example.org, https://*.example.org, "
        "same-host, null or *",
        SAME_HOST,
    ),
    HOST,
    FRAMED_BY,
    ADMIN,
    Option(
        "exempt",
        text,
        EXEMPT,
        "address or network that the limits of each address, and the rates, do not "
        "hold for; none for no such",
        "the machine itself",
    ),
    TRUSTED_PROXY,
    Option(
        "auth",
        text,
        (),
        "who may connect: file:PATH, token:PATH, jwt:key=... or any strcred plugin",
        "everybody",
    ),
)
"""
The options that can be given several times; in the file, as arrays.
"""


@dataclass(frozen=True)
class Configuration:
    """
    What the server is to do.

    @ivar applications: those to serve.
    @ivar endpoints: the endpoint strings to listen on, each with what error messages
        call it.
    @ivar origins: which pages may connect.
    @ivar hosts: further names that the server has.
    @ivar framedBy: which sites may show the applications' pages in a frame.
    @ivar given: the names of what was said, and not left at its default.
    @ivar exempt: networks that limits of addresses don't hold for.
    @ivar settings: how connections are treated.
    @ivar broker: what describes the broker.
    @ivar proxies: what is in front of the server.
    @ivar tls: the certificates of the first endpoint, if it has any.
    @ivar admin: the endpoint strings of the operators' own.
    @ivar adminTokenFile: the path of the file with their token; empty for none.
    @ivar metrics: whether there are metrics: C{"auto"}, C{"yes"} or C{"no"}.
    @ivar logFormat: C{"text"} or C{"json"}.
    @ivar auth: what describes who may connect; everybody, if empty.
    @ivar authCookie: the name of a cookie that may have a token; none, if empty.
    @ivar authFirstMessage: who may send a token as the first message.
    @ivar reusePort: whether other processes may listen on the same TCP ports.
    """

    applications: tuple[Description, ...]
    endpoints: tuple[tuple[str, str], ...]
    origins: tuple[str, ...] = (SAME_HOST,)
    hosts: tuple[str, ...] = ()
    framedBy: tuple[str, ...] = (SAME_HOST,)
    settings: Settings = field(default_factory=Settings)
    broker: str = "memory"
    exempt: tuple[str, ...] = EXEMPT
    given: frozenset[str] = frozenset()
    proxies: ProxySettings = field(default_factory=ProxySettings)
    tls: TLSFiles | None = None
    metrics: str = "auto"
    logFormat: str = "text"
    auth: tuple[str, ...] = ()
    authCookie: str = ""
    authFirstMessage: str = "browsers"
    reusePort: bool = False
    admin: tuple[str, ...] = ()
    adminTokenFile: str = ""


def readFile(
    path: str, errors: list[ConfigurationError] | None = None
) -> dict[str, object]:
    """
    Read a configuration file.

    @param errors: takes what is wrong about single keys, which are left out then; where
        not given, the first of those is raised.
    @return: its values by the options' names: one each, or a list of those that are
        L{REPEATABLE}, where applications are L{Description}s.
    @raise InvalidOption: it can't be read, isn't TOML, or has an unknown key or a wrong
        value. The message names the file and the line, key or table.
    """
    try:
        document = tomllib.loads(readBytes(path, "can't read").decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidOption(f"{path} is not TOML: {error}") from None
    values: dict[str, object] = {}
    for key, value in document.items():
        try:
            values[key] = _readKey(key, value)
        except ConfigurationError as error:
            named = InvalidOption(f"{path}: {error}")
            if errors is None:
                raise named from None
            errors.append(named)
    return values


def _readKey(key: str, value: object) -> object:
    single = {option.name: option for option in (*SINGLE, REUSE_PORT)}
    repeatable = {option.name for option in REPEATABLE}
    if key in single:
        return single[key].parse(value)
    if key == "app":
        return _readApplications(value)
    if key in repeatable:
        return _readTexts(key, value)
    close = difflib.get_close_matches(key, [*single, *repeatable], 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    first = value[0] if isinstance(value, list) and value else value
    kind = "table" if isinstance(first, dict) else "key"
    raise InvalidOption(f"unknown {kind} {key!r}{hint}")


def _readTexts(key: str, value: object) -> list[str]:
    texts = []
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, str):
            # Not the item: a description in it may have a secret.
            raise InvalidOption(f"{key} takes texts, not {_kindOf(item)}")
        texts.append(item)
    return texts


def _kindOf(item: object) -> str:
    """
    Say what kind of a TOML value something is.
    """
    if isinstance(item, list):
        return "an array"
    return "a table" if isinstance(item, dict) else repr(item)


def _readApplications(value: object) -> list[Description]:
    items = value if isinstance(value, list) else [value]
    return [_readApplication(item, index) for index, item in enumerate(items, 1)]


def _readApplication(item: object, index: int) -> Description:
    if isinstance(item, str):
        return parseDescription(item)
    if not isinstance(item, dict):
        raise InvalidOption(f"app takes texts or tables, not {_kindOf(item)}")
    values = dict(item)
    use = values.pop("use", None)
    if not isinstance(use, str):
        raise InvalidOption(
            f"[[app]] table {index}: the key 'use' has to name an application"
        )
    named = parseDescription(use)
    return Description(
        named.name,
        named.attribute,
        {**named.values, **values},
        f"[[app]] table {index} ({named})",
    )


def combine(
    commandLine: Mapping[str, object], file: Mapping[str, object]
) -> Configuration:
    """
    Put the command line and the file together: where both say something, the command
    line wins.

    @param commandLine: parsed values by name; what wasn't given isn't there.
    @param file: from L{readFile}.
    @raise InvalidOption: what results can't be.
    """
    values = dict(file)
    if "listen" in commandLine and "port" not in commandLine:
        values.pop("port", None)
    if "port" in commandLine and "listen" not in commandLine:
        values.pop("listen", None)
    values.update(commandLine)
    applications: Any = values.get("app", ())
    if not applications:
        raise InvalidOption(
            "no application to serve: say --app NAME; --list-apps shows which there are"
        )
    origins: Any = values.get("origin", (SAME_HOST,))
    try:
        OriginRules(origins)
    except ValueError as error:
        raise InvalidOption(f"origin: {error}") from None
    hosts: Any = values.get(HOST.name, HOST.default)
    framedBy: Any = values.get(FRAMED_BY.name, FRAMED_BY.default)
    for option, check in (
        (HOST, lambda: HostRules(origins, hosts)),
        (FRAMED_BY, lambda: frameHeaders(framedBy)),
    ):
        try:
            check()
        except ValueError as error:
            raise InvalidOption(f"{option.name}: {error}") from None
    auth, cookie, firstMessage = _authentication(values)
    admin: Any = values.get(ADMIN.name, ())
    return Configuration(
        tuple(applications),
        tuple(_endpoints(values)),
        tuple(origins),
        tuple(hosts),
        tuple(framedBy),
        Settings().changed(values),
        str(values.get("broker", BROKER.default)),
        exempt=_exempt(values.get("exempt", EXEMPT)),
        given=frozenset(values),
        proxies=_proxies(values),
        tls=filesOf(values),
        metrics=str(values.get("metrics", METRICS.default)),
        logFormat=str(values.get("log-format", LOG_FORMAT.default)),
        auth=auth,
        authCookie=cookie,
        authFirstMessage=firstMessage,
        reusePort=bool(values.get("reuse-port", REUSE_PORT.default)),
        admin=tuple(admin),
        adminTokenFile=str(values.get(ADMIN_TOKEN_FILE.name, ADMIN_TOKEN_FILE.default)),
    )


def _exempt(networks: Any) -> tuple[str, ...]:
    if list(networks) == ["none"]:
        return ()
    try:
        Networks(networks)
    except ValueError as error:
        raise InvalidOption(f"exempt: {error}") from None
    return tuple(networks)


def _proxies(values: Mapping[str, Any]) -> ProxySettings:
    """
    Make what is in front of the server of what says so.
    """
    header, protocol = (values.get(each.name, each.default) for each in PROXY_OPTIONS)
    try:
        return ProxySettings(tuple(values.get("trusted-proxy", ())), header, protocol)
    except ValueError as error:
        raise InvalidOption(str(error)) from None


def _authentication(values: Mapping[str, Any]) -> tuple[tuple[str, ...], str, str]:
    """
    Give what is said of who may connect.

    @raise InvalidOption: it says how to log in, but not who may.
    """
    auth = tuple(values.get("auth", ()))
    for option in AUTHENTICATION:
        if option.name in values and not auth:
            raise InvalidOption(f"{option.name} goes with auth, which isn't there")
    cookie, firstMessage = (
        str(values.get(option.name, option.default)) for option in AUTHENTICATION
    )
    return auth, cookie, firstMessage


_BACKLOG: Final = 1024
"""
Connections that the kernel accepts while the reactor is busy. Of Twisted's default, 50,
some would have to try again after seconds when all clients come back at once.
"""


def _endpoints(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """
    Make endpoint strings of what says where to listen.
    """
    listen = list(values.get("listen", ()))
    endpoints = [(description, description) for description in listen]
    if listen and "port" not in values:
        if "interface" in values:
            raise InvalidOption(
                "interface goes with port; in listen, say tcp:PORT:interface=ADDRESS"
            )
        if "tls-cert" in values:
            raise InvalidOption(
                "tls-cert goes with port; in listen, say ssl:PORT:privateKey=PATH"
            )
        return endpoints
    port = values.get("port", DEFAULT_PORT)
    interface = values.get("interface", "")
    family = "tcp6" if ":" in interface else "tcp"
    description = f"{family}:{port}:backlog={_BACKLOG}"
    name = f"port {port}"
    if interface:
        description += ":interface=" + interface.replace(":", "\\:")
        name += f" of {interface}"
    return [(name, description), *endpoints]
