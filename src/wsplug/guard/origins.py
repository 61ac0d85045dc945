"""
Which pages may connect: the check of the C{Origin} header (RFC 6455 section 10.2).

A browser lets any page connect to any WebSocket server, and sends the user's cookies
along. What it also sends, and no page can forge, is where the page is from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

__all__ = ["ANY", "SAME_HOST", "OriginRules", "parseOrigin"]

ANY: Final = "*"
"""
The rule that lets every page in.
"""

SAME_HOST: Final = "same-host"
"""
The rule that lets pages in that are from the host and port that they connect to.
"""

_ORIGIN: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/:@\[\]?#\\]+)(?::(?P<port>[0-9]{1,5}))?"
)
_HOST: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]{0,5}))?")
_KEPT: Final = 64
"""
Pages and hosts whose judgement is kept for the next handshake: a server has few that
are its own, and anybody can send others.
"""

_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def parseOrigin(origin: str) -> tuple[str, str, int]:
    """
    Take an origin apart (RFC 6454 section 6.2).

    @param origin: C{"https://example.org"}; nothing may follow the port.
    @return: scheme and host in lower case, and port; -1 for a scheme that has none.
    @raise ValueError: it is none.
    """
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        raise ValueError(f"{origin!r} is no origin like https://example.org")
    scheme = match["scheme"].lower()
    port = int(match["port"]) if match["port"] else _PORTS.get(scheme, -1)
    return scheme, match["host"].lower(), port


class OriginRules:
    """
    The origins that a server lets in.
    """

    def __init__(self, rules: Sequence[str] = (SAME_HOST,)) -> None:
        """
        @param rules: L{ANY}, L{SAME_HOST} or exact origins.
        @raise ValueError: one is none of those.
        """
        self._any = ANY in rules
        self._sameHost = SAME_HOST in rules
        self._exact = frozenset(
            parseOrigin(rule) for rule in rules if rule not in (ANY, SAME_HOST)
        )
        self._judgeKept = lru_cache(maxsize=_KEPT)(self._judge)

    def allow(self, origin: bytes | None, host: bytes | None) -> bool:
        """
        Judge a handshake.

        @param origin: its C{Origin} header; C{None} where it has none, as from
            clients that are no browsers: they could send any.
        @param host: its C{Host} header.
        """
        return origin is None or self._any or self._judgeKept(origin, host)

    def vouches(self, origin: bytes | None, host: bytes | None) -> bool:
        """
        Tell whether a handshake is from a page that is let in by more than L{ANY}: then
        what the browser sends by itself, as cookies, can be believed.

        @param origin: its C{Origin} header; C{None} where it has none.
        @param host: its C{Host} header.
        """
        return origin is not None and self._judgeKept(origin, host)

    def _judge(self, origin: bytes, host: bytes | None) -> bool:
        try:
            parsed = parseOrigin(origin.decode("ascii"))
        except ValueError:  # "null" too: a page that hides where it is from
            return False
        return parsed in self._exact or (
            self._sameHost and host is not None and _isSameHost(parsed, host)
        )


def _isSameHost(origin: tuple[str, str, int], host: bytes) -> bool:
    """
    Compare an origin with a Host header. A Host without a port has the origin's
    default one: behind a proxy that ends TLS, the server's own scheme says nothing.
    """
    match = _HOST.fullmatch(host.decode("ascii", "replace"))
    if match is None:
        return False
    scheme, name, port = origin
    hostPort = int(match["port"]) if match["port"] else _PORTS.get(scheme, -1)
    return match["host"].lower() == name and hostPort == port
