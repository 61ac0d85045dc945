"""
Typed options: what the server's settings and the applications' options are made of.

An option's value comes as text from the command line or as a TOML value from the
configuration file. Its I{kind} makes the value of it, or says in a C{ValueError} what
would be one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wsplug.errors import InvalidOption

__all__ = [
    "COLONS",
    "REQUIRED",
    "UNLIMITED",
    "Kind",
    "Option",
    "boolean",
    "choice",
    "count",
    "delay",
    "delayUpTo",
    "integer",
    "number",
    "pairOptions",
    "parseOptions",
    "period",
    "seconds",
    "secret",
    "size",
    "splitDescription",
    "text",
    "threshold",
    "wholeSeconds",
]

Kind = Callable[[str], Any]

REQUIRED: Final = object()
"""
The default of an option that has none.
"""

UNLIMITED: Final = sys.maxsize // 4
"""
The value of a limit that is switched off: more than there can be, and with room to
calculate with.
"""


@dataclass(frozen=True)
class Option:
    """
    One option.

    @ivar name: in lower case with dashes: C{"max-message-size"}.
    @ivar kind: makes the value from text; raises C{ValueError} with what it wants.
    @ivar default: the value where none is given, or L{REQUIRED}.
    @ivar help: one line.
    @ivar shown: the default as the user would write it; made from it where not given.
    """

    name: str
    kind: Kind
    default: Any
    help: str
    shown: str | None = None

    @property
    def isSecret(self) -> bool:
        """
        Whether nobody is to read the value in an error or in the log.
        """
        return self.kind is secret

    @property
    def shownDefault(self) -> str:
        if self.shown is not None:
            return self.shown
        if self.default is REQUIRED:
            return "required"
        if isinstance(self.default, bool):
            return "yes" if self.default else "no"
        return str(self.default)

    def parse(self, value: object) -> Any:
        """
        Make the option's value.

        @param value: text, or a number or boolean of TOML.
        @raise InvalidOption: it can be none; the message names the option, the value
            unless it is L{secret}, and what would be right.
        """
        if isinstance(value, bool):
            value = "yes" if value else "no"
        if not isinstance(value, (str, int, float)):
            raise InvalidOption(
                f"{self.name} takes a single value, not {self._quote(value)}"
            )
        try:
            return self.kind(str(value))
        except ValueError as error:
            raise InvalidOption(
                f"{self.name} takes {error}, not {self._quote(value)}"
            ) from None

    def _quote(self, value: object) -> str:
        return "what was given" if self.isSecret else repr(value)


def parseOptions(
    options: Sequence[Option], values: Mapping[str, object]
) -> dict[str, Any]:
    """
    Make a value for each of some options.

    @param values: what was given, by name.
    @raise InvalidOption: one is unknown, missing or wrong.
    """
    known = {option.name: option for option in options}
    # Behind a colon in a secret, its rest looks like an option.
    hides = any(option.isSecret and option.name in values for option in options)
    for number, name in enumerate(values, 1):
        if name not in known:
            names = ", ".join(known) or "none"
            # As the rest of a URL's port and path.
            hint = "" if re.fullmatch(r"[\w-]+", name) else f"; {COLONS}"
            if hides:
                raise InvalidOption(f"option {number} is none of: {names}; {COLONS}")
            raise InvalidOption(
                f"there is no option {name!r}; there are: {names}{hint}"
            )
    parsed = {}
    for option in options:
        if option.name in values:
            parsed[option.name] = option.parse(values[option.name])
        elif option.default is REQUIRED:
            raise InvalidOption(f"the option {option.name!r} is missing")
        else:
            parsed[option.name] = option.default
    return parsed


COLONS: Final = "a colon in a value is written \\:"
"""
What those don't know who have written one.
"""


def splitDescription(description: str) -> Iterable[tuple[str, str | None]]:
    """
    Take a description apart by the rules of Twisted's endpoint strings: colons
    separate, and a backslash takes the meaning from what is behind it.

    @return: the parts: key and value, or text and C{None}.
    """
    key: str | None = None
    current = ""
    characters = iter(description)
    for character in characters:
        if character == "\\":
            current += next(characters, "\\")
        elif character == ":":
            yield (current, None) if key is None else (key, current)
            key, current = None, ""
        elif character == "=" and key is None:
            key, current = current, ""
        else:
            current += character
    yield (current, None) if key is None else (key, current)


def pairOptions(words: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """
    Take parts of a description, from L{splitDescription}, for options.

    @return: the values by the options' names.
    @raise InvalidOption: one isn't C{key=value}, or is there twice. The message says
        which one, but nothing that is in it: any may be a piece of a secret.
    """
    values: dict[str, str] = {}
    for number, (key, value) in enumerate(words, 1):
        if value is None:
            raise InvalidOption(
                f"options are key=value, and option {number} isn't; {COLONS}"
            )
        if key in values:
            first = list(values).index(key) + 1
            raise InvalidOption(f"options {first} and {number} have the same name")
        values[key] = value
    return values


def text(value: str) -> str:
    """
    Any text.
    """
    return value


def secret(value: str) -> str:
    """
    Any text that is for nobody to read: no error quotes it.
    """
    return value


def boolean(value: str) -> bool:
    """
    C{yes} or C{no}; C{on}, C{true}, C{1} and their opposites too.
    """
    word = value.lower()
    if word in ("yes", "on", "true", "1"):
        return True
    if word in ("no", "off", "false", "0"):
        return False
    raise ValueError("yes or no")


def integer(low: int, high: int) -> Kind:
    """
    A whole number in a range, both ends in it.
    """

    def parse(value: str) -> int:
        if re.fullmatch(r"-?[0-9]{1,18}", value) and low <= int(value) <= high:
            return int(value)
        raise ValueError(f"a whole number from {low} to {high}")

    return parse


def number(low: float, high: float) -> Kind:
    """
    A number in a range, both ends in it.
    """

    def parse(value: str) -> float:
        plain = re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", value)
        if plain and low <= float(value) <= high:
            return float(value)
        raise ValueError(f"a number from {_plain(low)} to {_plain(high)}")

    return parse


def _plain(value: float) -> str:
    """
    Write a number as it may be given: without an exponent.
    """
    return str(int(value)) if value == int(value) else repr(value)


def count(value: str) -> int:
    """
    A whole number from 1 on, or C{unlimited}.
    """
    if value == "unlimited":
        return UNLIMITED
    if re.fullmatch(r"[0-9]{1,18}", value) and int(value) > 0:
        return int(value)
    raise ValueError("a whole number from 1 on, or 'unlimited'")


_UNITS: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def _sizeOf(value: str) -> int | None:
    """
    Read a number of bytes, or C{unlimited}.
    """
    if value == "unlimited":
        return UNLIMITED
    match = re.fullmatch(r"([0-9]{1,12}) ?(?:([kmg])(?:i?b)?|b)?", value.lower())
    return None if match is None else int(match[1]) * _UNITS[match[2] or ""]


def size(value: str) -> int:
    """
    A number of bytes, C{KiB}, C{MiB} or C{GiB} from 1 on, or C{unlimited}.
    """
    read = _sizeOf(value)
    if not read:
        raise ValueError("a size like 65536, 64KiB or 1MiB, or 'unlimited'")
    return read


def threshold(value: str) -> int:
    """
    A size from which on something is done: a number of bytes as L{size} has it; C{0}
    for always, C{unlimited} for never.
    """
    read = _sizeOf(value)
    if read is None:
        raise ValueError("a size like 128 or 64KiB, 0 for any, or 'unlimited' for none")
    return read


_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}


def _secondsOf(value: str) -> float | None:
    """
    Read a time in seconds, minutes (C{5m}) or hours (C{1h}).
    """
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([smh]?)", value.lower())
    return None if match is None else float(match[1]) * _SECONDS[match[2]]


def seconds(value: str) -> float:
    """
    A limit in time: seconds, minutes (C{5m}) or hours (C{1h}), or C{off} for none,
    which is 0. The number 0 isn't taken: it could be meant as either.
    """
    read = 0.0 if value == "off" else _secondsOf(value)
    if read is None or (not read and value != "off"):
        raise ValueError("a time in seconds like 10, 0.5 or 5m, or 'off'")
    return read


def delay(value: str) -> float:
    """
    A time for which something waits or goes on: as L{seconds}, or C{0} or C{off}, which
    are the same: none, it happens at once.
    """
    read = 0.0 if value == "off" else _secondsOf(value)
    if read is None:
        raise ValueError("a time in seconds like 10, 0.5 or 5m, or 0 for none")
    return read


def delayUpTo(high: float) -> Kind:
    """
    A L{delay} of at most some seconds.
    """

    def parse(value: str) -> float:
        read = 0.0 if value == "off" else _secondsOf(value)
        if read is None or read > high:
            raise ValueError(f"a time in seconds from 0 to {_plain(high)}")
        return read

    return parse


def period(value: str) -> float:
    """
    A time that has to be: as L{seconds}, but neither C{0} nor C{off}.
    """
    read = _secondsOf(value)
    if not read:
        raise ValueError("a time in seconds like 10, or like 5m or 24h")
    return read


def wholeSeconds(low: int, high: int) -> Kind:
    """
    A time of whole seconds in a range, both ends in it.
    """

    def parse(value: str) -> int:
        read = _secondsOf(value)
        if read is None or read != int(read) or not low <= read <= high:
            raise ValueError(f"a time in whole seconds from {low} to {high}")
        return int(read)

    return parse


def choice(*words: str) -> Kind:
    """
    One of some words.
    """

    def parse(value: str) -> str:
        if value in words:
            return value
        raise ValueError("one of " + ", ".join(words))

    return parse
