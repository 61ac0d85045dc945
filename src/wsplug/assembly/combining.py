"""
The command line and the configuration file, combined.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from wsplug.admin.options import Administration
from wsplug.assembly.configuration import OPTIONS, Configuration, Listening, Operation
from wsplug.assembly.file import readFile
from wsplug.auth.options import Authentication
from wsplug.errors import InvalidOption
from wsplug.guard.access import Access
from wsplug.options import makeGroup
from wsplug.server.settings import Settings
from wsplug.tls.options import TLSOptions

__all__ = ["combine", "readConfiguration"]

_Group = TypeVar("_Group")


def readConfiguration(path: str) -> Configuration:
    """
    Read a configuration from a file, for a service in your own service tree.

    @raise InvalidOption: the file can't be read, or something in it is wrong.
    """
    return combine({}, readFile(path))


def combine(
    commandLine: Mapping[str, object], file: Mapping[str, object]
) -> Configuration:
    """
    Combine the command line and the file. The command line takes precedence.

    @param commandLine: the parsed values of the options that were given, by name.
    @param file: the values from L{readFile}.
    @raise InvalidOption: the options contradict each other, or one is missing.
    """
    values: dict[str, Any] = dict(file)
    if "listen" in commandLine and "port" not in commandLine:
        values.pop("port", None)
    if "port" in commandLine and "listen" not in commandLine:
        values.pop("listen", None)
    values.update(commandLine)
    if not values.get("app"):
        raise InvalidOption(
            "no application to serve: use --app NAME; --list-apps shows all names"
        )
    for option in OPTIONS:
        if option.name in values and option.needs and option.needs not in values:
            raise InvalidOption(
                f"{option.name} goes with {option.needs}, which isn't set"
            )
    listening = _make(Listening, values)
    listening.describe()
    if "tls-cert" in values and not listening.usesPort:
        raise InvalidOption(
            "tls-cert goes with port; in listen, use ssl:PORT:privateKey=PATH"
        )
    return Configuration(
        tuple(values["app"]),
        listening,
        _make(TLSOptions, values),
        _make(Access, values),
        _make(Authentication, values),
        _make(Administration, values),
        _make(Operation, values),
        _make(Settings, values),
        frozenset(values),
    )


def _make(group: type[_Group], values: Mapping[str, Any]) -> _Group:
    try:
        return makeGroup(group, values)
    except ValueError as error:
        raise InvalidOption(str(error)) from None
