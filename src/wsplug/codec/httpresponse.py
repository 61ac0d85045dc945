"""
The head of an HTTP response (RFC 9112 section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

__all__ = ["encode_response_head", "has_body"]

_LINES: Final = {
    each.value: f"HTTP/1.1 {each.value} {each.phrase}".encode("ascii")
    for each in HTTPStatus
}


def has_body(status: int, method: bytes) -> bool:
    """
    Say whether a response has a body at all (RFC 9110 section 6.4.1).

    @param method: the request's.
    """
    return status not in (204, 304) and status >= 200 and method != b"HEAD"


def encode_response_head(
    status: int,
    headers: Sequence[tuple[bytes, bytes]],
    size: int,
    date: bytes,
    closes: bool,
) -> bytes:
    """
    Write the head of a response down.

    @param headers: further ones.
    @param size: of the body that it has, or would have if it weren't one to C{HEAD}.
    @param date: when it is made.
    @param closes: whether the connection ends with it.
    @raise ValueError: a header has a line end in it.
    """
    lines = [_LINES.get(status) or b"HTTP/1.1 %d Other" % status, b"Date: " + date]
    options = []
    for name, value in headers:
        lines.append(b"%b: %b" % (name, value))
        if name == b"Upgrade":
            # It is named in Connection too (RFC 9110 section 7.8).
            options.append(name)
    # RFC 9110 section 8.6: these have none.
    if status not in (204, 304):
        lines.append(b"Content-Length: %d" % size)
    if closes:
        options.append(b"close")
    if options:
        lines.append(b"Connection: " + b", ".join(options))
    head = b"\r\n".join(lines)
    ends = len(lines) - 1
    if head.count(b"\n") != ends or head.count(b"\r") != ends:
        raise ValueError("a response's header has a line end in it")
    return head + b"\r\n\r\n"
