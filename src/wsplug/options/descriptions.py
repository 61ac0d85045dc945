"""
Descriptions: C{NAME:key=value:...}, by the rules of Twisted's endpoint strings.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from wsplug.errors import InvalidOption

__all__ = ["COLONS", "pairOptions", "splitDescription"]

COLONS: Final = "a colon in a value is written \\:"
"""
The hint for somebody who has written a plain one.
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
