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
    rb"(?i)auth|token|secret|pass|pwd|cookie|credential|sess|jwt|bearer|signature"
    rb"|assertion|csrf|xsrf|saml|hmac|key$|^(sid|sig|code|ticket|otp|pin|pw)$"
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

_PARAMETER: Final = re.compile(rb"([^=;,?&#\s\"]+)=")
_PIECE: Final = re.compile(rb"([/?&#\s]+)")
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
    text = _USER.sub(b"//" + _STARS + b"@", text)
    return b"&".join(map(_hideValue, text.split(b"&")))


def _hideValue(text: bytes) -> bytes:
    """
    Hide what follows the name of a secret, to the end: its value may have any
    character. Without such a name, hide what looks like a token.
    """
    for found in _PARAMETER.finditer(text):
        if _isSecret(found[1]):
            return _hideTokens(text[: found.end()]) + _STARS
        # An address in an address, for example.
        value = text[found.end() :]
        nested = unquote_to_bytes(unquote_to_bytes(value))
        names = _PARAMETER.finditer(nested) if nested != value else ()
        if any(_isSecret(each[1]) for each in names):
            return _hideTokens(text[: found.end()]) + _STARS
    return _hideTokens(text)


def _isSecret(name: bytes) -> bool:
    return _SECRET_NAME.search(unquote_to_bytes(name)) is not None


def _hideTokens(text: bytes) -> bytes:
    """
    Hide the segments and words that look like tokens.
    """
    return b"".join(_TOKEN.sub(_STARS, each) for each in _PIECE.split(text))


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
