"""
Hides secrets in what the verbose log shows of requests and responses: cookies,
credentials and tokens.

It hides too much rather than too little: a value counts as a secret if its name says
so, or if it looks like a token.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_to_bytes

__all__ = ["HIDDEN", "showHeader", "showTarget"]

HIDDEN: Final = "***"
"""
What the log shows instead of a secret.
"""

_MAX_SIZE: Final = 300
"""
Bytes of a target or of a header's value that are logged.
"""

_SECRET_NAME: Final = re.compile(
    rb"(?i)auth|token|secret|passw|pwd|cookie|credential|session|jwt|bearer|signature"
    rb"|key$|^(sid|sig|code|ticket|assertion|otp|pin)$"
)

_HARMLESS: Final = frozenset(
    {
        b"www-authenticate",
        b"proxy-authenticate",
        b"sec-websocket-key",
        b"sec-websocket-accept",
    }
)
"""
Headers whose names only look as if they had a secret.
"""

_TOKEN: Final = re.compile(
    rb"eyJ[\w.=~+/%-]{8,}"  # a JSON Web Token
    rb"|(?=[\w.~+/%-]*[0-9])(?=[\w.~+/%-]*[A-Za-z])[\w.~+/%-]{24,}=*"
)
"""
A value that looks like a token: long, of letters and digits.
"""

_WORD: Final = re.compile(rb"[A-Za-z][a-z]{0,13}[0-9]{0,2}|[0-9]{1,2}|[A-Z]{1,8}")

_MARKERS: Final = frozenset(
    {b"access_token", b"auth", b"authorization", b"bearer", b"jwt", b"token"}
)
"""
Subprotocols that clients offer in front of a token.
"""

_SEPARATOR: Final = re.compile(rb"([?&;#,])")
_USER: Final = re.compile(rb"//[^/?#\s]*@")


def showTarget(target: bytes) -> str:
    """
    Write a request's target for the log.
    """
    return _show(_hideValues(target))


def showHeader(name: bytes, value: bytes) -> str:
    """
    Write a header's value for the log.

    @param name: in lower case.
    """
    special = _SPECIAL.get(name)
    if special is not None:
        return _show(special(value))
    if name in _HARMLESS:
        return _show(value)
    if _SECRET_NAME.search(name):
        return HIDDEN
    return _show(_hideValues(value))


def _show(value: bytes) -> str:
    shown = value[:_MAX_SIZE].decode("ascii", "backslashreplace")
    if len(value) > _MAX_SIZE:
        shown += f"... ({len(value)} bytes)"
    return shown.replace("\t", " ")


_STARS: Final = HIDDEN.encode("ascii")


def _hideValues(text: bytes) -> bytes:
    """
    Hide the secrets in the queries and parameters of a text: C{name=value}.
    """
    first, *rest = _SEPARATOR.split(_USER.sub(b"//" + _STARS + b"@", text))
    pieces = [first if b"/" in first else _hideValue(first)]
    pieces += [
        piece if index % 2 == 0 else _hideValue(piece)
        for index, piece in enumerate(rest)
    ]
    return b"".join(pieces)


def _hideValue(piece: bytes) -> bytes:
    name, equals, value = piece.partition(b"=")
    if not equals:
        return _STARS if _TOKEN.fullmatch(piece.strip()) else piece
    if value and _SECRET_NAME.search(unquote_to_bytes(name.strip())):
        return name + equals + _STARS
    return name + equals + _TOKEN.sub(_STARS, value)


def _hideCredentials(value: bytes) -> bytes:
    """
    Hide the credentials of an C{Authorization} header, but not their scheme.
    """
    scheme, space, _ = value.partition(b" ")
    return scheme + b" " + _STARS if space and scheme.isalpha() else _STARS


def _hideCookies(value: bytes) -> bytes:
    """
    Hide the values of cookies, but not their names.
    """
    return b"; ".join(map(_hideCookie, value.split(b";")))


def _hideCookie(pair: bytes) -> bytes:
    name, equals, _ = pair.strip().partition(b"=")
    return name + equals + _STARS if equals else _STARS


def _hideSetCookie(value: bytes) -> bytes:
    pair, semicolon, attributes = value.partition(b";")
    return _hideCookie(pair) + semicolon + attributes


def _hideSubprotocols(value: bytes) -> bytes:
    """
    Hide what isn't the name of a subprotocol: browsers can send a token here, and
    nowhere else.
    """
    shown = []
    follows = False
    for name in (each.strip() for each in value.split(b",")):
        isMarker = name.lower() in _MARKERS
        isWord = all(map(_WORD.fullmatch, re.split(rb"[._/-]", name)))
        isShown = isMarker or (isWord and len(name) <= 32 and not follows)
        if not isMarker and _SECRET_NAME.search(name):
            isShown = False
        shown.append(name if isShown else _STARS)
        follows = follows or isMarker
    return b", ".join(shown)


_SPECIAL: Final[dict[bytes, Callable[[bytes], bytes]]] = {
    b"authorization": _hideCredentials,
    b"proxy-authorization": _hideCredentials,
    b"cookie": _hideCookies,
    b"set-cookie": _hideSetCookie,
    b"sec-websocket-protocol": _hideSubprotocols,
}
