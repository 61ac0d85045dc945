"""
Visitors' names, fit to be said.
"""

from __future__ import annotations

from typing import Final
from unicodedata import category

from wsplug.displaynames import cleanName

__all__ = ["MAX_NAME_LENGTH", "sayable"]

MAX_NAME_LENGTH: Final = 40
"""
Characters that a name may have; what is behind them is cut off.
"""


def sayable(text: str) -> str:
    """
    Make a name of what a visitor gives for one.

    @return: the name; empty where nothing is left to call somebody by.
    """
    name = cleanName(text)[:MAX_NAME_LENGTH].rstrip()
    return name if any(category(each)[0] in "LNS" for each in name) else ""
