"""
Which pages may connect: the check of the C{Origin} header (RFC 6455 section 10.2).

A browser lets any page connect to any WebSocket server, and sends the user's cookies
along. What it also sends, and no page can forge, is where the page is from.

An origin is compared as a whole: scheme, host and port, each of them to the letter. So
nothing that only looks like an origin, or has one somewhere in it, is one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final

__all__ = [
    "ANY",
    "NULL",
    "OWN_ORIGIN",
    "SAME_HOST",
    "OriginRules",
    "parseOrigin",
    "parseRule",
]

ANY: Final = "*"
"""
The rule that lets every page in.
"""

SAME_HOST: Final = "same-host"
"""
The rule that lets pages in that are from the host and port that they connect to.
"""

NULL: Final = "null"
"""
The rule that lets pages in that hide where they are from: files, sandboxed frames.
Everybody can make such a page.
"""

_MAX_SIZE: Final = 512
"""
Characters that an origin has at most: a host's name has up to 253.
"""

_LABEL: Final = r"[A-Za-z0-9_\-]+"

_ORIGIN: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://"
    rf"(?P<host>\[[0-9A-Fa-f:.]+\]|{_LABEL}(?:\.{_LABEL})*\.?)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)
"""
What browsers send: names in punycode, no user, no path, no leading zeros (the HTML
standard, "serialization of an origin").
"""

_WILDCARD: Final = re.compile(
    rf"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*://)\*\.(?P<rest>{_LABEL}(?:[.:].*)?)"
)

_HOST: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]{0,5}))?")

_KEPT: Final = 64
"""
Pages and hosts whose judgement is kept for the next handshake: a server has few that
are its own, and anybody can send others.
"""

_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}

Origin = tuple[str, str, int]


def parseOrigin(origin: str) -> Origin:
    """
    Take an origin apart (RFC 6454 section 6.2).

    @param origin: C{"https://example.org"}; nothing may follow the port.
    @return: scheme and host in lower case, and port; -1 for a scheme that has none.
    @raise ValueError: it is none.
    """
    return _parse(origin, origin)


def _parse(origin: str, shown: str) -> Origin:
    """
    @param shown: what an error names.
    """
    match = _ORIGIN.fullmatch(origin) if len(origin) <= _MAX_SIZE else None
    if match is None:
        raise _wrong(shown, _whyNot(origin))
    scheme = match["scheme"].lower()
    port = int(match["port"]) if match["port"] else _PORTS.get(scheme, -1)
    if port > 65535:
        raise _wrong(shown, "a port is from 1 to 65535")
    host = _canonical(match["host"])
    if host is None:
        raise _wrong(shown, f"{match['host']} is no IPv6 address")
    return scheme, host, port


def _canonical(host: str) -> str | None:
    """
    Write a host in one way only.

    @return: C{None} where it is in brackets and no IPv6 address.
    """
    if not host.startswith("["):
        return host.lower()
    try:
        return f"[{IPv6Address(host[1:-1])}]"
    except ValueError:
        return None


def parseRule(rule: str) -> tuple[Origin, bool]:
    """
    Take a rule apart that names an origin, or all below a name.

    @param rule: C{"https://example.org"} or C{"https://*.example.org:8443"}.
    @return: the origin, and whether hosts below its host are meant in place of it.
    @raise ValueError: it is none, or none that a browser's page could have; the message
        says what would be.
    """
    wildcard = _WILDCARD.fullmatch(rule)
    if wildcard is None:
        origin = parseOrigin(rule)
    else:
        origin = _parse(wildcard["scheme"] + wildcard["rest"], rule)
    scheme, host, _ = origin
    if scheme in ("ws", "wss"):
        better = scheme.replace("ws", "http") + rule[len(scheme) :]
        raise _wrong(rule, f"it is the page's that counts: say {better}")
    last = host.removesuffix(".").rpartition(".")[2]
    if last.isdigit() or last.startswith("0x"):
        _checkIPv4(rule, host, wildcard is not None)
    elif wildcard is not None:
        if host.endswith("."):
            raise _wrong(rule, "leave the dot at its end out")
        if "." not in host and host != "localhost":
            raise _wrong(
                rule,
                f"below {host} is everybody; two names have to follow the star, as in "
                "https://*.example.org",
            )
    return origin, wildcard is not None


def _checkIPv4(rule: str, host: str, isWildcard: bool) -> None:
    """
    Hold a host that ends in a number to what browsers make of it, which is an IPv4
    address (the URL standard, "ends in a number checker").
    """
    if isWildcard:
        raise _wrong(rule, "nothing is below an address; say each one")
    try:
        IPv4Address(host)
    except ValueError:
        raise _wrong(rule, f"{host} is no IPv4 address") from None


def _wrong(text: str, why: str) -> ValueError:
    shown = text if len(text) <= _MAX_SIZE else text[:64] + "…"
    return ValueError(f"{shown!r} is no origin like https://example.org: {why}")


def _whyNot(text: str) -> str:
    """
    Say what keeps a text from being an origin, as somebody would want to know who has
    written it as a rule.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        return "it begins with https:// or another scheme"
    if not text.isascii():
        return "write the name as browsers send it, in punycode (xn--…)"
    if scheme == "file":
        return "pages that are files have the origin null; the rule for those is null"
    if "*" in rest:
        return (
            "a star stands for whole names in front, as in https://*.example.org, and "
            "nowhere else"
        )
    if any(character in rest for character in "/?#"):
        return "nothing follows the host and the port, not even a slash"
    if "@" in rest:
        return "an origin has no user"
    if len(text) > _MAX_SIZE:
        return f"it has over {_MAX_SIZE} characters"
    if re.search(r":0|:$", rest):
        return "a port is from 1 to 65535, without zeros in front"
    return "that is no host, or no port"


class OriginRules:
    """
    The origins that a server lets in.
    """

    def __init__(self, rules: Sequence[str] = (SAME_HOST,)) -> None:
        """
        @param rules: L{ANY}, L{SAME_HOST}, L{NULL}, exact origins, or
            C{"https://*.example.org"}: all hosts that have one or more names in front
            of C{example.org}, with this scheme and port, but not that one itself.
        @raise ValueError: one is none of those; the message says which, and why.
        """
        self._any = ANY in rules
        self._null = NULL in rules
        self._sameHost = SAME_HOST in rules
        parsed = [
            parseRule(rule) for rule in rules if rule not in (ANY, NULL, SAME_HOST)
        ]
        self._exact = frozenset(origin for origin, below in parsed if not below)
        self._above = frozenset(origin for origin, below in parsed if below)
        self._judgeKept = lru_cache(maxsize=_KEPT)(self._judge)

    def allow(self, origin: bytes | None, host: bytes | None) -> bool:
        """
        Judge a handshake.

        @param origin: its C{Origin} header; C{None} where it has none, as from
            clients that are no browsers: they could send any.
        @param host: its C{Host} header.
        """
        return (
            origin is None
            or self._any
            or (self._null and origin == b"null")
            or self.isTrusted(origin, host)
        )

    def isTrusted(self, origin: bytes | None, host: bytes | None) -> bool:
        """
        Tell whether a handshake comes from a page that a rule speaks of: an exact
        origin, one below a name, or the same host. What comes along with it by itself,
        as cookies do, is the wish of that page then, and not of any page in the world.

        That a handshake has no origin, that L{ANY} lets it in, or that it is from
        nowhere and L{NULL} does, vouches for nobody.

        @param origin: its C{Origin} header; C{None} where it has none.
        @param host: its C{Host} header.
        """
        return (
            origin is not None
            and len(origin) <= _MAX_SIZE
            and self._judgeKept(origin, host)
        )

    def _judge(self, origin: bytes, host: bytes | None) -> bool:
        try:
            parsed = parseOrigin(origin.decode("ascii"))
        except ValueError:
            return False
        return (
            parsed in self._exact
            or (bool(self._above) and self._isBelow(parsed))
            or (self._sameHost and host is not None and _isSameHost(parsed, host))
        )

    def _isBelow(self, origin: Origin) -> bool:
        scheme, host, port = origin
        _, dot, above = host.partition(".")
        while dot:
            if (scheme, above, port) in self._above:
                return True
            _, dot, above = above.partition(".")
        return False


def _isSameHost(origin: Origin, host: bytes) -> bool:
    """
    Compare an origin with a Host header. A Host without a port has the origin's
    default one: behind a proxy that ends TLS, the server's own scheme says nothing.
    Only C{http:} and C{https:} pages are from a host: an extension or an app with the
    same name isn't.
    """
    if origin[0] not in ("http", "https"):
        return False
    match = _HOST.fullmatch(host.decode("ascii", "replace"))
    if match is None:
        return False
    scheme, name, port = origin
    hostPort = int(match["port"]) if match["port"] else _PORTS.get(scheme, -1)
    return _canonical(match["host"]) == name and hostPort == port


OWN_ORIGIN: Final = OriginRules((SAME_HOST,))
"""
Lets only the server's own pages in, which needn't be named.
"""
