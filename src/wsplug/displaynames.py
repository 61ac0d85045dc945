"""
Display names: the names that people choose, cleaned so that they can be shown beside
others.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import category, normalize

__all__ = ["cleanName", "isVisible"]

# Default-ignorable code points (Default_Ignorable_Code_Point, UAX 44), and letters,
# marks and symbols without a visible glyph: the blank Braille pattern, blank
# hieroglyphs, fillers and joiners, the null notehead, and the object replacement
# character.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\U0001107f"
    "\U00013441\U00013442\U00016fe4\U0001bca0-\U0001bca3\U0001d159"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

_MAX_MARKS: Final = 3
"""
Combining marks on one letter. More of them would reach into the lines above and below.
"""


def cleanName(text: str) -> str:
    """
    Remove from a name what is invisible or affects the text around it: control and
    formatting characters (among them bidirectional and zero-width ones), combining
    marks without a letter, and too many marks on one letter. White space becomes single
    spaces. The length isn't limited.

    @return: the name; empty if nothing visible is left.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    seen = "".join(each for each in text if each.isspace() or _isShown(each, "LMNPS"))
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


def isVisible(text: str) -> bool:
    """
    Return whether L{cleanName} would leave anything of a text. This is cheaper, because
    the first character of most texts is visible.
    """
    return any(_isShown(character, "LNPS") for character in text)


def _isShown(character: str, kinds: str) -> bool:
    return category(character)[0] in kinds and not _INVISIBLE.match(character)
