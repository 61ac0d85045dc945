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
The hint for a user who has written a plain colon.
"""


def splitDescription(description: str) -> Iterable[tuple[str, str | None]]:
    """
    Split a description by the rules of Twisted's endpoint strings: colons separate the
    parts, and a backslash escapes the next character.

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
    Turn parts of a description, from L{splitDescription}, into options.

    @return: the values by the options' names.
    @raise InvalidOption: a part isn't C{key=value}, or a key appears twice. The message
        gives the part's number and not its text, which may be a piece of a secret.
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
