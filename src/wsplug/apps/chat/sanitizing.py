"""
Cleans what people type before others see it: messages, names, rooms and colours.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import normalize

from wsplug.displaynames import cleanName, isVisible
from wsplug.jsonmessages import RequestRefused

__all__ = [
    "MAX_NAME",
    "MAX_ROOM",
    "checkName",
    "cleanColor",
    "cleanLogin",
    "cleanMessage",
    "cleanRoom",
    "nameKey",
    "numbered",
]

MAX_NAME: Final = 40
"""
Characters that a person's name may have.
"""

MAX_ROOM: Final = 64
"""
Characters that a room's name may have.
"""

_COLOR: Final = re.compile(r"[#0-9A-Za-z(),.% -]{1,40}")

_RESERVED_SEGMENTS: Final = frozenset(("-", ".", ".."))
"""
What a segment of a room's name mustn't be. C{-} is the path of the server's built-in
files; browsers remove C{.} and C{..} from URLs.
"""

_STACKERS: Final = re.compile(
    "[\u1039\u17d2\u1a60\u1bab\u2d7f\uaaf6\U00010a3f\U00011133\U0001193e\U000113d0"
    "\U00011a47\U00011a99\U00011d45\U00011d97\U00011f42]"
)
"""
Characters that stack the letters of some scripts (Invisible_Stacker in Unicode's
IndicSyllabicCategory.txt). They are invisible between other letters.
"""

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def nameKey(name: str) -> str:
    """
    Return a key that is equal for names that look alike. Case, width and white space
    don't matter.
    """
    plain = normalize("NFKC", normalize("NFKC", name).casefold())
    return "".join(_STACKERS.sub("", plain).split())


def checkName(name: str) -> str:
    """
    Make a display name from the name that a person asks for.

    @return: the name; empty if nothing visible is left.
    @raise RequestRefused: it is too long.
    """
    clean = cleanName(name)
    if len(clean) > MAX_NAME:
        raise RequestRefused(
            "too-long", f"name: {len(clean)} characters; at most {MAX_NAME} are allowed"
        )
    return clean


def cleanLogin(login: str) -> str:
    """
    Make a display name from the name that a person has logged in with.

    @return: the name; empty if nothing visible is left.
    """
    return cleanName(login)[:MAX_NAME].rstrip()


def numbered(name: str, number: int) -> str:
    """
    Add a number to a name that is taken.
    """
    suffix = f" {number}"
    return name[: MAX_NAME - len(suffix)].rstrip() + suffix


def cleanColor(color: str) -> str:
    """
    Check that a colour can't be mistaken for anything else in a page.

    @return: the colour; empty if it may not be used.
    """
    return color if _COLOR.fullmatch(color) else ""


def cleanMessage(message: str) -> str:
    """
    Remove control characters, except for line ends and tabs.

    @return: the message; empty if nothing visible is left.
    """
    plain = _CONTROLS.sub("", message.replace("\r\n", "\n").replace("\r", "\n"))
    return plain if isVisible(plain) else ""


def cleanRoom(name: str) -> str | None:
    """
    Clean a room's name. The same rule holds for messages, paths and options: it is a
    path of segments with visible characters, which doesn't start with C{@}.

    @return: the name; C{None} if no room can have it.
    """
    segments = [segment.strip() for segment in cleanName(name).split("/")]
    clean = "/".join(filter(None, segments))
    if not clean or len(clean) > MAX_ROOM or clean.startswith("@"):
        return None
    return None if _RESERVED_SEGMENTS.intersection(segments) else clean
