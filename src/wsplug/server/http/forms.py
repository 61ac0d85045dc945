"""
Parses the forms that browsers send, for resources that read C{request.args}. The time
is linear in the size of the form. C{twisted.web} uses a parser for mail, which can take
seconds for a hostile body of 100 KB.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, a2b_qp
from typing import Final
from urllib.parse import unquote_to_bytes

__all__ = ["MAX_FIELDS", "readForm"]

MAX_FIELDS: Final = 10_000
"""
The maximum of fields in a form.
"""

_MAX_PART_HEAD: Final = 8 * 1024
"""
The limit on the headers of a part, in bytes.
"""

_MAX_BOUNDARY: Final = 70
"""
The maximum length of a boundary, in bytes (RFC 2046 section 5.1.1).
"""

_PARAMETER: Final = re.compile(
    rb'[ \t]*;[ \t]*([^\s"=;]+)=("(?:[^"\\]|\\.)*"|[^\s";]*)[ \t]*'
)

_ESCAPED: Final = re.compile(rb'\\(["\\])')


def readForm(contentType: bytes, body: bytes) -> dict[bytes, list[bytes]]:
    """
    Parse a body, if it is a form.

    @param contentType: the value of the request's C{Content-Type} header.
    @return: the values of each field, by name; empty if the body isn't a form.
    @raise ValueError: the form is malformed. The message says how, without quoting the
        form.
    """
    kind = contentType.partition(b";")[0].strip(b" \t").lower()
    if kind == b"application/x-www-form-urlencoded":
        return _readEncoded(body)
    if kind == b"multipart/form-data":
        return _readParts(contentType, body)
    return {}


def _checkCount(count: int) -> None:
    if count > MAX_FIELDS:
        raise ValueError(f"a form of over {MAX_FIELDS} fields")


def _readEncoded(body: bytes) -> dict[bytes, list[bytes]]:
    """
    Parse C{a=1&b=2}. As in C{twisted.web}, semicolons separate fields, too, and fields
    without C{=} are ignored.
    """
    _checkCount(body.count(b"&") + body.count(b";"))
    form: dict[bytes, list[bytes]] = {}
    for field in body.replace(b";", b"&").split(b"&"):
        name, found, value = field.partition(b"=")
        if found:
            form.setdefault(_decode(name), []).append(_decode(value))
    return form


def _decode(value: bytes) -> bytes:
    return unquote_to_bytes(value.replace(b"+", b" "))


def _readParts(contentType: bytes, body: bytes) -> dict[bytes, list[bytes]]:
    """
    Parse a multipart form (RFC 7578).
    """
    boundary = _parameters(contentType).get(b"boundary", b"")
    if not 0 < len(boundary) <= _MAX_BOUNDARY:
        raise ValueError("a form without a valid boundary")
    delimiter = b"\r\n--" + boundary
    # The first delimiter may be at the beginning of the body.
    body = b"\r\n" + body
    _checkCount(body.count(delimiter))
    form: dict[bytes, list[bytes]] = {}
    for part in body.split(delimiter)[1:]:
        if part.startswith(b"--"):
            return form
        padding, _, rest = part.partition(b"\r\n")
        head, found, value = (b"\r\n" + rest).partition(b"\r\n\r\n")
        if padding.strip(b" \t") or not found:
            raise ValueError("a part of a form is incomplete")
        if len(head) > _MAX_PART_HEAD:
            raise ValueError(f"over {_MAX_PART_HEAD} bytes of headers in a form's part")
        headers = _headers(head)
        name = _parameters(headers.get(b"content-disposition", b"")).get(b"name")
        if name:
            coding = headers.get(b"content-transfer-encoding", b"").lower()
            form.setdefault(name, []).append(_decoded(value, coding))
    raise ValueError("a form is incomplete")


def _headers(head: bytes) -> dict[bytes, bytes]:
    headers = {}
    for line in head.split(b"\r\n")[1:]:
        name, found, value = line.partition(b":")
        if not found or line[:1] in b" \t":
            raise ValueError("a malformed header in a form's part")
        headers[name.rstrip(b" \t").lower()] = value.strip(b" \t")
    return headers


def _parameters(value: bytes) -> dict[bytes, bytes]:
    """
    Parse the parameters of a header, after its first semicolon.

    @raise ValueError: they are malformed.
    """
    position = value.find(b";")
    parameters: dict[bytes, bytes] = {}
    while 0 <= position < len(value):
        found = _PARAMETER.match(value, position)
        if found is None:
            raise ValueError("a malformed header in a form")
        name, content = found.groups()
        if content.startswith(b'"'):
            content = _ESCAPED.sub(rb"\1", content[1:-1])
        parameters.setdefault(name.lower(), content)
        position = found.end()
    return parameters


def _decoded(value: bytes, coding: bytes) -> bytes:
    """
    Decode C{Content-Transfer-Encoding}, which RFC 7578 section 4.7 deprecates.
    """
    try:
        if coding == b"base64":
            return a2b_base64(value)
        if coding == b"quoted-printable":
            return a2b_qp(value)
    except Error:
        pass  # like mail parsers, keep a value that can't be decoded
    return value
