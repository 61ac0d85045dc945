"""
The headers of proxies about the client: C{X-Forwarded-For}, C{X-Forwarded-Proto}, and
C{Forwarded} (RFC 7239).

Each proxy appends an element to the headers of the request. So they are read from the
right: the last element is from the proxy that sent the request, the one before from the
proxy in front of that one, and further left are elements that the client may have
forged. Nothing to the left of an element changes how it is parsed, not even an open
quote or a backslash.

L{wsplug.guard.proxies} decides which proxies are trusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from wsplug.codec.hosts import Host, parse_host

__all__ = ["Hop", "read_forwarded", "read_schemes", "read_x_forwarded_for"]


class Hop(NamedTuple):
    """
    What a proxy tells about the connection on which it received a request.

    @ivar host: the peer's address; C{None} if the proxy doesn't tell it.
    @ivar port: the peer's port, or 0.
    @ivar scheme: in lower case: C{"https"}; C{None} if the proxy doesn't tell it.
    """

    host: Host | None = None
    port: int = 0
    scheme: str | None = None


def read_x_forwarded_for(values: Sequence[bytes]) -> Iterator[Hop | None]:
    """
    Read C{X-Forwarded-For}.

    @param values: those of all such headers, in their order.
    @return: the elements, the last one first; C{None} for each that is malformed.
    """
    for value in reversed(values):
        while True:
            value, comma, element = value.rpartition(b",")
            yield _read_node(element.strip(b" \t"), bare=True)
            if not comma:
                break


def read_schemes(values: Sequence[bytes]) -> list[str | None]:
    """
    Read C{X-Forwarded-Proto}.

    @param values: those of all such headers, in their order.
    @return: the elements, the last one first, in lower case; C{None} for each that is
        malformed.
    """
    elements = b",".join(values).split(b",") if values else []
    return [_read_scheme(element.strip(b" \t")) for element in reversed(elements)]


def read_forwarded(values: Sequence[bytes]) -> Iterator[Hop | None]:
    """
    Read C{Forwarded} (RFC 7239 section 4).

    @param values: those of all such headers, in their order.
    @return: the elements, the last one first; C{None} for each that is malformed.
    """
    for value in reversed(values):
        end = len(value)
        while end >= 0:
            start = _find_comma(value, end)
            yield _read_element(value[start + 1 : end].strip(b" \t"))
            end = start


_QUOTE: Final = ord('"')
_COMMA: Final = ord(",")
_BACKSLASH: Final = ord("\\")


def _find_comma(value: bytes, end: int) -> int:
    """
    Find the comma before the element that ends at an index, outside quotes.

    @return: its index; -1 if there is none.
    """
    quoted = False
    position = end - 1
    while position >= 0:
        octet = value[position]
        if octet == _COMMA and not quoted:
            return position
        position -= 1
        if octet == _QUOTE:
            before = position
            while position >= 0 and value[position] == _BACKSLASH:
                position -= 1
            # Behind an odd number of backslashes it is one of the text.
            if (before - position) % 2 == 0:
                quoted = not quoted
    return -1


# Values may have what only a quoted string should: colons and brackets of addresses.
_PAIR: Final = re.compile(
    rb"(?P<name>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)="
    rb'(?:(?P<bare>[!#$%&\'*+\-.^_`|~0-9A-Za-z:\[\]]+)|"(?P<quoted>(?:[^"\\]|\\.)*)")'
    rb"[ \t]*(?:;[ \t]*|\Z)"
)
_ESCAPED: Final = re.compile(rb"\\(.)")


def _read_element(element: bytes) -> Hop | None:
    pairs: dict[bytes, bytes] = {}
    position = 0
    while position < len(element):
        match = _PAIR.match(element, position)
        if match is None:
            return None
        name = match["name"].lower()
        if name in pairs:  # RFC 7239 section 4: not more than once
            return None
        bare = match["bare"]
        pairs[name] = bare if bare else _ESCAPED.sub(rb"\1", match["quoted"])
        position = match.end()
    scheme = None
    if b"proto" in pairs:
        scheme = _read_scheme(pairs[b"proto"])
        if scheme is None:
            return None
    if b"for" not in pairs:
        # One that says anything else says that it doesn't tell.
        return Hop(scheme=scheme) if pairs else None
    hop = _read_node(pairs[b"for"])
    return None if hop is None else hop._replace(scheme=scheme)


_SCHEME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*")


def _read_scheme(text: bytes) -> str | None:
    return text.decode("ascii").lower() if _SCHEME.fullmatch(text) else None


_NODE: Final = re.compile(
    rb"(?:\[(?P<six>[^\]]*)\]|(?P<name>[^:\[\]]*))"
    rb"(?::(?:(?P<port>[0-9]{1,5})|_[0-9A-Za-z._\-]+))?"
)
_HIDDEN: Final = re.compile(rb"_[0-9A-Za-z._\-]+")


def _read_node(text: bytes, bare: bool = False) -> Hop | None:
    """
    Read a node (RFC 7239 section 6): an address with or without a port, C{unknown} or a
    made-up name.

    @param bare: whether an IPv6 address may come without its brackets, and C{unix:} for
        a client that came through a UNIX socket, as nginx puts it.
    @return: C{None} if it isn't valid.
    """
    if bare and (text.count(b":") > 1 and not text.startswith(b"[")):
        host = _read_host(text)
        return None if host is None else Hop(host)
    if bare and text == b"unix:":
        return Hop()
    match = _NODE.fullmatch(text)
    if match is None:
        return None
    six, name = match["six"], match["name"]
    if name is not None and (name.lower() == b"unknown" or _HIDDEN.fullmatch(name)):
        return Hop()
    host = _read_host(name if six is None else six)
    # In brackets there may be no IPv4 address; one as IPv6 has it is fine.
    if host is None or (six is not None and b":" not in six):
        return None
    port = int(match["port"] or 0)
    return Hop(host, port) if port < 65536 else None


def _read_host(text: bytes) -> Host | None:
    try:
        return parse_host(text.decode("ascii"))
    except UnicodeDecodeError:
        return None
