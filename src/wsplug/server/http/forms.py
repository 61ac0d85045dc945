"""
The forms that browsers send, for resources that read them from C{request.args}: parsed
in a time that grows with their size alone. C{twisted.web} leaves that to a parser of
mail, which needs seconds for what a hostile client makes of a hundred kilobytes.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, a2b_qp
from typing import Final
from urllib.parse import unquote_to_bytes

__all__ = ["MAX_FIELDS", "readForm"]

MAX_FIELDS: Final = 10_000
"""
Fields that a form may have.
"""

_MAX_PART_HEAD: Final = 8 * 1024
"""
Bytes of headers that a part may have.
"""

_MAX_BOUNDARY: Final = 70
"""
RFC 2046 section 5.1.1.
"""

_PARAMETER: Final = re.compile(
    rb'[ \t]*;[ \t]*([^\s"=;]+)=("(?:[^"\\]|\\.)*"|[^\s";]*)[ \t]*'
)

_ESCAPED: Final = re.compile(rb'\\(["\\])')


def readForm(contentType: bytes, body: bytes) -> dict[bytes, list[bytes]]:
    """
    Parse a body, if it is a form.

    @param contentType: the request's header.
    @return: the values of each field, by its name; nothing where it is no form.
    @raise ValueError: it is a broken one. The message says how, and nothing that is in
        it.
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
    Parse C{a=1&b=2}. As C{twisted.web} does: a semicolon separates fields, too, and
    what has no C{=} is none.
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
    Parse a form in parts (RFC 7578).
    """
    boundary = _parameters(contentType).get(b"boundary", b"")
    if not 0 < len(boundary) <= _MAX_BOUNDARY:
        raise ValueError("a form without a right boundary")
    delimiter = b"\r\n--" + boundary
    # The first one may be at the very beginning.
    body = b"\r\n" + body
    _checkCount(body.count(delimiter))
    form: dict[bytes, list[bytes]] = {}
    for part in body.split(delimiter)[1:]:
        if part.startswith(b"--"):
            return form
        padding, _, rest = part.partition(b"\r\n")
        head, found, value = (b"\r\n" + rest).partition(b"\r\n\r\n")
        if padding.strip(b" \t") or not found:
            raise ValueError("a part of a form that isn't whole")
        if len(head) > _MAX_PART_HEAD:
            raise ValueError(f"over {_MAX_PART_HEAD} bytes of headers in a form's part")
        headers = _headers(head)
        name = _parameters(headers.get(b"content-disposition", b"")).get(b"name")
        if name:
            coding = headers.get(b"content-transfer-encoding", b"").lower()
            form.setdefault(name, []).append(_decoded(value, coding))
    raise ValueError("a form that isn't whole")


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
    Read what is behind a header's first semicolon.

    @raise ValueError: it is malformed.
    """
    place = value.find(b";")
    parameters: dict[bytes, bytes] = {}
    while 0 <= place < len(value):
        found = _PARAMETER.match(value, place)
        if found is None:
            raise ValueError("a malformed header in a form")
        name, content = found.groups()
        if content.startswith(b'"'):
            content = _ESCAPED.sub(rb"\1", content[1:-1])
        parameters.setdefault(name.lower(), content)
        place = found.end()
    return parameters


def _decoded(value: bytes, coding: bytes) -> bytes:
    """
    Undo what RFC 7578 section 4.7 wants nobody to do.
    """
    try:
        if coding == b"base64":
            return a2b_base64(value)
        if coding == b"quoted-printable":
            return a2b_qp(value)
    except Error:
        pass  # as mail's parser has it: what can't be decoded is left as it is
    return value
