"""
What people call themselves, made fit to be shown among others.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import category, normalize

__all__ = ["cleanName", "showsSomething"]

# Letters, marks and symbols by their categories, but nothing to be seen: what Unicode
# calls default-ignorable (UAX 44), and the empty cell of Braille.
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)

_MAX_MARKS: Final = 3
"""
Marks on one letter: more of them reach into other lines.
"""


def cleanName(text: str) -> str:
    """
    Take from a name what can't be seen or plays tricks with what is beside it: control
    and formatting characters, those for the direction of text and those without a
    width among them, and marks upon marks. Spaces become single ones.

    @return: the name, however long; empty where nothing is left.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    kept: list[str] = []
    marks = 0
    for character in " ".join(_INVISIBLE.sub("", normalize("NFC", text)).split()):
        kind = category(character)
        if kind in ("Mn", "Me"):
            marks += 1
            if marks > _MAX_MARKS:
                continue
        elif character == " " or kind[0] in "LMNPS":
            marks = 0
        else:
            continue
        kept.append(character)
    # What was taken out may have had spaces on both sides.
    return " ".join("".join(kept).split())


def showsSomething(text: str) -> bool:
    """
    Tell whether L{cleanName} would leave anything of a text, without going through all
    of it: most show something with their first character.
    """
    return any(
        not _INVISIBLE.match(character) and category(character)[0] in "LMNPS"
        for character in normalize("NFC", text)
    )
