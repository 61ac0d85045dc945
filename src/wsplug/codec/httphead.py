"""
The parser for the head of an HTTP/1 request, including the opening handshake.

Goal: untrusted bytes come in, split anywhere. The result is a head with exactly one
meaning, or the refusal that answers it. The parser is stricter than RFC 9112 requires:
it allows no bare line feeds, no folded lines and no whitespace around names. Each
leniency is another way for a proxy in front to read the same bytes differently.

Invariants: at most C{max_size} bytes are kept. A byte that no head can contain is
refused when it arrives. Each byte is examined a bounded number of times.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from wsplug.errors import HandshakeRefused

__all__ = [
    "DEFAULT_MAX_HEADERS",
    "DEFAULT_MAX_HEAD_SIZE",
    "TOKEN",
    "HeadParser",
    "RequestHead",
]

DEFAULT_MAX_HEAD_SIZE: Final = 16 * 1024
"""
The default limit on request line and headers, in bytes. Browsers send under 2 KiB
without cookies. nginx allows 8 KiB per line, and Node's http 16 KiB in all.
"""

DEFAULT_MAX_HEADERS: Final = 100
"""
The default limit on header lines. Apache's is the same.
"""

_TOKEN_BYTE: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"

TOKEN: Final = _TOKEN_BYTE + b"+"
"""
A token (RFC 9110 section 5.6.2), as the source of a regular expression.
"""

_CLEAN: Final = re.compile(rb"(?:[^\x00-\x08\x0a-\x1f\x7f]+|\r\n)*")
"""
The bytes that a head may contain: no control bytes except tabs and line ends.
"""

_CONTROLS: Final = bytes({*range(0x20), 0x7F} - {0x09})
"""
The control bytes that L{_CLEAN} allows in line ends only.
"""

_BEGINNING: Final = re.compile(rb"%b{1,32}(?: |\Z)" % _TOKEN_BYTE)
"""
A method, or the beginning of one. The longest registered method has 17 letters. The
bound limits the cost of matching again with each byte.
"""

_METHOD: Final = re.compile(rb"(%b{1,32}) " % _TOKEN_BYTE)
"""
A whole method, where a head begins.
"""

_TLS: Final = b"\x16"
"""
The first byte of TLS: the content type of a handshake (RFC 8446 section 5.1).
"""

_REQUEST_LINE: Final = re.compile(rb"(%b) ([!-~]+) HTTP/([0-9]\.[0-9])\r\n" % TOKEN)
"""
Method, target and version (RFC 9112 section 3).
"""

_VERSIONS: Final = {b"1.1": (1, 1), b"1.0": (1, 0)}

_HEADER_LINE: Final = re.compile(rb"^(%b):[ \t]*([^\r]*)\r\n" % TOKEN, re.MULTILINE)
"""
A field (RFC 9112 section 5). The value can be anything that L{_CLEAN} allows. Trailing
whitespace is stripped afterwards, because an expression that excludes it takes
quadratic time for long runs of whitespace.
"""

_HOST: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|[!$&'()*+,;=A-Za-z0-9\-._~%]*)(?::[0-9]*)?"
)
"""
C{uri-host [ ":" port ]} (RFC 9110 section 7.2).
"""

_SIZE: Final = re.compile(rb"[0-9]{1,18}")

_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?#]*)([^#]*)")
"""
The absolute form of a target (RFC 9112 section 3.2.2): authority, path and query.
"""


class RequestHead:
    """
    The request line and headers of a request.

    @ivar raw: the head with the empty line that ends it, as received. A target in
        absolute form is converted to origin form.
    @ivar method: the method as sent, such as C{b"GET"}.
    @ivar target: the path and query, such as C{b"/chat?room=1"}; other targets as sent,
        such as C{b"*"}.
    @ivar version: C{(1, 1)} or C{(1, 0)}.
    @ivar headers: pairs of lower-case name and value, in the order sent.
    @ivar body_size: the size of the body in bytes, 0 if there is none; C{None} if the
        body is chunked (RFC 9112 section 7.1).
    """

    __slots__ = (
        "_headers",
        "_values",
        "body_size",
        "method",
        "raw",
        "target",
        "version",
    )

    def __init__(
        self,
        raw: bytes,
        method: bytes,
        target: bytes,
        version: tuple[int, int],
        headers: tuple[tuple[bytes, bytes], ...],
        body_size: int | None,
    ) -> None:
        self.raw = raw
        self.method = method
        self.target = target
        self.version = version
        self._headers: tuple[tuple[bytes, bytes], ...] | None = headers
        self._values: dict[bytes, list[bytes]] | None = None
        self.body_size = body_size

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        if self._headers is not None:
            return self._headers
        return _read_headers(self.raw)

    def compact(self) -> None:
        """
        Keep only C{raw}, to save memory for the life of the connection. Headers that
        are still needed are parsed from it again.
        """
        self._headers = None
        self._values = None

    def all(self, name: bytes) -> Sequence[bytes]:
        """
        Return all values of a header.

        @param name: in lower case.
        """
        values = self._values
        if values is None:
            values = {}
            for key, value in self.headers:
                if key in values:
                    values[key].append(value)
                else:
                    values[key] = [value]
            if self._headers is not None:
                self._values = values
        return values.get(name, [])

    def items(self, name: bytes) -> list[bytes]:
        """
        Return the elements of a list header (RFC 9110 section 5.6.1), without the empty
        ones.

        @param name: in lower case.
        """
        values = self.all(name)
        if not values:
            return []
        if len(values) == 1 and b"," not in values[0]:
            return [values[0]] if values[0] else []
        parts = b",".join(values).split(b",")
        return [part for part in (part.strip(b" \t") for part in parts) if part]

    def lists(self, name: bytes, item: bytes) -> bool:
        """
        Say whether a list header contains an item, ignoring case.

        @param name: in lower case.
        @param item: in lower case.
        """
        return item in [each.lower() for each in self.items(name)]


class HeadParser:
    """
    Parses the heads in a connection's bytes, one after another.

    @ivar rest: the bytes after a complete head, which the caller takes.
    @ivar begun: whether a part of a head has arrived.
    """

    __slots__ = ("_buffer", "_clean", "_max_headers", "_max_size", "rest")

    def __init__(
        self,
        max_size: int = DEFAULT_MAX_HEAD_SIZE,
        max_headers: int = DEFAULT_MAX_HEADERS,
    ) -> None:
        """
        @param max_size: the limit on a head, in bytes.
        @param max_headers: the limit on its header lines.
        """
        self._max_size = max_size
        self._max_headers = max_headers
        self._buffer = bytearray()
        self._clean = 0
        self.rest = b""

    @property
    def begun(self) -> bool:
        return bool(self._buffer)

    @property
    def method(self) -> bytes:
        """
        The method of the head that is incomplete or was refused; empty if the method
        itself is.
        """
        match = _METHOD.match(self._buffer)
        return bytes(match[1]) if match is not None else b""

    def feed(self, data: bytes) -> RequestHead | HandshakeRefused | None:
        """
        Process the next bytes.

        @param data: any number of bytes. Those after the head's end are kept in C{rest}
            only.
        @return: the head, if it is complete; the refusal, if the bytes are invalid:
            then no more may be fed; C{None} if the head is incomplete.
        """
        try:
            return self._feed(data)
        except HandshakeRefused as refusal:
            if not self._buffer:
                # It was parsed without the buffer; its method is still asked for.
                self._buffer += data.lstrip(b"\r\n")[: self._max_size]
            # The traceback refers to the caller's frame, which refers to the refusal.
            return refusal.with_traceback(None)

    def _feed(self, data: bytes) -> RequestHead | None:
        buffer = self._buffer
        if not buffer:
            # Ignore empty lines before the request line (RFC 9112 section 2.2).
            data = data.lstrip(b"\r\n") if data[:1] in (b"\r", b"\n") else data
            end = data.find(b"\r\n\r\n")
            if 0 <= end <= self._max_size - 4:
                # Nearly every head arrives in one piece, without anything after it.
                whole = data[: end + 4]
                if _is_clean(whole):
                    self.rest = data[end + 4 :]
                    return _parse(whole, self._max_headers)
        searched = max(len(buffer) - 3, 0)
        buffer += data
        end = buffer.find(b"\r\n\r\n", searched)
        size = len(buffer) if end < 0 else end + 4
        # First check the bytes up to the limit: long garbage isn't a large head.
        self._check_bytes(min(size, self._max_size + 1))
        if size > self._max_size:
            raise HandshakeRefused(
                431,
                f"the request's head is over {self._max_size} bytes",
                setting="max-head-size",
            )
        if end < 0:
            return None
        head = _parse(bytes(buffer[:size]), self._max_headers)
        self.rest = bytes(buffer[size:])
        self._buffer = bytearray()
        self._clean = 0
        return head

    def _check_bytes(self, stop: int) -> None:
        """
        Refuse bytes that no head can contain, as soon as they arrive.
        """
        buffer = self._buffer
        match = _CLEAN.match(buffer, self._clean, stop)
        self._clean = match.end() if match else 0
        # A carriage return may be the first half of a line end.
        possible = self._clean + (buffer[self._clean : stop][:1] == b"\r")
        # The first invalid byte determines the reason, however the input is split.
        if possible and not _BEGINNING.match(buffer, 0, possible):
            raise HandshakeRefused(400, "not an HTTP request")
        if not possible and buffer[:1] == _TLS:
            raise HandshakeRefused(400, "this looks like TLS; the port doesn't use TLS")
        if possible < stop:
            raise HandshakeRefused(400, "control byte or bare line end in the head")


def _is_clean(head: bytes) -> bool:
    """
    Say whether a head passes L{HeadParser._check_bytes}, which finds the reason if it
    doesn't.
    """
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return controls == 2 * head.count(b"\r\n") and bool(_BEGINNING.match(head))


def _parse(raw: bytes, max_headers: int) -> RequestHead:
    """
    Parse a head that is complete, within its size and free of control bytes.

    @raise HandshakeRefused: the head is invalid.
    """
    match = _REQUEST_LINE.match(raw)
    if match is None:
        raise HandshakeRefused(400, "malformed request line")
    version = _VERSIONS.get(match[3])
    if version is None:
        raise HandshakeRefused(505, "only HTTP/1.1 and HTTP/1.0 are supported")
    # All lines except the request line and the empty line at the end.
    count = raw.count(b"\r\n") - 2
    if count > max_headers:
        raise HandshakeRefused(
            431,
            f"the request has over {max_headers} headers",
            setting="max-headers",
        )
    headers = _read_headers(raw)
    if len(headers) != count:
        raise _malformed(raw)
    head = RequestHead(raw, match[1], match[2], version, headers, None)
    _check_host(head)
    if match[2][:1] != b"/":
        head = _to_origin_form(head)
    head.body_size = _body_size(head)
    return head


def _read_headers(raw: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """
    Parse the header lines of a head that is free of control bytes. Malformed lines are
    left out.
    """
    fields = _HEADER_LINE.findall(raw)
    return tuple([(name.lower(), value.rstrip(b" \t")) for name, value in fields])


def _malformed(raw: bytes) -> HandshakeRefused:
    """
    Make the refusal for the first malformed header line.
    """
    for line in raw.splitlines(keepends=True)[1:]:
        if line[:1] in (b" ", b"\t"):  # RFC 9112 section 5.2
            return HandshakeRefused(400, "folded header")
        if not _HEADER_LINE.match(line):
            break
    return HandshakeRefused(400, "malformed header")


def _check_host(head: RequestHead) -> None:
    """
    Require one valid Host header (RFC 9112 section 3.2).

    @raise HandshakeRefused: it is missing, repeated or malformed.
    """
    hosts = head.all(b"host")
    if len(hosts) > 1:
        raise HandshakeRefused(400, "more than one Host header")
    if not hosts and head.version == (1, 1):
        raise HandshakeRefused(400, "no Host header")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise HandshakeRefused(400, "malformed Host header")


def _to_origin_form(head: RequestHead) -> RequestHead:
    """
    Convert a request in absolute form to origin form, so that later code sees only one
    form. The target's host replaces the Host header (RFC 9112 section 3.2.2).

    @return: the converted head, or the same head if its target has another form.
    @raise HandshakeRefused: the target's host is malformed.
    """
    match = _ABSOLUTE.fullmatch(head.target)
    if match is None:
        return head
    host, target = match.groups()
    if not host or not _HOST.fullmatch(host):
        raise HandshakeRefused(400, "malformed host in the request's target")
    if target[:1] != b"/":
        target = b"/" + target
    others = [(name, value) for name, value in head.headers if name != b"host"]
    headers = ((b"host", host), *others)
    lines = [b"%b %b HTTP/%d.%d" % (head.method, target, *head.version)]
    lines += [b"%b: %b" % header for header in headers]
    raw = b"\r\n".join([*lines, b"", b""])
    return RequestHead(raw, head.method, target, head.version, headers, None)


def _body_size(head: RequestHead) -> int | None:
    """
    Determine the size of the body, without any ambiguity between different readers of
    the request (RFC 9112 section 6.3).

    @return: as C{RequestHead.body_size}.
    @raise HandshakeRefused: the size is ambiguous, malformed or unsupported.
    """
    sizes = head.all(b"content-length")
    if head.all(b"transfer-encoding"):
        if sizes or head.version == (1, 0):
            raise HandshakeRefused(400, "ambiguous length of the request's body")
        # Empty elements of a list don't count (RFC 9110 section 5.6.1.2).
        codings = head.items(b"transfer-encoding")
        if [coding.lower() for coding in codings] != [b"chunked"]:
            raise HandshakeRefused(501, "only the chunked transfer coding is supported")
        return None
    if not sizes:
        return 0
    if len(sizes) > 1 or not _SIZE.fullmatch(sizes[0]):
        raise HandshakeRefused(400, "malformed Content-Length header")
    return int(sizes[0])
