"""
The check of the C{Origin} header: which pages may connect (RFC 6455 section 10.2).

A browser lets any page connect to any WebSocket server, with the user's cookies. It
also sends the page's origin, which the page can't forge.

Named origins are compared as a whole: scheme, host and port must be equal. A text that
only contains an allowed origin doesn't match. The server's own pages are known by their
host, as cookies are, or by their host and port.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from wsplug.networks import parseHost

__all__ = [
    "ANY",
    "FILE",
    "NONE",
    "NULL",
    "NULL_ALLOWED",
    "OWN_ORIGIN",
    "SAME_HOST",
    "SAME_ORIGIN",
    "OriginRules",
    "completeRules",
    "namedRules",
    "parseOrigin",
    "parseRule",
    "strictRules",
]

ANY: Final = "*"
"""
The rule that allows every page.
"""

SAME_HOST: Final = "same-host"
"""
The rule that allows pages from the host that they connect to, whichever their port. It
applies unless L{SAME_ORIGIN} or L{NONE} does.
"""

SAME_ORIGIN: Final = "same-origin"
"""
The rule that allows pages from the host and port that they connect to.
"""

NONE: Final = "none"
"""
The rule that allows no page but those of other rules.
"""

NULL: Final = "null"
"""
The rule that allows pages with an opaque origin: files and sandboxed frames. Any page
can make such a frame.
"""

NULL_ALLOWED: Final = (
    "--origin null lets every page connect: any page can make a frame with this origin"
)
"""
What the log says of L{NULL}.
"""

FILE: Final = "file://"
"""
The rule that allows pages from files in those web views that send this origin. Browsers
send L{NULL}.
"""

_FILES: Final = (FILE, "file:")

_OWN: Final = (SAME_HOST, SAME_ORIGIN, NONE)

_WORDS: Final = (ANY, NULL, *_FILES, *_OWN)

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

_MAX_PORT: Final = 65535

_PAGES: Final = ("http", "https")

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
    if port > _MAX_PORT:
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
    if scheme == "file" or text.startswith("file:"):
        return "pages from files have the origin null, in some web views file://"
    if not separator:
        return "it must begin with https:// or another scheme"
    if not text.isascii():
        return "write the name in punycode (xn--…), as browsers send it"
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


def namedRules(rules: Sequence[str]) -> list[str]:
    """
    Return the rules that name an origin, or all origins below a name.
    """
    return [rule for rule in rules if rule not in _WORDS]


def completeRules(rules: Sequence[str]) -> tuple[str, ...]:
    """
    Return all rules that apply: those given and, unless one of them is about the
    server's own pages, L{SAME_HOST}.
    """
    if any(rule in _OWN for rule in rules):
        return tuple(rules)
    return (SAME_HOST, *rules)


def strictRules(rules: Sequence[str]) -> tuple[str, ...]:
    """
    Return rules for an endpoint of operators: with L{SAME_ORIGIN} for L{SAME_HOST}.
    """
    return tuple(
        SAME_ORIGIN if rule == SAME_HOST else rule for rule in completeRules(rules)
    )


class OriginRules:
    """
    The origins that a server allows.

    @ivar isFixed: whether no option changes them.
    """

    def __init__(self, rules: Sequence[str] = (), *, fixed: bool = False) -> None:
        """
        @param rules: L{ANY}, L{NULL}, L{FILE}, exact origins, or
            C{"https://*.example.org"}: all hosts below C{example.org} with this scheme
            and port, but not C{example.org} itself. They add to L{SAME_HOST}, unless
            L{SAME_ORIGIN} or L{NONE} is among them.
        @param fixed: whether no option changes the rules, as for an endpoint of
            operators.
        @raise ValueError: a rule is invalid; the message says which, and why.
        """
        others = [each for each in (ANY, SAME_HOST, SAME_ORIGIN) if each in rules]
        if NONE in rules and others:
            raise ValueError(f"'none' can't be combined with {others[0]!r}")
        rules = completeRules(rules)
        self.isFixed = fixed
        self._any = ANY in rules
        self._null = NULL in rules
        self._file = any(each in rules for each in _FILES)
        self._sameHost = SAME_HOST in rules
        self._sameOrigin = SAME_ORIGIN in rules
        parsed = [parseRule(rule) for rule in namedRules(rules)]
        self._exact = frozenset(origin for origin, below in parsed if not below)
        self._above = frozenset(origin for origin, below in parsed if below)
        self._judgeKept = lru_cache(maxsize=_KEPT)(self._judge)

    @property
    def hasNull(self) -> bool:
        """
        Whether pages with an opaque origin are allowed by name.
        """
        return self._null

    def allow(
        self, origin: bytes | None, host: bytes | None, secure: bool = False
    ) -> bool:
        """
        Tell whether a handshake is allowed.

        @param origin: its C{Origin} header; C{None} if it has none, as from clients
            that aren't browsers. Those are allowed: they could send any origin.
        @param host: its C{Host} header.
        @param secure: whether the client uses TLS.
        """
        return (
            origin is None
            or self._any
            or (self._null and origin == b"null")
            or (self._file and origin == b"file://")
            or self.isTrusted(origin, host, secure)
        )

    def isTrusted(
        self, origin: bytes | None, host: bytes | None, secure: bool = False
    ) -> bool:
        """
        Tell whether a handshake is from a page that a rule names, or from one of the
        server's own. Cookies, which browsers send by themselves, may count then.

        A handshake without an origin, or one that only L{ANY}, L{NULL} or L{FILE}
        allows, isn't trusted.

        @param origin: its C{Origin} header; C{None} if it has none.
        @param host: its C{Host} header.
        @param secure: whether the client uses TLS.
        """
        return (
            origin is not None
            and len(origin) <= _MAX_SIZE
            and self._judgeKept(origin, host, secure)
        )

    def isNamed(self, origin: bytes | None) -> bool:
        """
        Tell whether a handshake is from a page that a rule names: an exact origin, or
        one below a name.

        @param origin: its C{Origin} header; C{None} if it has none.
        """
        return self.isTrusted(origin, None)

    def _judge(self, origin: bytes, host: bytes | None, secure: bool) -> bool:
        try:
            parsed = parseOrigin(origin.decode("ascii"))
        except ValueError:
            return False
        return (
            parsed in self._exact
            or (bool(self._above) and self._isBelow(parsed))
            or (host is not None and self._isOwn(parsed, host, secure))
        )

    def _isBelow(self, origin: Origin) -> bool:
        scheme, host, port = origin
        _, dot, above = host.partition(".")
        while dot:
            if (scheme, above, port) in self._above:
                return True
            _, dot, above = above.partition(".")
        return False

    def _isOwn(self, origin: Origin, host: bytes, secure: bool) -> bool:
        """
        Compare an origin with a C{Host} header. Only C{http:} and C{https:} pages are
        from a host; an extension or an app with the same name isn't. Who controls the
        network can change an C{http:} page, so it may not connect over TLS.

        Behind a proxy that ends TLS, the server's own scheme differs from the page's.
        So for L{SAME_ORIGIN}, a C{Host} without a port has the default port of the
        origin's scheme.
        """
        scheme, name, port = origin
        if scheme not in _PAGES or not (self._sameHost or self._sameOrigin):
            return False
        match = _HOST.fullmatch(host.decode("ascii", "replace"))
        if match is None:
            return False
        hostName = _canonical(match["host"])
        hostPort = int(match["port"]) if match["port"] else _PORTS[scheme]
        if scheme == "http" and (secure or hostPort == _PORTS["https"]):
            return False
        if self._sameHost and hostPort <= _MAX_PORT:
            return hostName == name or (_isLoopback(hostName) and _isLoopback(name))
        return hostName == name and hostPort == port


def _isLoopback(name: str | None) -> bool:
    """
    Tell whether a host is the machine of the browser itself: C{localhost}, a name below
    it (RFC 6761 section 6.3), or a loopback address. The unspecified addresses lead
    there too: C{python -m http.server} shows C{http://0.0.0.0:8000/}.

    @param name: from L{_canonical}.
    """
    if name is None:
        return False
    plain = name.removesuffix(".")
    if plain == "localhost" or plain.endswith(".localhost"):
        return True
    address = parseHost(name.strip("[]"))
    return address is not None and (address.is_loopback or address.is_unspecified)


OWN_ORIGIN: Final = OriginRules((SAME_ORIGIN,))
"""
Allows only the server's own pages, by their host and port.
"""
