"""
What people call themselves, made fit to be shown among others.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import category, normalize

__all__ = ["cleanName", "showsSomething"]

# What Unicode calls default-ignorable (Default_Ignorable_Code_Point, UAX 44), and what
# is a letter, mark or symbol by its category with nothing to be seen: the empty cell of
# Braille, the blanks of hieroglyphs, fillers and joiners, the musical notehead that is
# none, and what stands for an object.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\U0001107f"
    "\U00013441\U00013442\U00016fe4\U0001bca0-\U0001bca3\U0001d159"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

_MAX_MARKS: Final = 3
"""
Marks on one letter: more of them reach into other lines.
"""


def cleanName(text: str) -> str:
    """
    Take from a name what can't be seen or plays tricks with what is beside it: control
    and formatting characters, those for the direction of text and those without a
    width among them, marks without a letter, and marks upon marks. Spaces become single
    ones.

    @return: the name, however long; empty where nothing is left.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    seen = "".join(each for each in text if each.isspace() or _isSeen(each, "LMNPS"))
    kept: list[str] = []
    hasLetter = False
    marks = 0
    for character in normalize("NFC", seen):
        kind = category(character)
        if character.isspace():
            hasLetter = False
        elif kind[0] == "M" and not hasLetter:
            continue
        elif kind in ("Mn", "Me"):
            marks += 1
            if marks > _MAX_MARKS:
                continue
        else:
            hasLetter = True
            marks = 0
        kept.append(character)
    return " ".join("".join(kept).split())


def showsSomething(text: str) -> bool:
    """
    Tell whether L{cleanName} would leave anything of a text, without going through all
    of it: most show something with their first character.
    """
    return any(_isSeen(character, "LNPS") for character in text)


def _isSeen(character: str, kinds: str) -> bool:
    return category(character)[0] in kinds and not _INVISIBLE.match(character)
