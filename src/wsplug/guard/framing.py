"""
Which sites may show the applications' pages in a frame: the protection against
clickjacking.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wsplug.guard.origins import ANY, NONE, SAME_HOST, SAME_ORIGIN, parseRule

__all__ = ["frameHeaders"]

_OWN: Final = (SAME_ORIGIN, SAME_HOST)
"""
The second was the name of the first. A policy can't name all ports of a host.
"""


def frameHeaders(rules: Sequence[str]) -> tuple[tuple[bytes, bytes], ...]:
    """
    Make the response headers: C{frame-ancestors} (Content Security Policy Level 3,
    section 6.4.2) and, if it can express the same, C{X-Frame-Options} (RFC 7034) for
    old browsers.

    @param rules: C{"same-origin"}, C{"none"} alone, C{"*"}, or origins as for
        L{wsplug.guard.origins.OriginRules}.
    @return: names and values; empty if all sites may.
    @raise ValueError: a rule is invalid.
    """
    sources = []
    for rule in rules:
        if rule in _OWN:
            sources.append("'self'")
        elif rule == NONE:
            if len(rules) > 1:
                raise ValueError("'none' can't be combined with other rules")
            sources.append("'none'")
        elif rule != ANY:
            parseRule(rule)
            sources.append(rule)
    if ANY in rules:
        return ()
    policy = " ".join(sources) or "'none'"
    headers = [
        (b"Content-Security-Policy", f"frame-ancestors {policy}".encode("ascii"))
    ]
    old = {"'self'": b"SAMEORIGIN", "'none'": b"DENY"}.get(policy)
    if old is not None:
        headers.append((b"X-Frame-Options", old))
    return tuple(headers)
