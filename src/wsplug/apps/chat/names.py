"""
What people call themselves, their rooms and their colours: made fit to be shown.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = [
    "MAX_NAME",
    "MAX_ROOM",
    "cleanColor",
    "cleanMessage",
    "cleanName",
    "nameKey",
    "numbered",
    "roomOf",
]

MAX_NAME: Final = 40
"""
Characters of a name.
"""

MAX_ROOM: Final = 64
"""
Characters of a room's name.
"""

_UNSEEN: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0\u034f\u17b4\u17b5")
"""
Letters and signs that show nothing. What else shows nothing, or turns the direction of
writing, is in a category of its own.
"""

_UNSEEN_CATEGORIES: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))

_MAX_MARKS: Final = 3
"""
Marks on one letter: more of them reach into other lines.
"""

_COLOR: Final = re.compile(r"[#0-9A-Za-z(),.% -]{1,40}")

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def _visible(text: str) -> str:
    """
    Leave out what can't be seen, and put single spaces for all that is space.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    kept: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        if character.isspace():
            kept.append(" ")
        elif category in _UNSEEN_CATEGORIES or character in _UNSEEN:
            continue
        elif category in ("Mn", "Me"):
            marks += 1
            if marks <= _MAX_MARKS:
                kept.append(character)
            continue
        else:
            kept.append(character)
        marks = 0
    return " ".join("".join(kept).split())


def _showsSomething(text: str) -> bool:
    """
    Tell whether L{_visible} would leave anything of it, without going through all of
    it: most texts show something with their first character.
    """
    return any(
        not character.isspace()
        and character not in _UNSEEN
        and unicodedata.category(character) not in _UNSEEN_CATEGORIES
        for character in unicodedata.normalize("NFC", text)
    )


def cleanName(name: str) -> str:
    """
    Make a name fit to be shown among others.

    @return: it may be empty, or too long.
    """
    return _visible(name)


def nameKey(name: str) -> str:
    """
    Make what is the same for names that look the same: case, width, space and marks
    like those that choose a picture don't count.
    """
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(
        character
        for character in unicodedata.normalize("NFKC", plain)
        if not character.isspace() and not "\ufe00" <= character <= "\ufe0f"
    )


def numbered(name: str, number: int) -> str:
    """
    Make another name of one that is taken.
    """
    suffix = f" {number}"
    return name[: MAX_NAME - len(suffix)].rstrip() + suffix


def cleanColor(color: str) -> str:
    """
    Let a colour through if no page can take it for anything else.

    @return: empty where it isn't one.
    """
    return color if _COLOR.fullmatch(color) else ""


def cleanMessage(message: str) -> str:
    """
    Leave out control characters, but for line ends and tabs.

    @return: empty where there is nothing but space.
    """
    plain = _CONTROLS.sub("", message.replace("\r\n", "\n").replace("\r", "\n"))
    return plain if _showsSomething(plain) else ""


def roomOf(name: str) -> str | None:
    """
    Make a room's name fit.

    @return: C{None} where no room can be called like that: C{@} begins what is
        somebody's own, and C{-} is the path of the server's own files.
    """
    clean = _visible(name.strip("/"))
    if not clean or len(clean) > MAX_ROOM or clean.startswith("@"):
        return None
    return None if clean.split("/")[0] == "-" else clean
