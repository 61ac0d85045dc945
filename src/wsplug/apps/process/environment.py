"""
What a program is told of the request, as CGI tells it (RFC 3875 section 4.1).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, Final

from wsplug import __version__
from wsplug.interfaces import IHandshakeRequest

__all__ = ["inherited", "ofRequest", "ofRoom", "ofServer"]

_LEFT_OUT: Final = frozenset(
    {
        b"authorization",
        b"proxy-authorization",
        b"content-length",
        b"content-type",
        b"proxy",
    }
)
"""
Headers that no program gets: passwords, which anybody may read who sees the environment
(RFC 3875 section 4.1.18), what CGI has other names for, and what would become the
variable that programs take for their own proxy.
"""

_NAME: Final = re.compile(rb"[A-Za-z0-9-]+")


def inherited(names: Iterable[str]) -> dict[bytes, bytes]:
    """
    Give variables of the server's own environment.

    @param names: of those that a program gets, where they are set.
    """
    return {
        os.fsencode(name): os.fsencode(os.environ[name])
        for name in names
        if name in os.environ
    }


def ofServer() -> dict[bytes, bytes]:
    """
    Give what holds for each program.
    """
    return {
        b"GATEWAY_INTERFACE": b"CGI/1.1",
        b"SERVER_SOFTWARE": b"wsplug/" + __version__.encode("ascii"),
    }


def ofRoom(name: str) -> dict[bytes, bytes]:
    """
    Give what holds for a room's program.
    """
    return {**ofServer(), b"PATH_INFO": b"/" + name.encode("utf-8")}


def ofRequest(request: IHandshakeRequest) -> dict[bytes, bytes]:
    """
    Give what holds for the program of a single client.
    """
    client: Any = request.getClientAddress()
    variables = {
        **_ofHeaders(request),
        **ofServer(),
        b"PATH_INFO": _path(request.postpath),
        b"QUERY_STRING": request.uri.partition(b"?")[2],
        b"REMOTE_ADDR": _address(client),
        b"REMOTE_PORT": _port(client),
        b"REQUEST_METHOD": request.method,
        b"REQUEST_URI": request.uri,
        b"SCRIPT_NAME": _path(request.prepath),
        b"SERVER_PROTOCOL": b"HTTP/1.1",
        **_ofHost(request),
    }
    if request.isSecure():
        variables[b"HTTPS"] = b"on"
    name = getattr(request.avatar, "name", None)
    if isinstance(name, str) and "\0" not in name:
        variables[b"REMOTE_USER"] = name.encode("utf-8", "replace")
    return variables


def _ofHost(request: IHandshakeRequest) -> dict[bytes, bytes]:
    """
    Give the name that the client knows the server by, and the port that it came to;
    the one that it meant where it came through a UNIX socket.
    """
    name, _, port = (request.getHeader(b"host") or b"").rpartition(b":")
    if not port.isdigit():  # the name alone, which may be an IPv6 address
        name, port = name + b":" + port if name else port, b""
    default = b"443" if request.isSecure() else b"80"
    return {
        b"SERVER_NAME": name,
        b"SERVER_PORT": _port(request.getHost()) or port or default,
    }


def _ofHeaders(request: IHandshakeRequest) -> dict[bytes, bytes]:
    """
    Give the request's headers. One with an underscore in its name is left out: it would
    pass for the one that has a dash there, which a proxy may have checked.
    """
    variables = {}
    for name, values in request.requestHeaders.getAllRawHeaders():
        lowered = name.lower()
        if lowered in _LEFT_OUT or not _NAME.fullmatch(name):
            continue
        separator = b"; " if lowered == b"cookie" else b", "
        key = b"HTTP_" + lowered.upper().replace(b"-", b"_")
        variables[key] = separator.join(values)
    return variables


def _path(segments: Iterable[bytes]) -> bytes:
    return b"".join(b"/" + segment for segment in segments)


def _address(address: Any) -> bytes:
    host: str = getattr(address, "host", "")
    return host.encode("ascii", "replace")


def _port(address: Any) -> bytes:
    port = getattr(address, "port", None)
    return str(port).encode("ascii") if port else b""
