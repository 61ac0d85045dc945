"""
The configuration file, C{wsplug.toml}, with the option names of the command line::

    port = 9000
    max-message-size = "64KiB"
    origin = ["https://example.org"]
    app = ["echo", "chat.py:path=/chat"]

C{app} can also be tables, with C{use} for the name and a key for each option::

    [[app]]
    use = "echo"
    path = "/echo"
"""

from __future__ import annotations

import difflib
import sys
from typing import Final

from wsplug.assembly.configuration import APP, OPTIONS
from wsplug.errors import ConfigurationError, InvalidOption
from wsplug.files import readBytes
from wsplug.options import findRenamed
from wsplug.plugins import Description, parseDescription

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["readFile"]

_BY_NAME: Final = {option.name: option for option in OPTIONS}


def readFile(
    path: str, errors: list[ConfigurationError] | None = None
) -> dict[str, object]:
    """
    Read a configuration file.

    @param errors: collects the errors of single keys, and the result leaves those keys
        out. Without this list, the first such error is raised.
    @return: the values by the options' names. An option that repeats has a tuple of
        values, and C{app} a tuple of L{Description}s.
    @raise InvalidOption: the file can't be read, isn't TOML, or has an unknown key or a
        wrong value. The message names the file and the line, key or table.
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
    if key == APP.name:
        return _readApplications(value)
    if key in _BY_NAME:
        return _BY_NAME[key].parse(value)
    renamed = findRenamed(OPTIONS, key)
    if renamed is not None:
        raise InvalidOption(renamed)
    close = difflib.get_close_matches(key, _BY_NAME, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    first = value[0] if isinstance(value, list) and value else value
    kind = "table" if isinstance(first, dict) else "key"
    raise InvalidOption(f"unknown {kind} {key!r}{hint}")


def _readApplications(value: object) -> tuple[Description, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(_readApplication(item, index) for index, item in enumerate(items, 1))


def _readApplication(item: object, index: int) -> Description:
    if isinstance(item, str):
        return parseDescription(item)
    if not isinstance(item, dict):
        what = "an array" if isinstance(item, list) else repr(item)
        raise InvalidOption(f"app takes strings or tables, not {what}")
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
