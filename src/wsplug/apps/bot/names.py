"""
Visitors' names, fit to be said.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import category, normalize

__all__ = ["MAX_NAME_LENGTH", "cleanName"]

MAX_NAME_LENGTH: Final = 40
"""
Characters that a name may have; what is behind them is cut off.
"""

# Letters, marks and symbols by their categories, but nothing to be seen: what Unicode
# calls default-ignorable (UAX 44), and the empty cell of Braille.
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)


def cleanName(text: str) -> str:
    """
    Take from a name what can't be seen or plays tricks with what is beside it: control
    and formatting characters, those for the direction of text and those without a
    width among them. Spaces become single ones, and there are at most
    L{MAX_NAME_LENGTH} characters.

    @return: the name; empty where nothing is left to call somebody by.
    """
    words = " ".join(_INVISIBLE.sub("", normalize("NFC", text)).split())
    name = "".join(
        each for each in words if each == " " or category(each)[0] in "LMNPS"
    )
    name = " ".join(name.split())[:MAX_NAME_LENGTH].rstrip()
    return name if any(category(each)[0] in "LNS" for each in name) else ""
