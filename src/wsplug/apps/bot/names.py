"""
Visitors' names.
"""

from __future__ import annotations

from typing import Final
from unicodedata import category

from wsplug.displaynames import cleanName

__all__ = ["MAX_NAME_LENGTH", "visitorName"]

MAX_NAME_LENGTH: Final = 40
"""
Characters that a name may have. Longer names are cut.
"""


def visitorName(text: str) -> str:
    """
    Make a visitor's name from text.

    @return: the name; empty if no letter, number or symbol is left.
    """
    name = cleanName(text)[:MAX_NAME_LENGTH].rstrip()
    return name if any(category(each)[0] in "LNS" for each in name) else ""
