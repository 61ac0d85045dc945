"""
The check of the C{Host} header, against DNS rebinding.

Once its page is loaded, a site can point its name at another machine's address. Its
page then talks to that machine as to its own server, with the same C{Origin} and
C{Host}, and reaches servers that only the visitor can reach. But it can't use an
address, or another name than its own, as the C{Host}.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from twisted.internet.interfaces import IAddress

from wsplug.codec import RequestHead
from wsplug.errors import HandshakeRefused
from wsplug.guard.origins import (
    ANY,
    NONE,
    OWN_ORIGIN,
    SAME_HOST,
    OriginRules,
    namedRules,
    parseRule,
)
from wsplug.guard.pagerefusals import refuseHost, showInput
from wsplug.networks import hostOf, parseHost

__all__ = ["HostRules"]

_LOOPBACK: Final = "localhost"
"""
For browsers, this name and all names below it are the machine itself (RFC 6761 section
6.3).
"""

_HOST: Final = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::[0-9]{0,5})?")

_MAX_SIZE: Final = 512
"""
The maximum size of a C{Host}, in bytes. A host name has up to 253.
"""

_KEPT: Final = 64
"""
The number of hosts in the cache: a server has few of its own, and anybody can send
others.
"""

_NAME: Final = re.compile(
    r"(\*\.)?[a-z0-9_]([a-z0-9_\-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_\-]*[a-z0-9_])?)*"
)

_MARKS: Final = (
    b"x-forwarded-for",
    b"forwarded",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-real-ip",
    b"via",
)
"""
Headers that proxies add. Pages can't add any to a WebSocket handshake.
"""

_FORBIDDEN: Final = (b"via",)
"""
Those of them that pages can't add to other requests either (the Fetch standard,
"forbidden request-header").
"""


class HostRules:
    """
    The hosts that are accepted in requests from this machine.
    """

    def __init__(
        self,
        origins: Sequence[str] = (SAME_HOST,),
        names: Iterable[str] = (),
        *,
        forAll: bool = False,
    ) -> None:
        """
        @param origins: the allowed origins. Their hosts are accepted.
        @param names: additional hosts: C{"chat.test"}, C{"*.chat.test"} for all names
            below it, C{"*"} for any.
        @param forAll: whether to check requests from everywhere, and to accept pages
            from the request's host only.
        @raise ValueError: an origin or a name is invalid.
        """
        self._names = {_LOOPBACK}
        self._above = {_LOOPBACK}
        self._any = False
        self._forAll = forAll
        named = namedRules(origins)
        self._origins = OriginRules((NONE, *named))
        for rule in named:
            (scheme, host, _), below = parseRule(rule)
            if scheme in ("http", "https"):
                (self._above if below else self._names).add(host)
        for name in names:
            self._add(name)
        self._knowsKept = lru_cache(maxsize=_KEPT)(self._knows)

    def _add(self, name: str) -> None:
        if name == ANY:
            self._any = True
            return
        plain = name.lower().removesuffix(".")
        if not _NAME.fullmatch(plain):
            raise ValueError(
                f"{name[:100]!r} is not a host name like chat.example.org, without "
                "scheme and port"
            )
        elif plain.startswith("*."):
            self._above.add(plain[2:])
        else:
            self._names.add(plain)

    def knows(self, host: bytes | None) -> bool:
        """
        Tell whether a C{Host} header has an accepted name, or an address.
        """
        return host is not None and len(host) <= _MAX_SIZE and self._knowsKept(host)

    def _knows(self, host: bytes) -> bool:
        match = _HOST.fullmatch(host.decode("latin-1"))
        if match is None:
            return False
        name = match[1].lower()
        if self._any or name in self._names or _isAddress(name):
            return True
        name = name.removesuffix(".")
        return name in self._names or self._isBelow(name)

    def _isBelow(self, name: str) -> bool:
        label, dot, above = name.partition(".")
        while dot and label:
            if above in self._above:
                return True
            label, dot, above = above.partition(".")
        return False

    def refusalOf(
        self, head: RequestHead, transport: Any, proxied: bool
    ) -> HandshakeRefused | None:
        """
        Check a request.

        @param transport: the connection's.
        @param proxied: whether a trusted proxy has sent it.
        @return: the refusal (RFC 9110 section 15.5.20); C{None} if it is accepted.
        """
        origins = head.all(b"origin")
        if not origins and not self._forAll:
            return None  # not from a page's script
        hosts = head.all(b"host")
        host = hosts[0] if len(hosts) == 1 else None
        if self.knows(host):
            own = not origins or OWN_ORIGIN.allow(origins[0], host)
            if self._forAll and not (own and len(origins) < 2):
                shown = ", ".join(map(showInput, origins[:2]))
                return HandshakeRefused(
                    403,
                    f"pages of {shown} may not use an admin endpoint",
                    setting="origin",
                )
            return None
        if not self._forAll and (
            proxied
            or _isMarked(head)
            or (len(origins) == 1 and self._origins.isNamed(origins[0]))
            or not _isLocal(transport)
        ):
            return None
        return refuseHost(host)


def _isAddress(name: str) -> bool:
    if name.startswith("["):
        return ":" in name and parseHost(name[1:-1]) is not None
    return parseHost(name) is not None


def _isMarked(head: RequestHead) -> bool:
    """
    Tell whether a request has a proxy's header that a page can't add.
    """
    marks = _MARKS if head.all(b"sec-websocket-key") else _FORBIDDEN
    return any(head.all(mark) for mark in marks)


def _isLocal(transport: Any) -> bool:
    """
    Tell whether a connection is from this machine. Browsers don't use UNIX sockets.
    """
    peer: IAddress = transport.getPeer()
    host = hostOf(peer)
    return host is not None and (
        host.is_loopback or host == hostOf(transport.getHost())
    )
