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
from wsplug.errors import InvalidOption
from wsplug.guard.admission import EXEMPT
from wsplug.guard.origins import ANY, SAME_HOST, parseOrigin
from wsplug.networks import Networks
from wsplug.options import Option, choice, integer, text
from wsplug.plugins import Description, parseDescription
from wsplug.server.settings import SETTINGS, Settings

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

REPEATABLE = (
    Option("app", text, (), "application to serve: NAME[:key=value...]", "required"),
    Option("listen", text, (), "Twisted endpoint string to listen on", "none"),
    Option(
        "origin",
        text,
        (SAME_HOST,),
        "origin whose pages may connect: an exact one, * or same-host",
        SAME_HOST,
    ),
    ADMIN,
    Option(
        "exempt",
        text,
        EXEMPT,
        "address or network that the limits of each address, and the rates, do not "
        "hold for; none for no such",
        "the machine itself",
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
    @ivar given: the names of what was said, and not left at its default.
    @ivar exempt: networks that limits of addresses don't hold for.
    @ivar settings: how connections are treated.
    @ivar broker: what describes the broker.
    @ivar admin: the endpoint strings of the operators' own.
    @ivar adminTokenFile: the path of the file with their token; empty for none.
    @ivar metrics: whether there are metrics: C{"auto"}, C{"yes"} or C{"no"}.
    @ivar logFormat: C{"text"} or C{"json"}.
    """

    applications: tuple[Description, ...]
    endpoints: tuple[tuple[str, str], ...]
    origins: tuple[str, ...] = (SAME_HOST,)
    settings: Settings = field(default_factory=Settings)
    broker: str = "memory"
    exempt: tuple[str, ...] = EXEMPT
    given: frozenset[str] = frozenset()
    admin: tuple[str, ...] = ()
    adminTokenFile: str = ""
    metrics: str = "auto"
    logFormat: str = "text"


def readFile(path: str) -> dict[str, object]:
    """
    Read a configuration file.

    @return: its values by the options' names: one each, or a list of those that are
        L{REPEATABLE}, where applications are L{Description}s.
    @raise InvalidOption: it can't be read, isn't TOML, or has an unknown key or a wrong
        value. The message names the file and the line, key or table.
    """
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise InvalidOption(f"can't read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidOption(f"{path} is not TOML: {error}") from None
    try:
        return _checkKeys(document)
    except InvalidOption as error:
        raise InvalidOption(f"{path}: {error}") from None


def _checkKeys(document: Mapping[str, object]) -> dict[str, object]:
    options = (*LISTENING, BROKER, METRICS, LOG_FORMAT, ADMIN_TOKEN_FILE, *SETTINGS)
    single = {option.name: option for option in options}
    repeatable = {option.name for option in REPEATABLE}
    values: dict[str, object] = {}
    for key, value in document.items():
        if key in single:
            values[key] = single[key].parse(value)
        elif key == "app":
            values[key] = _readApplications(value)
        elif key in repeatable:
            values[key] = _readTexts(key, value)
        else:
            close = difflib.get_close_matches(key, [*single, *repeatable], 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            first = value[0] if isinstance(value, list) and value else value
            kind = "table" if isinstance(first, dict) else "key"
            raise InvalidOption(f"unknown {kind} {key!r}{hint}")
    return values


def _readTexts(key: str, value: object) -> list[str]:
    texts = []
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, str):
            raise InvalidOption(f"{key} takes texts, not {item!r}")
        texts.append(item)
    return texts


def _readApplications(value: object) -> list[Description]:
    items = value if isinstance(value, list) else [value]
    return [_readApplication(item, index) for index, item in enumerate(items, 1)]


def _readApplication(item: object, index: int) -> Description:
    if isinstance(item, str):
        return parseDescription(item)
    if not isinstance(item, dict):
        raise InvalidOption(f"app takes texts or tables, not {item!r}")
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
        f"[[app]] table {index} ({use})",
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
    admin: Any = values.get(ADMIN.name, ())
    for origin in origins:
        if origin not in (ANY, SAME_HOST):
            try:
                parseOrigin(origin)
            except ValueError as error:
                raise InvalidOption(f"origin: {error}, * or same-host") from None
    return Configuration(
        tuple(applications),
        tuple(_endpoints(values)),
        tuple(origins),
        Settings().changed(values),
        str(values.get("broker", BROKER.default)),
        _exempt(values.get("exempt", EXEMPT)),
        frozenset(values),
        tuple(admin),
        str(values.get(ADMIN_TOKEN_FILE.name, ADMIN_TOKEN_FILE.default)),
        str(values.get("metrics", METRICS.default)),
        str(values.get("log-format", LOG_FORMAT.default)),
    )


def _exempt(networks: Any) -> tuple[str, ...]:
    if list(networks) == ["none"]:
        return ()
    try:
        Networks(networks)
    except ValueError as error:
        raise InvalidOption(f"exempt: {error}") from None
    return tuple(networks)


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
