"""
Checks and answers the opening handshake (RFC 6455 section 4.2).
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Iterable
from hashlib import sha1
from http import HTTPStatus
from typing import Final, NamedTuple

from wsplug.codec.extensions import Extension, parse_extensions
from wsplug.codec.httphead import TOKEN, RequestHead
from wsplug.errors import HandshakeRefused

__all__ = [
    "Upgrade",
    "accept_key",
    "check_upgrade",
    "encode_refusal",
    "encode_switch",
    "wants_upgrade",
]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""
The GUID for C{Sec-WebSocket-Accept} (section 1.3).
"""

_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==")
"""
16 bytes in base64, with unused bits 0 (section 4.2.1 number 5).
"""

_SUBPROTOCOL: Final = re.compile(TOKEN)

_SWITCH: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: "
)
"""
The beginning of each response that accepts a handshake (section 4.2.2 number 5).
"""

_FRAMING: Final = frozenset({b"connection", b"content-length", b"transfer-encoding"})
"""
The headers that delimit a refusal. Applications can't set them.
"""


class Upgrade(NamedTuple):
    """
    The content of a valid handshake.

    @ivar key: the value of C{Sec-WebSocket-Key}.
    @ivar subprotocols: the client's subprotocols, in order of preference.
    @ivar extensions: the client's offers, in order of preference.
    """

    key: bytes
    subprotocols: tuple[str, ...]
    extensions: tuple[Extension, ...]


def wants_upgrade(head: RequestHead) -> bool:
    """
    Return whether a request is a handshake, valid or not, and not a plain HTTP request.
    """
    return head.lists(b"upgrade", b"websocket")


def check_upgrade(head: RequestHead) -> Upgrade | HandshakeRefused:
    """
    Check a handshake, in the order of section 4.2.1.

    @param head: a head for which L{wants_upgrade} is true.
    @return: the handshake's content, or the refusal that answers it.
    """
    try:
        return _check_upgrade(head)
    except HandshakeRefused as refusal:
        # The traceback refers to the caller's frame, which refers to the refusal.
        return refusal.with_traceback(None)


def _check_upgrade(head: RequestHead) -> Upgrade:
    if head.method != b"GET":
        raise HandshakeRefused(
            405, "a WebSocket handshake must use GET", headers=[(b"Allow", b"GET")]
        )
    if head.version != (1, 1):
        raise HandshakeRefused(400, "a WebSocket handshake must use HTTP/1.1")
    if head.body_size != 0:
        raise HandshakeRefused(400, "a WebSocket handshake must not have a body")
    if not head.lists(b"connection", b"upgrade"):
        raise HandshakeRefused(
            400, "no 'Connection: Upgrade' header; a proxy may have removed it"
        )
    _check_version(head)
    keys = head.all(b"sec-websocket-key")
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise HandshakeRefused(
            400, "Sec-WebSocket-Key must occur once, with 16 bytes in base64"
        )
    return Upgrade(
        keys[0],
        _subprotocols(head.items(b"sec-websocket-protocol")),
        parse_extensions(head.all(b"sec-websocket-extensions")),
    )


def _check_version(head: RequestHead) -> None:
    """
    Require version 13 (section 4.4). Drafts of RFC 6455 sent other versions, or only
    C{Sec-WebSocket-Key1} and C{-Key2}. The refusal names the supported version.

    @raise HandshakeRefused: it is another version.
    """
    versions = head.all(b"sec-websocket-version")
    if len(versions) == 1 and versions[0] == b"13":
        return
    if len(versions) > 1:
        raise HandshakeRefused(400, "more than one Sec-WebSocket-Version header")
    raise HandshakeRefused(
        426,
        "only version 13 of the WebSocket protocol (RFC 6455) is supported",
        headers=[(b"Upgrade", b"websocket"), (b"Sec-WebSocket-Version", b"13")],
    )


def _subprotocols(items: Iterable[bytes]) -> tuple[str, ...]:
    """
    Parse the offered subprotocols (section 4.1 number 10), without duplicates.
    """
    names: dict[str, None] = {}
    for item in items:
        if not _SUBPROTOCOL.fullmatch(item):
            raise HandshakeRefused(400, "malformed Sec-WebSocket-Protocol header")
        names[item.decode("ascii")] = None
    return tuple(names)


def accept_key(key: bytes) -> bytes:
    """
    Compute the value of C{Sec-WebSocket-Accept} (section 4.2.2 number 5.4).
    """
    return b2a_base64(sha1(key + _GUID).digest(), newline=False)


def encode_switch(
    key: bytes,
    subprotocol: str | None,
    extensions: bytes | None,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> bytes:
    """
    Encode the response that opens the connection (section 4.2.2 number 5).

    @param key: the client's key.
    @param subprotocol: the selected subprotocol, if any.
    @param extensions: the value of C{Sec-WebSocket-Extensions}, if any.
    @param headers: additional headers, without line ends.
    """
    lines = [_SWITCH + accept_key(key)]
    if subprotocol is not None:
        lines.append(b"Sec-WebSocket-Protocol: " + subprotocol.encode("ascii"))
    if extensions is not None:
        lines.append(b"Sec-WebSocket-Extensions: " + extensions)
    lines.extend([name + b": " + value for name, value in headers])
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def encode_refusal(refusal: HandshakeRefused, method: bytes = b"GET") -> bytes:
    """
    Encode a refusal as a response, after which the connection is closed.

    @param method: the request's method. The response to C{HEAD} has no body (RFC 9110
        section 9.3.2).
    """
    body = refusal.body
    headers = [pair for pair in refusal.headers if pair[0].lower() not in _FRAMING]
    if body is None:
        body = refusal.reason.encode("utf-8") + b"\n" if refusal.reason else b""
        headers.append((b"Content-Type", b"text/plain; charset=utf-8"))
        headers.append((b"X-Content-Type-Options", b"nosniff"))
    try:
        phrase = HTTPStatus(refusal.status).phrase
    except ValueError:
        phrase = "Refused"
    lines = [f"HTTP/1.1 {refusal.status} {phrase}".encode("ascii")]
    lines.extend(name + b": " + value for name, value in headers)
    lines.append(b"Content-Length: %d" % len(body))
    upgrades = any(name.lower() == b"upgrade" for name, _ in headers)
    # Connection names Upgrade, too (RFC 9110 section 7.8).
    lines.append(b"Connection: Upgrade, close" if upgrades else b"Connection: close")
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    return head if method == b"HEAD" else head + body
