"""
A program's environment variables, as in CGI (RFC 3875 section 4.1).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, Final

from wsplug import __version__
from wsplug.interfaces import IHandshakeRequest

__all__ = ["inherited", "ofRequest", "ofRoom", "ofServer"]

_EXCLUDED: Final = frozenset(
    {
        b"authorization",
        b"proxy-authorization",
        b"content-length",
        b"content-type",
        b"proxy",
    }
)
"""
Headers that programs don't get: credentials, because others may be able to read the
environment (RFC 3875 section 4.1.18); those with another name in CGI; and C{Proxy},
because programs would use HTTP_PROXY as their proxy.
"""

_NAME: Final = re.compile(rb"[A-Za-z0-9-]+")


def inherited(names: Iterable[str]) -> dict[bytes, bytes]:
    """
    Return variables of the server's own environment.

    @param names: the variables; those that aren't set are left out.
    """
    return {
        os.fsencode(name): os.fsencode(os.environ[name])
        for name in names
        if name in os.environ
    }


def ofServer() -> dict[bytes, bytes]:
    """
    Return the variables that all programs get.
    """
    return {
        b"GATEWAY_INTERFACE": b"CGI/1.1",
        b"SERVER_SOFTWARE": b"wsplug/" + __version__.encode("ascii"),
    }


def ofRoom(name: str) -> dict[bytes, bytes]:
    """
    Return the variables of a room's program.
    """
    return {**ofServer(), b"PATH_INFO": b"/" + name.encode("utf-8")}


def ofRequest(request: IHandshakeRequest) -> dict[bytes, bytes]:
    """
    Return the variables of a single client's program.
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
    Return the server's name, as the client knows it, and the port that it connected to;
    for UNIX sockets, the port of the Host header.
    """
    name, _, port = (request.getHeader(b"host") or b"").rpartition(b":")
    if not port.isdigit():  # no port; the name may be an IPv6 address
        name, port = name + b":" + port if name else port, b""
    default = b"443" if request.isSecure() else b"80"
    return {
        b"SERVER_NAME": name,
        b"SERVER_PORT": _port(request.getHost()) or port or default,
    }


def _ofHeaders(request: IHandshakeRequest) -> dict[bytes, bytes]:
    """
    Return the request's headers. Those with an underscore in the name are left out: in
    the environment, they look like the header with a dash, which a proxy may have
    checked.
    """
    variables = {}
    for name, values in request.requestHeaders.getAllRawHeaders():
        lowered = name.lower()
        if lowered in _EXCLUDED or not _NAME.fullmatch(name):
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
