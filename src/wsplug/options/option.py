"""
One option, and the parser for the values of several.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wsplug.errors import InvalidOption
from wsplug.options.descriptions import COLONS
from wsplug.options.kinds import Kind, secret, showValue

__all__ = ["REQUIRED", "Option", "findRenamed", "parseOptions"]

REQUIRED: Final = object()
"""
The default of an option that the user has to set.
"""


@dataclass(frozen=True)
class Option:
    """
    One option.

    @ivar name: the name, in lower case with dashes: C{"max-message-size"}.
    @ivar kind: parses the value, or raises a C{ValueError} that says which values it
        takes.
    @ivar default: the default value, or L{REQUIRED}.
    @ivar help: one line.
    @ivar shown: the default in words, for defaults such as C{None} or an empty text.
    @ivar group: the option's heading in the reference.
    @ivar repeats: whether the option can be given several times. Its value is then a
        tuple, and the kind parses each item.
    @ivar flag: whether the option has no value on the command line: C{--reuse-port}.
    @ivar needs: another option, without which this one has no effect.
    @ivar bare: the value on the command line where none is given: C{--verbose}.
    @ivar formerly: earlier names. The server refuses them, with a line that gives the
        new name.
    """

    name: str
    kind: Kind
    default: Any
    help: str
    shown: str | None = None
    group: str = ""
    repeats: bool = False
    flag: bool = False
    needs: str = ""
    formerly: tuple[str, ...] = ()
    bare: str | None = None

    @property
    def isSecret(self) -> bool:
        """
        Whether the value has to stay out of error messages and the log.
        """
        return self.kind is secret

    @property
    def shownDefault(self) -> str:
        """
        The default as a user would write it.
        """
        if self.shown is not None:
            return self.shown
        if self.default is REQUIRED:
            return "required"
        return self.show(self.default)

    @property
    def line(self) -> str:
        """
        The help with the default.
        """
        return f"{self.help} [{self.shownDefault}]"

    def show(self, value: Any) -> str:
        """
        Write a value as a user would.
        """
        if self.repeats:
            return ", ".join(showValue(self.kind, each) for each in value) or "none"
        return showValue(self.kind, value)

    def parse(self, value: object) -> Any:
        """
        Parse the option's value.

        @param value: text, or a TOML number or boolean. If the option L{repeats}, a
            list of texts, or a single text.
        @raise InvalidOption: the value is wrong. The message names the option, the
            value unless it is L{secret}, and the right values.
        """
        if self.repeats:
            return self._parseItems(value)
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

    def _parseItems(self, value: object) -> tuple[Any, ...]:
        items = []
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if not isinstance(item, str):
                # The item may be a description with a secret, so don't quote it.
                raise InvalidOption(f"{self.name} takes strings, not {_kindOf(item)}")
            try:
                items.append(self.kind(item))
            except ValueError as error:
                raise InvalidOption(f"{self.name} takes {error}") from None
        return tuple(items)

    def _quote(self, value: object) -> str:
        return "the given value" if self.isSecret else repr(value)


def _kindOf(item: object) -> str:
    """
    Return the type of a TOML value, for an error message.
    """
    if isinstance(item, list):
        return "an array"
    return "a table" if isinstance(item, dict) else repr(item)


def findRenamed(options: Iterable[Option], name: str) -> str | None:
    """
    Return a line with the new name of an option that was renamed.

    @return: C{None} if no option had this name.
    """
    for option in options:
        if name in option.formerly:
            return f"the option {name!r} is called {option.name!r} now"
    return None


def parseOptions(
    options: Sequence[Option], values: Mapping[str, object]
) -> dict[str, Any]:
    """
    Parse the values of several options.

    @param values: the given values, by name.
    @return: the parsed values and the defaults, by name.
    @raise InvalidOption: an option is unknown, missing or wrong.
    """
    known = {option.name: option for option in options}
    # The rest of a secret behind a colon looks like an option.
    hides = any(option.isSecret and option.name in values for option in options)
    for number, name in enumerate(values, 1):
        if name not in known:
            names = ", ".join(known) or "none"
            if hides:
                raise InvalidOption(f"option {number} isn't one of: {names}; {COLONS}")
            renamed = findRenamed(options, name)
            if renamed is not None:
                raise InvalidOption(renamed)
            # Such as the port and path of a URL.
            hint = "" if re.fullmatch(r"[\w-]+", name) else f"; {COLONS}"
            raise InvalidOption(
                f"unknown option {name!r}; the options are: {names}{hint}"
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
