"""
One option, and how the values of several are read.
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
The default of an option that has none.
"""


@dataclass(frozen=True)
class Option:
    """
    One option.

    @ivar name: in lower case with dashes: C{"max-message-size"}.
    @ivar kind: makes the value from text; raises C{ValueError} with what it takes.
    @ivar default: the value where none is given, or L{REQUIRED}.
    @ivar help: one line.
    @ivar shown: the default in words, where the value doesn't say it, as C{None} or
        an empty text.
    @ivar group: the heading that it stands under in the reference.
    @ivar repeats: whether it can be given several times; its value is a tuple then, and
        each item is of the kind.
    @ivar flag: whether it is a word alone on the command line: C{--reuse-port}.
    @ivar needs: another option, without which this one has no effect.
    @ivar formerly: its earlier names. They are refused with a line that has the new
        one.
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

    @property
    def isSecret(self) -> bool:
        """
        Whether nobody is to read the value in an error or in the log.
        """
        return self.kind is secret

    @property
    def shownDefault(self) -> str:
        """
        The default as the user would write it.
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
        Write a value as the user would.
        """
        if self.repeats:
            return ", ".join(showValue(self.kind, each) for each in value) or "none"
        return showValue(self.kind, value)

    def parse(self, value: object) -> Any:
        """
        Make the option's value.

        @param value: text, or a number or boolean of TOML; where the option L{repeats},
            a list of texts, or one alone.
        @raise InvalidOption: it is of another kind; the message names the option, the
            value unless it is L{secret}, and what would be right.
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
                # Not the item: there may be a secret in a description in it.
                raise InvalidOption(f"{self.name} takes texts, not {_kindOf(item)}")
            try:
                items.append(self.kind(item))
            except ValueError as error:
                raise InvalidOption(f"{self.name} takes {error}") from None
        return tuple(items)

    def _quote(self, value: object) -> str:
        return "what was given" if self.isSecret else repr(value)


def _kindOf(item: object) -> str:
    """
    Say what kind of a TOML value something is.
    """
    if isinstance(item, list):
        return "an array"
    return "a table" if isinstance(item, dict) else repr(item)


def findRenamed(options: Iterable[Option], name: str) -> str | None:
    """
    Say what an earlier name of an option is called now.

    @return: a line; C{None} where no option had this name.
    """
    for option in options:
        if name in option.formerly:
            return f"the option {name!r} is called {option.name!r} now"
    return None


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
            if hides:
                raise InvalidOption(f"option {number} is none of: {names}; {COLONS}")
            renamed = findRenamed(options, name)
            if renamed is not None:
                raise InvalidOption(renamed)
            # As the rest of a URL's port and path.
            hint = "" if re.fullmatch(r"[\w-]+", name) else f"; {COLONS}"
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
