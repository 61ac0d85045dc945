"""
What people say, and what they call their rooms and colours: made fit to be shown.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import normalize

from wsplug.displaynames import cleanName, isVisible

__all__ = [
    "MAX_NAME",
    "MAX_ROOM",
    "cleanColor",
    "cleanMessage",
    "nameKey",
    "nameOfLogin",
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

_COLOR: Final = re.compile(r"[#0-9A-Za-z(),.% -]{1,40}")

_NO_SEGMENTS: Final = frozenset(("-", ".", ".."))
"""
What no segment of a room's name can be.
"""

_STACKERS: Final = re.compile(
    "[\u1039\u17d2\u1a60\u1bab\u2d7f\uaaf6\U00010a3f\U00011133\U0001193e\U000113d0"
    "\U00011a47\U00011a99\U00011d45\U00011d97\U00011f42]"
)
"""
What stacks the letters of some scripts (Invisible_Stacker, Unicode's
IndicSyllabicCategory.txt), and can't be seen where there are none to stack.
"""

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def nameKey(name: str) -> str:
    """
    Make what is the same for names that look the same: case, width and space don't
    count.
    """
    plain = normalize("NFKC", normalize("NFKC", name).casefold())
    return "".join(_STACKERS.sub("", plain).split())


def nameOfLogin(login: str) -> str:
    """
    Make what somebody is called who has logged in.

    @param login: their name there.
    @return: empty where nothing of it can be shown.
    """
    return cleanName(login)[:MAX_NAME].rstrip()


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
    return plain if isVisible(plain) else ""


def roomOf(name: str) -> str | None:
    """
    Make a room's name fit: the one rule for what clients send, for paths, and for
    options. It is a path, whose segments show something.

    @return: C{None} where no room can be called like that: C{@} begins what is
        somebody's own, C{-} is the path of the server's own files, and no browser has
        an address with C{.} or C{..}.
    """
    segments = [segment.strip() for segment in cleanName(name).split("/")]
    clean = "/".join(filter(None, segments))
    if not clean or len(clean) > MAX_ROOM or clean.startswith("@"):
        return None
    return None if _NO_SEGMENTS.intersection(segments) else clean
