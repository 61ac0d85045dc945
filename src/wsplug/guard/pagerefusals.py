"""
The refusals of pages: they name the origin or the host, and the option that allows it.

Both are the client's input. So a refusal has only those characters of them that can
stand in any text, and a limited number.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Final

from wsplug.errors import HandshakeRefused
from wsplug.guard.origins import FILE, NULL, OriginRules, parseRule

__all__ = ["refuseHost", "refuseOrigins", "showInput"]

_UNSHOWN: Final = re.compile(r"[^A-Za-z0-9.:/\[\]_+*@~-]")
"""
Everything else, such as the characters of HTML, is shown as a question mark.
"""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")

_MAX_SHOWN: Final = 300
"""
The maximum number of characters that are shown. A host name has up to 253.
"""


def refuseOrigins(
    rules: OriginRules, origins: Sequence[bytes], host: bytes | None, secure: bool
) -> HandshakeRefused:
    """
    Make the refusal for a handshake whose origin isn't allowed.

    @param rules: the rules that don't allow it.
    @param origins: the values of its C{Origin} headers.
    @param host: its C{Host} header.
    @param secure: whether the client uses TLS.
    """
    if len(origins) == 1:
        reason = _explain(rules, origins[0], host, secure)
    else:
        reason = "more than one Origin header"
    return HandshakeRefused(403, reason, setting="origin")


def _explain(
    rules: OriginRules, origin: bytes, host: bytes | None, secure: bool
) -> str:
    shown = showInput(origin)
    why = f"pages of {shown} may not connect"
    if origin in (NULL.encode("ascii"), FILE.encode("ascii")):
        why = f"pages with the origin {shown}, such as files, may not connect"
    elif secure and rules.isTrusted(origin, host):
        why = f"pages of {shown} may not connect over TLS, because they don't use it"
    if rules.isFixed:
        return why
    if origin == NULL.encode("ascii"):
        return f"{why}; --origin null allows them, and with them every page"
    if not _canBeRule(origin):
        return f"{why}; no option allows such an origin"
    return f"{why}; --origin {shlex.quote(shown)} allows them"


def _canBeRule(origin: bytes) -> bool:
    text = origin.decode("latin-1")
    if text == FILE:
        return True
    try:
        parseRule(text)
    except ValueError:
        return False
    return len(text) <= _MAX_SHOWN and "*" not in text


def refuseHost(host: bytes | None) -> HandshakeRefused:
    """
    Make the refusal for a request whose C{Host} isn't known as a name of the server
    (RFC 9110 section 15.5.20).

    @param host: the header; C{None} if there is none, or more than one.
    """
    shown = "" if host is None else showInput(host)
    name = shown.partition(":")[0]
    if _NAME.fullmatch(name) is None:
        name = "NAME"
    return HandshakeRefused(
        421,
        f"unknown Host {shown or '(none)'}: if it is the server's, name it with "
        f"--allowed-host {name}, or its proxy with "
        "--trusted-proxy",
        setting="allowed-host",
    )


def showInput(value: bytes) -> str:
    """
    Show what a client has sent, without the characters that have a meaning in some
    text.

    @return: at most L{_MAX_SHOWN} characters of ASCII, and an ellipsis.
    """
    shown = _UNSHOWN.sub("?", value[: _MAX_SHOWN + 1].decode("latin-1"))
    return shown if len(shown) <= _MAX_SHOWN else shown[:_MAX_SHOWN] + "..."
