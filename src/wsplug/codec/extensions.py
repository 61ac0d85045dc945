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
A name, perhaps with a value, and what it ends with.
"""

_TOKEN_ONLY: Final = re.compile(TOKEN)

_EMPTY: Final = re.compile(rb"[ \t]*(?:,|\Z)")
"""
An element of the list in which nothing is.
"""

_KEPT: Final = 32
"""
Headers whose reading is kept for the next handshake: each kind of client offers the
same at all times, and there are few kinds. Anybody can send others: no more are kept.
"""

_KEPT_SIZE: Final = 256
"""
Bytes that one of those may have. Clients send a fifth of that.
"""


@dataclass(frozen=True)
class Extension:
    """
    One offer.

    @ivar name: the extension's, as it was sent: C{"permessage-deflate"}.
    @ivar parameters: names and values in their order, C{None} for no value.
    """

    name: str
    parameters: tuple[tuple[str, str | None], ...] = ()


def parse_extensions(values: Iterable[bytes]) -> tuple[Extension, ...]:
    """
    Read all of a request's extension headers.

    @param values: of the headers, in their order.
    @return: the offers, the client's preferred first.
    @raise HandshakeRefused: one doesn't follow the grammar (400; the section wants
        the connection failed then).
    """
    offers: list[Extension] = []
    for value in values:
        short = len(value) <= _KEPT_SIZE
        offers.extend(_parse_kept(value) if short else _parse_value(value))
    return tuple(offers)


def _parse_value(value: bytes) -> tuple[Extension, ...]:
    """
    Read one of the headers.

    @raise HandshakeRefused: it doesn't follow the grammar.
    """
    offers: list[Extension] = []
    position = 0
    parts: list[tuple[str, str | None]] = []
    while position < len(value) or parts:
        # RFC 9110 section 5.6.1.2: empty elements of a list are ignored.
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
                raise _malformed()  # an extension's name has no value itself
            offers.append(Extension(name, tuple(parts[1:])))
            parts = []
    return tuple(offers)


_parse_kept = lru_cache(maxsize=_KEPT)(_parse_value)


def _value(match: re.Match[bytes]) -> str | None:
    if match["quoted"] is not None:
        unquoted = re.sub(rb"\\(.)", rb"\1", match["quoted"])
        if not _TOKEN_ONLY.fullmatch(unquoted):
            raise _malformed()  # must be a token once it is unquoted
        return unquoted.decode("ascii")
    value: bytes | None = match["value"]
    return None if value is None else value.decode("ascii")


def _malformed() -> HandshakeRefused:
    return HandshakeRefused(400, "malformed Sec-WebSocket-Extensions header")
