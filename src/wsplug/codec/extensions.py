"""
The C{Sec-WebSocket-Extensions} header (RFC 6455 section 9.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from wsplug.codec.httphead import TOKEN
from wsplug.errors import HandshakeRefused

__all__ = ["Extension", "parse_extensions"]

_PART: Final = re.compile(
    rb"[ \t]*(?P<name>%(token)s)[ \t]*"
    rb'(?:=[ \t]*(?:(?P<value>%(token)s)|"(?P<quoted>(?:[^"\\]|\\.)*)")[ \t]*)?'
    rb"(?P<end>[;,]|\Z)" % {b"token": TOKEN}
)
"""
A name with an optional value, and the separator after it.
"""

_TOKEN_ONLY: Final = re.compile(TOKEN)

_EMPTY: Final = re.compile(rb"[ \t]*(?:,|\Z)")
"""
An empty element of the list.
"""

_KEPT: Final = 32
"""
The number of cached results. Each kind of client always sends the same header, and
there are few kinds. The limit is for hostile clients, which can send any header.
"""

_KEPT_SIZE: Final = 256
"""
The maximum size of a cached header, in bytes. Clients send a fifth of that.
"""


@dataclass(frozen=True)
class Extension:
    """
    An offered extension.

    @ivar name: its name as sent, such as C{"permessage-deflate"}.
    @ivar parameters: pairs of name and value, in the order sent. The value is C{None}
        if there is none.
    """

    name: str
    parameters: tuple[tuple[str, str | None], ...] = ()


def parse_extensions(values: Iterable[bytes]) -> tuple[Extension, ...]:
    """
    Parse all extension headers of a request.

    @param values: the values of the headers, in the order sent.
    @return: the offers, in the client's order of preference.
    @raise HandshakeRefused: a header is malformed (400; the section requires the
        connection to fail).
    """
    offers: list[Extension] = []
    for value in values:
        short = len(value) <= _KEPT_SIZE
        offers.extend(_parse_kept(value) if short else _parse_value(value))
    return tuple(offers)


def _parse_value(value: bytes) -> tuple[Extension, ...]:
    """
    Parse one header.

    @raise HandshakeRefused: it is malformed.
    """
    offers: list[Extension] = []
    position = 0
    parts: list[tuple[str, str | None]] = []
    while position < len(value) or parts:
        # Ignore empty elements of a list (RFC 9110 section 5.6.1.2).
        empty = None if parts else _EMPTY.match(value, position)
        if empty is not None:
            position = empty.end()
            continue
        match = _PART.match(value, position)
        if match is None:
            raise _malformed()
        parts.append((match["name"].decode("ascii"), _value(match)))
        position = match.end()
        if match["end"] != b";":
            name, own_value = parts[0]
            if own_value is not None:
                raise _malformed()  # an extension's name can't have a value
            offers.append(Extension(name, tuple(parts[1:])))
            parts = []
    return tuple(offers)


_parse_kept = lru_cache(maxsize=_KEPT)(_parse_value)


def _value(match: re.Match[bytes]) -> str | None:
    if match["quoted"] is not None:
        unquoted = re.sub(rb"\\(.)", rb"\1", match["quoted"])
        if not _TOKEN_ONLY.fullmatch(unquoted):
            raise _malformed()  # the unquoted value must be a token
        return unquoted.decode("ascii")
    value: bytes | None = match["value"]
    return None if value is None else value.decode("ascii")


def _malformed() -> HandshakeRefused:
    return HandshakeRefused(400, "malformed Sec-WebSocket-Extensions header")
