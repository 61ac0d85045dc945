"""
The check of the C{Origin} header: which pages may connect (RFC 6455 section 10.2).

A browser lets any page connect to any WebSocket server, with the user's cookies. It
also sends the page's origin, which the page can't forge.

Origins are compared as a whole: scheme, host and port must be equal. A text that only
contains an allowed origin doesn't match.
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
The rule that allows every page.
"""

SAME_HOST: Final = "same-host"
"""
The rule that allows pages from the host and port that they connect to.
"""

NULL: Final = "null"
"""
The rule that allows pages without an origin of their own: files and sandboxed frames.
Anybody can make such a page.
"""

_MAX_SIZE: Final = 512
"""
The maximum length of an origin, in characters. A host name has up to 253.
"""

_LABEL: Final = r"[A-Za-z0-9_\-]+"

_ORIGIN: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://"
    rf"(?P<host>\[[0-9A-Fa-f:.]+\]|{_LABEL}(?:\.{_LABEL})*\.?)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)
"""
What browsers send: host names in punycode, no user, no path, no leading zeros (the HTML
standard, "serialization of an origin").
"""

_WILDCARD: Final = re.compile(
    rf"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*://)\*\.(?P<rest>{_LABEL}(?:[.:].*)?)"
)

_HOST: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]{0,5}))?")

_KEPT: Final = 64
"""
The number of pairs of origin and host in the cache: a server has few of its own, and
anybody can send others.
"""

_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}

Origin = tuple[str, str, int]


def parseOrigin(origin: str) -> Origin:
    """
    Parse an origin (RFC 6454 section 6.2).

    @param origin: C{"https://example.org"}; nothing may follow the port.
    @return: scheme and host in lower case, and port; -1 for a scheme without a default
        port.
    @raise ValueError: the text isn't an origin.
    """
    return _parse(origin, origin)


def _parse(origin: str, shown: str) -> Origin:
    """
    @param shown: the text that an error quotes.
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
        raise _wrong(shown, f"{match['host']} is not an IPv6 address")
    return scheme, host, port


def _canonical(host: str) -> str | None:
    """
    Return the canonical form of a host.

    @return: C{None} for brackets without an IPv6 address in them.
    """
    if not host.startswith("["):
        return host.lower()
    try:
        return f"[{IPv6Address(host[1:-1])}]"
    except ValueError:
        return None


def parseRule(rule: str) -> tuple[Origin, bool]:
    """
    Parse a rule that names an origin, or all origins below a name.

    @param rule: C{"https://example.org"} or C{"https://*.example.org:8443"}.
    @return: the origin, and whether the rule means the hosts below its host.
    @raise ValueError: the rule is invalid, or no page can have such an origin; the
        message tells the fix.
    """
    wildcard = _WILDCARD.fullmatch(rule)
    if wildcard is None:
        origin = parseOrigin(rule)
    else:
        origin = _parse(wildcard["scheme"] + wildcard["rest"], rule)
    scheme, host, _ = origin
    if scheme in ("ws", "wss"):
        better = scheme.replace("ws", "http") + rule[len(scheme) :]
        raise _wrong(rule, f"a rule is the page's origin: use {better}")
    last = host.removesuffix(".").rpartition(".")[2]
    if last.isdigit() or last.startswith("0x"):
        _checkIPv4(rule, host, wildcard is not None)
    elif wildcard is not None:
        if host.endswith("."):
            raise _wrong(rule, "remove the dot at the end")
        if "." not in host and host != "localhost":
            raise _wrong(
                rule,
                f"anybody can have a name below {host}; at least two names must follow "
                "the star, as in https://*.example.org",
            )
    return origin, wildcard is not None


def _checkIPv4(rule: str, host: str, isWildcard: bool) -> None:
    """
    Check a host that ends in a number. Browsers take it for an IPv4 address (the URL
    standard, "ends in a number checker").
    """
    if isWildcard:
        raise _wrong(rule, "addresses have no names below them; list each address")
    try:
        IPv4Address(host)
    except ValueError:
        raise _wrong(rule, f"{host} is not an IPv4 address") from None


def _wrong(text: str, why: str) -> ValueError:
    shown = text if len(text) <= _MAX_SIZE else text[:64] + "…"
    return ValueError(f"{shown!r} is not an origin like https://example.org: {why}")


def _whyNot(text: str) -> str:
    """
    Explain why a text isn't an origin, for the operator who wrote it as a rule.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        return "it must begin with https:// or another scheme"
    if not text.isascii():
        return "write the name in punycode (xn--…), as browsers send it"
    if scheme == "file":
        return "pages from files have the origin null; use the rule null"
    if "*" in rest:
        return "a star may only replace the first names, as in https://*.example.org"
    if any(character in rest for character in "/?#"):
        return "nothing may follow the host and the port, not even a slash"
    if "@" in rest:
        return "an origin has no user"
    if len(text) > _MAX_SIZE:
        return f"it is longer than {_MAX_SIZE} characters"
    if re.search(r":0|:$", rest):
        return "a port is from 1 to 65535, without leading zeros"
    return "the host or the port is invalid"


class OriginRules:
    """
    The origins that a server allows.
    """

    def __init__(self, rules: Sequence[str] = (SAME_HOST,)) -> None:
        """
        @param rules: L{ANY}, L{SAME_HOST}, L{NULL}, exact origins, or
            C{"https://*.example.org"}: all hosts below C{example.org} with this scheme
            and port, but not C{example.org} itself.
        @raise ValueError: a rule is invalid; the message says which, and why.
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
        Tell whether a handshake is allowed.

        @param origin: its C{Origin} header; C{None} if it has none, as from clients
            that aren't browsers. Those are allowed: they could send any origin.
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
        Tell whether a handshake is from a page that a rule names: an exact origin, one
        below a name, or the same host. Credentials that browsers send by themselves,
        such as cookies, may count then.

        A handshake without an origin, or one that only L{ANY} or L{NULL} allows, isn't
        trusted.

        @param origin: its C{Origin} header; C{None} if it has none.
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
    Compare an origin with a C{Host} header. A C{Host} without a port has the default
    port of the origin's scheme, because behind a proxy that ends TLS, the server's own
    scheme differs. Only C{http:} and C{https:} pages are from a host; an extension or
    an app with the same name isn't.
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
Allows only the server's own pages.
"""
