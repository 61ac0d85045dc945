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
    Say whether a response can have a body (RFC 9110 section 6.4.1).

    @param method: the request's method.
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
    Encode the head of a response.

    @param headers: additional headers.
    @param size: the size of the body, in bytes. For C{HEAD}, the size that the body
        would have.
    @param date: the value of the C{Date} header.
    @param closes: whether the connection is closed after the response.
    @raise ValueError: a header contains a line end.
    """
    lines = [_LINES.get(status) or b"HTTP/1.1 %d Other" % status, b"Date: " + date]
    options = []
    for name, value in headers:
        lines.append(b"%b: %b" % (name, value))
        if name == b"Upgrade":
            # Connection names it, too (RFC 9110 section 7.8).
            options.append(name)
    # Without Content-Length (RFC 9110 section 8.6).
    if status not in (204, 304):
        lines.append(b"Content-Length: %d" % size)
    if closes:
        options.append(b"close")
    if options:
        lines.append(b"Connection: " + b", ".join(options))
    head = b"\r\n".join(lines)
    ends = len(lines) - 1
    if head.count(b"\n") != ends or head.count(b"\r") != ends:
        raise ValueError("a response's header contains a line end")
    return head + b"\r\n\r\n"
